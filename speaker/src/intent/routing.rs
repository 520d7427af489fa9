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
use super::{Intent, Obstacle, VipIntent, sharing};

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
    /// The BGPAdvertisement that says who is told, and how.
    pub advertisement: Arc<str>,
}

/// BGPAdvertisements by name.
pub type Advertisements = BTreeMap<Arc<str>, Arc<BgpAdvertisement>>;

/// What a router is told of a prefix, besides this node's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteAttributes {
    /// LOCAL_PREF, for routers of our own autonomous system. Where advertisements disagree, there is none.
    pub local_pref: Option<u32>,
    /// The communities of all advertisements together.
    pub communities: BTreeSet<Community>,
}

/// The prefixes that this node announces, each with the BGPAdvertisements that ask for it: what routers are told, but for what is
/// said of them.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// In ascending order, each once; with the place of its askers.
    prefixes: Box<[(IpNet, usize)]>,
    /// Names in ascending order. Thousands of prefixes share a few sets.
    askers: Box<[Box<[Arc<str>]>]>,
}

impl Intent {
    /// The routes for the addresses that `may_carry` lets this node carry.
    pub fn carried(&self, may_carry: impl Fn(IpAddr, &VipIntent) -> bool) -> Carried {
        let announced = self
            .routes
            .iter()
            .filter(|(address, _)| self.vips.get(address).is_some_and(|vip| may_carry(**address, vip)));
        let routes = announced.flat_map(|(_, routes)| routes.here.as_deref().unwrap_or_default());
        let mut asked: Vec<(IpNet, &Arc<str>)> =
            routes.map(|route| (route.prefix, &route.advertisement)).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut places: BTreeMap<Vec<&Arc<str>>, usize> = BTreeMap::new();
        let mut askers = Vec::new();
        let prefixes = asked.chunk_by(|one, other| one.0 == other.0).filter_map(|chunk| {
            let (prefix, _) = chunk.first()?;
            let names: Vec<&Arc<str>> = chunk.iter().map(|(_, name)| *name).collect();
            let place = *places.entry(names).or_insert_with_key(|names| {
                askers.push(names.iter().map(|name| Arc::clone(name)).collect());
                askers.len() - 1
            });
            Some((*prefix, place))
        });
        Carried { prefixes: prefixes.collect(), askers: askers.into() }
    }
}

impl Carried {
    /// What the BGPPeer of this name shall know. Routes that are alike share their attributes.
    pub fn routes_to(&self, peer: &str, said: &Advertisements) -> BTreeMap<IpNet, Arc<RouteAttributes>> {
        let attributes = self.askers.iter().map(|names| {
            let askers =
                names.iter().filter_map(|name| said.get(name)).filter(|asker| asker.selects_peer(peer));
            askers.clone().next()?;
            Some(Arc::new(RouteAttributes::of(askers)))
        });
        let attributes: Vec<_> = attributes.collect();
        let of = |place: usize| attributes.get(place).cloned().flatten();
        self.prefixes.iter().filter_map(|(prefix, place)| Some((*prefix, of(*place)?))).collect()
    }
}

impl RouteAttributes {
    fn of<'a>(askers: impl Iterator<Item = &'a Arc<BgpAdvertisement>> + Clone) -> Self {
        let wishes: BTreeSet<u32> = askers.clone().filter_map(|asker| asker.local_pref).collect();
        let mut wishes = wishes.into_iter();
        Self {
            local_pref: wishes.next().filter(|_| wishes.next().is_none()),
            communities: askers.flat_map(|asker| asker.communities.iter().copied()).collect(),
        }
    }
}

/// A BGPAdvertisement with its name.
pub(super) type Named<'a> = (&'a Arc<str>, &'a Arc<BgpAdvertisement>);

/// Whether two forms of one BGPAdvertisement ask for the same routes, whatever they say of them and to whom.
pub(super) fn asks_alike(one: &BgpAdvertisement, other: &BgpAdvertisement) -> bool {
    // Named one by one, so that a new field is put on one side or the other.
    let BgpAdvertisement {
        name,
        pools,
        pool_selectors,
        length_v4,
        length_v6,
        node_selectors,
        service_selectors,
        local_pref: _,
        communities: _,
        peers: _,
    } = one;
    *name == other.name
        && *pools == other.pools
        && *pool_selectors == other.pool_selectors
        && (*length_v4, *length_v6) == (other.length_v4, other.length_v6)
        && *node_selectors == other.node_selectors
        && *service_selectors == other.service_selectors
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
    let advertisements = view.ground.bgp_advertisements.iter();
    let of_pool: Vec<_> = advertisements.filter(|(_, it)| it.selects_pool(pool)).collect();
    let covered = |wish: &Wish<'_>| of_pool.iter().any(|(_, it)| it.selects_service(wish.service));
    if !wishes.iter().any(covered) {
        return None;
    }
    let covering: Vec<Vec<Named<'_>>> = wishes
        .iter()
        .map(|wish| of_pool.iter().copied().filter(|(_, it)| it.selects_service(wish.service)).collect())
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
    for (name, asker) in parties.flat_map(|(covering, _)| covering).filter(|(_, it)| it.selects_node(node)) {
        if let Some(prefix) = asker.prefix(pool, address) {
            routes.insert(name, Route { prefix, advertisement: Arc::clone(name) });
        }
    }
    Some(Routes { here: Ok(routes.into_values().collect()) })
}

fn why_not_here(view: &View<'_>, wish: &Wish<'_>, covering: &[Named<'_>]) -> Obstacle {
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
    let names: Vec<&str> = covering.iter().map(|(name, _)| name.as_ref()).collect();
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
