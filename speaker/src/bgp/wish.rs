// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a peer shall know, before a session says how to get there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_bgp::{Attributes, Community, Family, LargeCommunity, Negotiated, Routes};
use ipnet::IpNet;

use super::next_hop::NextHops;

/// The routes that one peer shall know. Those that share an [`Arc`] share messages without being compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// By prefix.
    pub routes: BTreeMap<IpNet, Arc<Announcement>>,
}

/// What is said of a route. The next hop is this node, and the path follows from the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Announcement {
    /// LOCAL_PREF, higher is better; said to iBGP peers only.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC, lower is better.
    pub med: Option<u32>,
    /// Standard communities (RFC 1997).
    pub communities: BTreeSet<Community>,
    /// Large communities (RFC 8092).
    pub large_communities: BTreeSet<LargeCommunity>,
}

impl Wish {
    /// The same routes, with the wish that others be preferred (RFC 8326).
    pub(super) fn that_asks_for_others(&self) -> Self {
        let mut made: BTreeMap<*const Announcement, Arc<Announcement>> = BTreeMap::new();
        let route = |(prefix, said): (&IpNet, &Arc<Announcement>)| {
            let asks = made.entry(Arc::as_ptr(said)).or_insert_with(|| {
                let mut asks = Announcement::clone(said);
                asks.communities.insert(Community::GRACEFUL_SHUTDOWN);
                Arc::new(asks)
            });
            (*prefix, Arc::clone(asks))
        };
        Self { routes: self.routes.iter().map(route).collect() }
    }

    /// The routes as this session says them.
    pub(super) fn resolve(&self, session: &Negotiated, next_hops: NextHops) -> Routes {
        let mut made: BTreeMap<(*const Announcement, Family), Arc<Attributes>> = BTreeMap::new();
        let route = |(prefix, said): (&IpNet, &Arc<Announcement>)| {
            let family = Family::of(prefix);
            let attributes = made.entry((Arc::as_ptr(said), family)).or_insert_with(|| {
                Arc::new(Attributes {
                    local_pref: said.local_pref,
                    med: said.med,
                    communities: said.communities.clone(),
                    large_communities: said.large_communities.clone(),
                    ..Attributes::new(next_hops.of(family, session.extended_next_hop))
                })
            });
            (*prefix, Arc::clone(attributes))
        };
        self.routes.iter().map(route).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_others_adds_to_every_route_and_keeps_them_grouped() {
        let said =
            Announcement { communities: [Community::new(65_001, 7)].into(), ..Announcement::default() };
        let said = Arc::new(said);
        let routes =
            ["198.51.100.1/32", "198.51.100.2/32"].map(|prefix| (prefix.parse().unwrap(), Arc::clone(&said)));
        let asks = Wish { routes: routes.into() }.that_asks_for_others();
        let said: Vec<_> = asks.routes.values().collect();
        assert_eq!(said[0].communities, [Community::new(65_001, 7), Community::GRACEFUL_SHUTDOWN].into());
        assert!(Arc::ptr_eq(said[0], said[1]));
    }
}
