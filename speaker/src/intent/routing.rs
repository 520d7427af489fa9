// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! As which routes this node announces each address, and what that comes to for one router.
//!
//! Each node decides for itself: unlike a segment, a router bears several nodes that carry one address.

mod peers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::api::VirtualIPSpec;
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{Away, BgpAdvertisement, Community, NodeInfo};
use ipnet::IpNet;

pub use self::peers::Router;
pub(super) use self::peers::routers;
use super::ground::Ground;
use super::view::View;
use super::wish::Wish;
use super::{Intent, Obstacle, sharing};

/// What this node announces of one address to routers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// As which routes, or why as none.
    pub here: Result<Box<[Route]>, Obstacle>,
}

/// One route for an address, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The prefix; it covers nothing outside the pool.
    pub prefix: IpNet,
    /// Says who is told, and how.
    pub advertisement: Arc<BgpAdvertisement>,
}

/// What a router is told of a prefix, besides this node's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteAttributes {
    /// LOCAL_PREF, for routers of our own autonomous system. Where advertisements disagree, there is none.
    pub local_pref: Option<u32>,
    /// The communities of all advertisements together.
    pub communities: BTreeSet<Community>,
}

impl Intent {
    /// What the BGPPeer of this name shall know: the routes for the addresses that `may_carry` lets this node carry. Routes that are
    /// alike share their attributes.
    pub fn routes_to(
        &self,
        peer: &str,
        may_carry: impl Fn(IpAddr) -> bool,
    ) -> BTreeMap<IpNet, Arc<RouteAttributes>> {
        let mut askers: BTreeMap<IpNet, Vec<&Arc<BgpAdvertisement>>> = BTreeMap::new();
        let announced = self.routes.iter().filter(|(address, _)| may_carry(**address));
        let routes = announced.flat_map(|(_, routes)| routes.here.as_deref().unwrap_or_default());
        for Route { prefix, advertisement } in routes {
            if advertisement.selects_peer(peer) {
                let askers = askers.entry(*prefix).or_default();
                if !askers.iter().any(|known| known.name == advertisement.name) {
                    askers.push(advertisement);
                }
            }
        }
        let mut shared: BTreeMap<Vec<&str>, Arc<RouteAttributes>> = BTreeMap::new();
        let mut told = BTreeMap::new();
        for (prefix, mut askers) in askers {
            askers.sort_by(|one, other| one.name.cmp(&other.name));
            let names = askers.iter().map(|asker| asker.name.as_str()).collect();
            let attributes = shared.entry(names).or_insert_with(|| Arc::new(RouteAttributes::of(&askers)));
            told.insert(prefix, Arc::clone(attributes));
        }
        told
    }
}

impl RouteAttributes {
    fn of(askers: &[&Arc<BgpAdvertisement>]) -> Self {
        let wishes: BTreeSet<u32> = askers.iter().filter_map(|asker| asker.local_pref).collect();
        let mut wishes = wishes.into_iter();
        Self {
            local_pref: wishes.next().filter(|_| wishes.next().is_none()),
            communities: askers.iter().flat_map(|asker| asker.communities.iter().copied()).collect(),
        }
    }
}

/// As which routes this node announces an address. `None`: no BGPAdvertisement is about it.
pub(super) fn of(
    view: &View<'_>,
    address: IpAddr,
    spec: &VirtualIPSpec,
    wishes: &[Wish<'_>],
) -> Option<Routes> {
    let ground = &view.ground.is;
    let pool = ground.pools.get(&spec.pool)?;
    let of_pool: Vec<_> = ground.bgp_advertisements.values().filter(|it| it.selects_pool(pool)).collect();
    let covered = |wish: &Wish<'_>| of_pool.iter().any(|it| it.selects_service(wish.service));
    if !wishes.iter().any(covered) {
        return None;
    }
    let covering: Vec<Vec<&Arc<BgpAdvertisement>>> = wishes
        .iter()
        .map(|wish| of_pool.iter().copied().filter(|it| it.selects_service(wish.service)).collect())
        .collect();
    let nodes: Vec<_> = wishes
        .iter()
        .zip(&covering)
        .map(|(wish, covering)| wish.served_by(view.ground.announcing(covering)))
        .collect();
    let agreed = sharing::agree(nodes.iter());
    if !agreed.nodes.contains(view.node) {
        let first = wishes.iter().zip(&covering).find(|(_, covering)| !covering.is_empty());
        let obstacle = first.map(|(wish, covering)| why_not_here(view, wish, covering))?;
        return Some(Routes { here: Err(obstacle) });
    }
    let node = ground.nodes.get(view.node)?;
    let mut routes = BTreeMap::new();
    let parties = covering.iter().zip(&agreed.parties).filter(|(_, is_party)| **is_party);
    for advertisement in parties.flat_map(|(covering, _)| covering).filter(|it| it.selects_node(node)) {
        if let Some(prefix) = advertisement.prefix(pool, address) {
            routes.insert(&advertisement.name, Route { prefix, advertisement: Arc::clone(advertisement) });
        }
    }
    Some(Routes { here: Ok(routes.into_values().collect()) })
}

fn why_not_here(view: &View<'_>, wish: &Wish<'_>, covering: &[&Arc<BgpAdvertisement>]) -> Obstacle {
    if let Some(obstacle) = wish.why_unservable() {
        return obstacle;
    }
    let node = view.node;
    let name = &wish.service.name;
    if view.ground.announcing(covering).contains(node) {
        let message =
            format!("Service {name} has externalTrafficPolicy Local and no ready endpoint on Node {node}");
        return Obstacle::new(Reason::NoLocalEndpoints, message);
    }
    let names: Vec<&str> = covering.iter().map(|it| it.name.as_str()).collect();
    view.ground.why_node_not_selected(node, &format!("BGPAdvertisement {}", names.join(", ")))
}

/// Whether a node with this reason to stay away goes on announcing for a while, and asks routers to prefer others (RFC 8326).
pub(super) fn leaves_in_order(away: Away) -> bool {
    match away {
        Away::Draining | Away::BeingRemoved => true,
        Away::Excluded | Away::OutOfService | Away::ShutDown | Away::NetworkUnavailable => false,
    }
}

/// Why `node` is about to carry nothing any more, if it leaves in order.
pub(super) fn leaving(ground: &Ground, node: &str) -> Option<Obstacle> {
    let away = ground.is.nodes.get(node)?.away.filter(|away| leaves_in_order(*away))?;
    Some(Obstacle::new(away.reason(), format!("Node {node} {away}")))
}

/// Whether `node` may announce routes.
pub(super) fn may_announce(node: &NodeInfo) -> bool {
    node.away.is_none_or(leaves_in_order)
}
