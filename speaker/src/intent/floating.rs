// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What follows for the address of a FloatingIP. It has no Service of its own: which nodes may carry it and where its traffic
//! goes stand in its spec.
//!
//! An advertisement with `serviceSelectors` is for Services and does not cover it. The label
//! `node.kubernetes.io/exclude-from-external-load-balancers` does not apply: kubeadm puts it on the control plane, whose
//! API server is what such an address is for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::api::{AddressMode, FloatingIP, VirtualIPSpec};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{
    self, Advertisement, Endpoint, FloatingForm, FloatingPort, FloatingTarget, NodeInfo,
    Protocol as Transport,
};
use ferrolb_config::{ObjectRef, ServiceName};

use super::endpoints::Answering;
use super::view::View;
use super::{Carriage, Obstacle, Part, VipIntent, group};
use crate::datapath::{Backends, Clients, Frontend, Protocol, Source};

/// The Services of its namespace that what follows for its addresses depends on.
pub(super) fn services_of(object: &FloatingIP) -> Vec<&str> {
    let accepted = object.status.as_ref().and_then(|status| status.accepted.as_ref());
    let services = [Some(&object.spec), accepted].into_iter().flatten().flat_map(|spec| {
        let target = spec.target.as_ref().and_then(|target| target.service.as_deref());
        let candidates = spec.candidates.as_ref().and_then(|candidates| candidates.service.as_deref());
        target.into_iter().chain(candidates)
    });
    services.collect()
}

/// What follows for `address`, which is recorded as that of the FloatingIP `name`.
pub(super) fn part(view: &View<'_>, address: IpAddr, spec: &VirtualIPSpec, name: &ServiceName) -> Part {
    let object = view.objects.floating_ips.get(name);
    let read = object.map(|object| snapshot::FloatingIP::read(name, object, &mut Vec::new()));
    let form = read.as_ref().and_then(|floating| floating.carried_as(spec.mode));
    let place = Floating { view, address, spec, name };
    let (vip, ports, refused) = match form {
        Some(form) => place.carried(form),
        None => (place.carried_nowhere(), BTreeMap::new(), Vec::new()),
    };
    // A FloatingIP is on one node, which a segment elects; routers are told nothing of it.
    Part { vip, ports, refused, routes: None, read_namespaces: false }
}

struct Floating<'a> {
    view: &'a View<'a>,
    address: IpAddr,
    spec: &'a VirtualIPSpec,
    name: &'a ServiceName,
}

type Ports = BTreeMap<Frontend, Backends>;

impl Floating<'_> {
    fn carriage(&self) -> Carriage {
        match self.spec.mode {
            AddressMode::Bound => Carriage::Bound,
            AddressMode::ReplyOnly => Carriage::Ours,
        }
    }

    fn carried_nowhere(&self) -> VipIntent {
        let message = format!(
            "there is no FloatingIP {} of mode {}, for which {} is recorded",
            self.name, self.spec.mode, self.address
        );
        VipIntent {
            group: group(self.address, self.spec),
            candidates: Arc::default(),
            preferences: Arc::default(),
            here: Err(Obstacle::new(Reason::NotFound, message)),
            interfaces: super::InterfaceRule::OnLink,
            tcp_port: None,
            unserved: Box::default(),
            carriage: self.carriage(),
            checks: Box::default(),
        }
    }

    fn carried(&self, form: &FloatingForm) -> (VipIntent, Ports, Vec<Refusal>) {
        let target = match &form.carriage {
            snapshot::Carriage::Bound => Target::Bound,
            snapshot::Carriage::ReplyOnly(FloatingTarget::Ports(ports)) => Target::Here(ports),
            snapshot::Carriage::ReplyOnly(FloatingTarget::Service(name)) => {
                Target::Service(Box::new(Led::new(self.view, name)))
            }
        };
        let ground = &self.view.ground;
        let pool = ground.is.pools.get(&self.spec.pool);
        let covers = |advertisement: &&Advertisement| {
            pool.is_some_and(|pool| advertisement.selects_pool(pool))
                && advertisement.service_selectors.is_empty()
        };
        let advertisements: Vec<&Advertisement> = ground.is.advertisements.values().filter(covers).collect();
        let judged = self.candidates(form, &target, &advertisements);
        let node = self.view.node;
        let here = match &judged {
            Ok(nodes) if nodes.contains(node) => Ok(()),
            Ok(_) => Err(self.why_not(node, form, &target, &advertisements)),
            Err(obstacle) => Err(obstacle.clone()),
        };
        let mut refused = Vec::new();
        let ports = self.ports(&target, &mut refused);
        let vip = VipIntent {
            group: group(self.address, self.spec),
            candidates: Arc::new(judged.unwrap_or_default()),
            preferences: ground.preferred_by(advertisements.iter().copied()),
            here,
            interfaces: ground.interfaces(node, advertisements.into_iter()),
            tcp_port: None,
            unserved: Box::default(),
            carriage: self.carriage(),
            checks: form.health_checks.iter().cloned().map(Arc::new).collect(),
        };
        (vip, ports, refused)
    }

    /// The nodes that may carry it, or why no node may.
    fn candidates(
        &self,
        form: &FloatingForm,
        target: &Target<'_>,
        advertisements: &[&Advertisement],
    ) -> Result<BTreeSet<String>, Obstacle> {
        if advertisements.is_empty() {
            let message = format!(
                "no L2Advertisement without serviceSelectors selects AddressPool {}, from which FloatingIP {} has {}",
                self.spec.pool, self.name, self.address
            );
            return Err(Obstacle::new(Reason::NotAdvertised, message));
        }
        if let Target::Service(led) = target
            && Answering::new(&led.endpoints, self.address).is_empty()
        {
            let message = format!(
                "Service {}, the target of FloatingIP {}, has no endpoint of this address family that is ready or \
                 serving",
                led.name, self.name
            );
            return Err(Obstacle::new(Reason::NoEndpoints, message));
        }
        let nodes = self.view.ground.is.nodes.iter();
        let may =
            nodes.filter(|(node, info)| self.hindrance(node, info, form, target, advertisements).is_none());
        let may: BTreeSet<String> = may.map(|(node, _)| node.clone()).collect();
        if may.is_empty() {
            let message =
                format!("no node may carry FloatingIP {}: look at its candidates and targets", self.name);
            return Err(Obstacle::new(Reason::NodeNotSelected, message));
        }
        Ok(may)
    }

    fn why_not(
        &self,
        node: &str,
        form: &FloatingForm,
        target: &Target<'_>,
        advertisements: &[&Advertisement],
    ) -> Obstacle {
        let info = self.view.ground.is.nodes.get(node);
        let hindrance = info.and_then(|info| self.hindrance(node, info, form, target, advertisements));
        hindrance.unwrap_or_else(|| self.view.ground.why_not_selected(node, advertisements))
    }

    /// Why `node` may not carry it; `None`: it may.
    fn hindrance(
        &self,
        node: &str,
        info: &NodeInfo,
        form: &FloatingForm,
        target: &Target<'_>,
        advertisements: &[&Advertisement],
    ) -> Option<Obstacle> {
        if !self.view.ground.may_float_to(info, advertisements) {
            return Some(self.view.ground.why_not_selected(node, advertisements));
        }
        let name = self.name;
        if form.candidates.node_selector.as_ref().is_some_and(|selector| !selector.matches(&info.labels)) {
            let message =
                format!("the candidates of FloatingIP {name} do not include Node {node} by its labels");
            return Some(Obstacle::new(Reason::NodeNotSelected, message));
        }
        if let Some(service) = &form.candidates.service
            && !self.view.endpoints(service).iter().any(|end| end.ready && end.node.as_deref() == Some(node))
        {
            let message = format!(
                "FloatingIP {name} floats between the nodes of Service {service}, which has no ready endpoint on Node \
                 {node}"
            );
            return Some(Obstacle::new(Reason::NoLocalEndpoints, message));
        }
        if let Target::Service(led) = target
            && led.local
            && !Answering::new(&led.endpoints, self.address).nodes().contains(node)
        {
            let message = format!(
                "Service {}, the target of FloatingIP {name}, has externalTrafficPolicy Local and no ready endpoint on \
                 Node {node}",
                led.name
            );
            return Some(Obstacle::new(Reason::NoLocalEndpoints, message));
        }
        None
    }

    fn ports(&self, target: &Target<'_>, refused: &mut Vec<Refusal>) -> Ports {
        let mut ports = Ports::new();
        let mut add = |port: u16, transport, backends: Backends| {
            let protocol = match transport {
                Transport::Tcp => Protocol::Tcp,
                Transport::Udp => Protocol::Udp,
                Transport::Sctp => {
                    let object = ObjectRef::namespaced("FloatingIP", self.name);
                    let message = format!("port {port} is SCTP");
                    let refusal = Refusal::error(Reason::UnsupportedProtocol, object, message);
                    let refusal = refusal.field("spec.target");
                    refused.push(refusal.remedy("The data path translates TCP and UDP only."));
                    return;
                }
            };
            if let Some(port) = NonZeroU16::new(port) {
                ports.insert(Frontend { address: self.address, protocol, port }, backends);
            }
        };
        match target {
            Target::Bound => {}
            Target::Here(list) => {
                for FloatingPort { protocol, port, target } in *list {
                    let endpoint = SocketAddr::new(this_node(self.address), *target);
                    add(*port, *protocol, self.backends([endpoint].into(), Source::Kept));
                }
            }
            Target::Service(led) => {
                let answering = Answering::new(&led.endpoints, self.address);
                let (source, node) = if led.local {
                    (Source::Kept, Some(self.view.node))
                } else {
                    (Source::Masqueraded, None)
                };
                for (name, transport, port) in &led.ports {
                    let endpoints = answering.sockets(name, *transport, node);
                    add(*port, *transport, self.backends(endpoints, source));
                }
            }
        }
        ports
    }

    fn backends(&self, endpoints: BTreeSet<SocketAddr>, source: Source) -> Backends {
        let service = self.name.to_string();
        Backends { service, source, endpoints, affinity: false, clients: Clients::Anyone }
    }
}

/// Where the traffic goes.
enum Target<'a> {
    /// To whoever listens on the address itself.
    Bound,
    /// To ports of the node that carries it.
    Here(&'a [FloatingPort]),
    /// To the endpoints of a Service.
    Service(Box<Led>),
}

/// A Service that traffic is led to, of whatever type.
struct Led {
    name: ServiceName,
    /// Name, protocol, port.
    ports: Vec<(String, Transport, u16)>,
    /// Only the endpoints of the node that carries the address are used, which see the clients' addresses.
    local: bool,
    endpoints: Vec<Endpoint>,
}

impl Led {
    fn new(view: &View<'_>, name: &ServiceName) -> Self {
        let spec = view.objects.services.get(name).and_then(|service| service.spec.as_ref());
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default().iter();
        let ports = ports.filter_map(|port| {
            let protocol = match port.protocol.as_deref().unwrap_or("TCP") {
                "TCP" => Transport::Tcp,
                "UDP" => Transport::Udp,
                _ => Transport::Sctp,
            };
            Some((port.name.clone().unwrap_or_default(), protocol, u16::try_from(port.port).ok()?))
        });
        let policy = spec.and_then(|spec| spec.external_traffic_policy.as_deref());
        Self {
            name: name.clone(),
            ports: ports.collect(),
            local: policy == Some("Local"),
            endpoints: view.endpoints(name),
        }
    }
}

/// The unspecified address of the same family stands for the node itself.
fn this_node(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests;
