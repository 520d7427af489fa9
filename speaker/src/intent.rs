// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node should do with each virtual IP, from the objects alone.
//!
//! Pure and total: which node is alive, which interface is there and what the kernel accepted is decided elsewhere.
//! Every node computes the same [`candidates`](VipIntent::candidates) from the same objects, and that is all
//! the agreement that the election needs.

mod endpoints;
mod nodes;
mod sharing;
#[cfg(test)]
mod tests;
mod wish;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::api::{ConsumerKind, VirtualIPSpec};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{LoadBalancer, Protocol as ServiceProtocol, Snapshot, TrafficPolicy};
use ferrolb_config::{ObjectRef, ServiceName};

use self::nodes::Nodes;
use self::wish::Wish;
use crate::datapath::{Backends, Clients, DataPath, Frontend, Mode, Protocol, Role, Source};

/// What one node should do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    /// Every virtual IP that the controller recorded.
    pub vips: BTreeMap<IpAddr, VipIntent>,
    /// The ports of all virtual IPs, with the endpoints that this node leads to; none where kube-proxy leads.
    pub ports: BTreeMap<Frontend, Backends>,
    /// Parts of Services that the data path cannot serve.
    pub refused: Vec<Refusal>,
}

/// What one node should do with one virtual IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipIntent {
    /// What is elected together with it.
    pub group: String,
    /// The nodes that may carry it; the same for all announced addresses of a group. Empty: nobody announces it.
    pub candidates: Arc<BTreeSet<String>>,
    /// Whether this node is one of them, and why not.
    pub here: Result<(), Obstacle>,
    /// Where this node may announce it.
    pub interfaces: InterfaceRule,
    /// Services on it that no candidate serves.
    pub unserved: BTreeMap<ServiceName, Obstacle>,
}

/// Where a virtual IP may be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceRule {
    /// On the interfaces whose on-link prefix holds it.
    OnLink,
    /// On these, by name.
    Named(BTreeSet<String>),
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The word for it.
    pub reason: Reason,
    /// A sentence that names the objects.
    pub message: String,
}

impl Obstacle {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Intent {
    /// The addresses that some node may announce.
    pub fn announced(&self) -> impl Iterator<Item = (IpAddr, &VipIntent)> {
        self.vips.iter().filter(|(_, vip)| !vip.candidates.is_empty()).map(|(address, vip)| (*address, vip))
    }

    /// What the data path has to do: every port on every node, as a client may still send to a node that carried the
    /// address a moment ago.
    pub fn data_path(&self) -> DataPath {
        let role = |vip: &VipIntent| if vip.here.is_ok() { Role::Candidate } else { Role::Elsewhere };
        DataPath {
            vips: self.vips.iter().map(|(address, vip)| (*address, role(vip))).collect(),
            ports: self.ports.clone(),
        }
    }
}

/// What `node` should do. The ports are led by `mode`; where that is kube-proxy's work, none are asked of ours.
pub fn intent(snapshot: &Snapshot, node: &str, mode: Mode) -> Intent {
    let nodes = Nodes::new(snapshot);
    let unreadable_ranges = with_unreadable_ranges(snapshot);
    let mut intent = Intent::default();
    for (address, object) in &snapshot.virtual_ips {
        let spec = &object.spec;
        let services = consumers(snapshot, spec);
        let wishes: Vec<Wish<'_>> =
            services.map(|service| Wish::new(snapshot, &nodes, *address, spec, service)).collect();
        for wish in wishes.iter().filter(|_| mode == Mode::NFTables) {
            let object = ObjectRef::namespaced("Service", &wish.service.name);
            add_ports(&mut intent, node, *address, wish, unreadable_ranges.contains(&object));
        }
        intent.vips.insert(*address, vip_intent(&nodes, node, *address, spec, &wishes));
    }
    sharing::agree_within_groups(&mut intent.vips, node);
    intent
}

/// The Services on an address, the oldest first.
fn consumers<'a>(snapshot: &'a Snapshot, spec: &'a VirtualIPSpec) -> impl Iterator<Item = &'a LoadBalancer> {
    spec.consumers
        .iter()
        .filter(|consumer| consumer.kind == ConsumerKind::Service)
        .map(|consumer| ServiceName { namespace: consumer.namespace.clone(), name: consumer.name.clone() })
        .filter_map(|name| snapshot.load_balancers.get(&name))
}

fn vip_intent<'a>(
    nodes: &Nodes<'a>,
    node: &str,
    address: IpAddr,
    spec: &VirtualIPSpec,
    wishes: &[Wish<'a>],
) -> VipIntent {
    let agreed = sharing::agree(wishes.iter().map(|wish| &wish.nodes));
    let parties = || wishes.iter().zip(&agreed.parties);
    let unserved = parties()
        .filter(|(_, is_party)| !**is_party)
        .map(|(wish, _)| (wish.service.name.clone(), wish.why_unserved(nodes, address)))
        .collect();
    let here = if agreed.nodes.contains(node) {
        Ok(())
    } else {
        // Without any candidate every Service is in the way; the oldest speaks.
        let in_the_way = |wish: &Wish<'_>, is_party: bool| {
            if agreed.nodes.is_empty() { true } else { is_party && !wish.nodes.contains(node) }
        };
        let obstacle = parties()
            .find(|(wish, is_party)| in_the_way(wish, **is_party))
            .map(|(wish, _)| wish.why_not_here(nodes, node));
        Err(obstacle.unwrap_or_else(|| {
            Obstacle::new(Reason::NotFound, format!("no Service of type LoadBalancer uses {address}"))
        }))
    };
    VipIntent {
        group: spec.group.clone().unwrap_or_else(|| address.to_string()),
        here,
        interfaces: nodes.interfaces(
            node,
            parties()
                .filter(|(_, is_party)| **is_party)
                .flat_map(|(wish, _)| wish.advertisements.iter().copied()),
        ),
        candidates: agreed.nodes,
        unserved,
    }
}

fn add_ports(intent: &mut Intent, node: &str, address: IpAddr, wish: &Wish<'_>, unreadable_ranges: bool) {
    let service = wish.service;
    let (source, node) = match service.traffic_policy {
        TrafficPolicy::Cluster => (Source::Masqueraded, None),
        TrafficPolicy::Local => (Source::Kept, Some(node)),
    };
    for port in &service.ports {
        let refuse = |reason, message: String| {
            Refusal::error(reason, ObjectRef::namespaced("Service", &service.name), message)
                .field("spec.ports")
        };
        let protocol = match port.protocol {
            ServiceProtocol::Tcp => Protocol::Tcp,
            ServiceProtocol::Udp => Protocol::Udp,
            ServiceProtocol::Sctp => {
                let refusal = refuse(Reason::UnsupportedProtocol, format!("port {} is SCTP", port.port));
                intent.refused.push(refusal.remedy("The data path translates TCP and UDP only."));
                continue;
            }
        };
        let Some(number) = NonZeroU16::new(port.port) else { continue };
        let backends = Backends {
            service: service.name.to_string(),
            source,
            endpoints: wish.answering.sockets(&port.name, port.protocol, node),
            affinity: service.client_ip_affinity,
            clients: clients(service, unreadable_ranges),
        };
        match intent.ports.entry(Frontend { address, protocol, port: number }) {
            Entry::Vacant(entry) => {
                entry.insert(backends);
            }
            Entry::Occupied(entry) => {
                let message = format!("{} is already {}'s", entry.key(), entry.get().service);
                let refusal = refuse(Reason::SharingConflict, message);
                intent.refused.push(refusal.remedy("Give the Services different ports, or an address each."));
            }
        }
    }
}

/// Ranges that cannot be read must not open the Service to everybody.
fn clients(service: &LoadBalancer, unreadable_ranges: bool) -> Clients {
    if service.source_ranges.is_empty() && !unreadable_ranges {
        Clients::Anyone
    } else {
        Clients::Within(service.source_ranges.iter().copied().collect())
    }
}

/// The Services of which a source range was refused.
fn with_unreadable_ranges(snapshot: &Snapshot) -> BTreeSet<&ObjectRef> {
    let is_range = |field: &str| field.starts_with("spec.loadBalancerSourceRanges");
    let of_ranges = |refusal: &&Refusal| refusal.field.as_deref().is_some_and(is_range);
    snapshot.refused.iter().filter(of_ranges).filter_map(|refusal| refusal.object.as_ref()).collect()
}
