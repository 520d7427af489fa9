// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node should do with each virtual IP, from the objects alone.
//!
//! Pure and total: which node is alive, which interface is there and what the kernel accepted is decided elsewhere.
//! Every node computes the same [`candidates`](VipIntent::candidates) from the same objects, and that is all
//! the agreement that the election needs.

mod difference;
mod endpoints;
mod floating;
mod follower;
mod ground;
mod ports;
mod routing;
mod sharing;
#[cfg(test)]
mod tests;
mod uses;
mod view;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::ServiceName;
use ferrolb_config::api::{ConsumerKind, VirtualIPSpec};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::HealthCheck;

pub(crate) use self::difference::differences;
pub use self::follower::Follower;
pub use self::routing::{Advertisements, Carried, Route, RouteAttributes, Router, Routes};
use self::view::View;
use self::wish::Wish;
use crate::datapath::{Backends, DataPath, Frontend, Role};
use crate::group::Group;
use crate::health::Checks;

/// What one node should do. Of two intents that differ little, most is the same memory; so is a whole map of which nothing differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    /// Every virtual IP that the controller recorded.
    pub vips: Arc<BTreeMap<IpAddr, Arc<VipIntent>>>,
    /// The ports of all virtual IPs, with the endpoints that this node leads to; none where kube-proxy leads.
    pub ports: Arc<BTreeMap<Frontend, Arc<Backends>>>,
    /// Parts of Services that the data path cannot serve, by the address that they are on.
    pub refused: BTreeMap<IpAddr, Vec<Refusal>>,
    /// The addresses that a BGPAdvertisement is about.
    pub routes: Arc<BTreeMap<IpAddr, Arc<Routes>>>,
    /// The BGPAdvertisements by name: what is said of routes, and to whom. Routes name those that ask for them, so that what one of them
    /// says may change while all routes stay as they are.
    pub advertisements: Advertisements,
    /// Every BGPPeer by name: how this node speaks to it, or why it does not.
    pub routers: BTreeMap<String, Result<Arc<Router>, Obstacle>>,
    /// Why this node is about to carry nothing any more: its routes ask for others to be preferred (RFC 8326), and are withdrawn
    /// after a while.
    pub leaving: Option<Obstacle>,
}

/// What one node should do with one virtual IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipIntent {
    /// What is elected together with it.
    pub group: Group,
    /// The nodes that may carry it; the same for all announced addresses of a group. Empty: nobody announces it.
    pub candidates: Arc<BTreeSet<String>>,
    /// How much each is preferred; who is not named is not. The same for all announced addresses of a group.
    pub preferences: Arc<BTreeMap<String, u32>>,
    /// Whether this node is one of them, and why not.
    pub here: Result<(), Obstacle>,
    /// Where this node may announce it.
    pub interfaces: InterfaceRule,
    /// A TCP port that any candidate serves to everybody, to see whether the address is reachable.
    pub tcp_port: Option<NonZeroU16>,
    /// Services on it that no candidate serves.
    pub unserved: Box<[(ServiceName, Obstacle)]>,
    /// How the node that carries it holds it and where its traffic goes.
    pub carriage: Carriage,
    /// What has to answer on this node for it to carry the address.
    pub checks: Box<[Arc<HealthCheck>]>,
}

/// How a node holds an address, and who leads its traffic on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// It answers for it, and leads the traffic into Services as it does for all of them.
    Service,
    /// It answers for it; our own table leads the traffic on, even where kube-proxy leads it into Services.
    Ours,
    /// It has the address on an interface; no rule of ours touches its traffic.
    Bound,
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
    pub message: Arc<str>,
}

impl Obstacle {
    fn new(reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Intent {
    /// The addresses that some node may announce.
    pub fn announced(&self) -> impl Iterator<Item = (IpAddr, &VipIntent)> {
        let announced = self.vips.iter().filter(|(_, vip)| !vip.candidates.is_empty());
        announced.map(|(address, vip)| (*address, vip.as_ref()))
    }

    /// What the data path has to do: every port on every node, as a client may still send to a node that carried the
    /// address a moment ago.
    pub fn data_path(&self) -> DataPath {
        let role = |address: &IpAddr, vip: &VipIntent| {
            let announced = vip.here.is_ok() || self.routes.get(address).is_some_and(|it| it.here.is_ok());
            if announced { Role::Candidate } else { Role::Elsewhere }
        };
        let led = || self.vips.iter().filter(|(_, vip)| vip.carriage != Carriage::Bound);
        let ours = led().filter(|(_, vip)| vip.carriage == Carriage::Ours);
        DataPath {
            vips: led().map(|(address, vip)| (*address, role(address, vip))).collect(),
            ports: BTreeMap::clone(&self.ports),
            ours: ours.map(|(address, _)| *address).collect(),
        }
    }

    /// Whether every address is carried and led as in `other`. What is alike is the same memory, so this is quick; of two that were
    /// decided apart it may say no.
    pub fn carries_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.vips, &other.vips)
            && Arc::ptr_eq(&self.ports, &other.ports)
            && Arc::ptr_eq(&self.routes, &other.routes)
    }

    /// Why this node does not carry an address. One that is announced to routers and on no segment is carried where routers hear of
    /// it.
    pub fn obstacle(&self, address: IpAddr, vip: &VipIntent) -> Option<Obstacle> {
        let on_segments = vip.here.as_ref().err()?;
        let routes = self.routes.get(&address).filter(|_| on_segments.reason == Reason::NotAdvertised);
        match routes {
            Some(routes) => routes.here.as_ref().err().cloned(),
            None => Some(on_segments.clone()),
        }
    }

    /// What this node has to ask itself.
    pub fn checks(&self) -> Checks {
        let here = self.vips.values().filter(|vip| vip.here.is_ok());
        here.flat_map(|vip| vip.checks.iter().cloned()).collect()
    }
}

/// What follows for one address from its record, the Services on it and their endpoints.
struct Part {
    /// What to do with it as long as it is alone in its group.
    vip: VipIntent,
    ports: BTreeMap<Frontend, Backends>,
    refused: Vec<Refusal>,
    routes: Option<Routes>,
    /// Whether the labels of a namespace were asked for.
    read_namespaces: bool,
}

/// What follows for one address.
fn part(view: &View<'_>, address: IpAddr, spec: &VirtualIPSpec) -> Part {
    if let Some(consumer) = spec.consumers.iter().find(|consumer| consumer.kind == ConsumerKind::FloatingIP) {
        return floating::part(view, address, spec, &consumer.object_name());
    }
    let consumers: Vec<_> = view.consumers(spec).collect();
    let wishes: Vec<_> = consumers.iter().map(|consumer| Wish::new(view, address, spec, consumer)).collect();
    let (ports, refused) = ports::of(view, address, &wishes);
    let read_namespaces = wishes.iter().any(Wish::asks_for_namespace);
    let routes = routing::of(view, address, spec, &wishes);
    Part { vip: vip_intent(view, address, spec, &wishes), ports, refused, routes, read_namespaces }
}

fn vip_intent(view: &View<'_>, address: IpAddr, spec: &VirtualIPSpec, wishes: &[Wish<'_>]) -> VipIntent {
    let (ground, node) = (view.ground, view.node);
    let agreed = sharing::agree(wishes.iter().map(|wish| &wish.nodes));
    let parties = || wishes.iter().zip(&agreed.parties);
    let unserved: BTreeMap<_, _> = parties()
        .filter(|(_, is_party)| !**is_party)
        .map(|(wish, _)| (wish.service.name.clone(), wish.why_unserved(ground, address)))
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
            .map(|(wish, _)| wish.why_not_here(ground, node));
        Err(obstacle.unwrap_or_else(|| {
            Obstacle::new(Reason::NotFound, format!("no Service of type LoadBalancer uses {address}"))
        }))
    };
    let advertisements = || {
        let parties = parties().filter(|(_, is_party)| **is_party);
        parties.flat_map(|(wish, _)| wish.advertisements.iter().copied())
    };
    VipIntent {
        group: group(address, spec),
        here,
        interfaces: ground.interfaces(node, advertisements()),
        preferences: ground.preferred_by(advertisements()),
        candidates: agreed.nodes,
        tcp_port: parties().filter(|(_, is_party)| **is_party).find_map(|(wish, _)| wish.open_tcp_port()),
        unserved: unserved.into_iter().collect(),
        carriage: Carriage::Service,
        checks: Box::default(),
    }
}

/// What an address is elected with: alone, unless its record says otherwise.
fn group(address: IpAddr, spec: &VirtualIPSpec) -> Group {
    spec.group.as_deref().map_or_else(|| address.to_string().as_str().into(), Group::from)
}
