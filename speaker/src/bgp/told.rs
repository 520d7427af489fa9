// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The routes that a router is told, for who asks.

use ferrolb_bgp::{Attributes, Community, LargeCommunity, NextHop};
use ferrolb_config::routes_told::RouteTold;

use super::next_hop::NextHops;
use super::picture::Live;
use super::{Announcement, View};

impl Live {
    /// What the router is told, with the attributes that the session gives it; without one, what it shall be told.
    pub(crate) fn routes(&self) -> Vec<RouteTold> {
        let Some(wish) = self.wishes.borrow().clone() else { return Vec::new() };
        let View { peer, ends, .. } = self.view();
        let (Some(agreed), Some((local, remote))) = (peer.negotiated, ends) else {
            return wish.routes.iter().map(|(prefix, said)| wanted(prefix.to_string(), said)).collect();
        };
        let (local, remote) = (local.ip().to_canonical(), remote.ip().to_canonical());
        let next_hops = NextHops::find(local, remote).unwrap_or_else(|_| NextHops::only(local));
        let internal = agreed.is_internal();
        let told = wish.resolve(&agreed, next_hops);
        told.iter().map(|(prefix, said)| route(prefix.to_string(), said, internal)).collect()
    }
}

fn wanted(prefix: String, said: &Announcement) -> RouteTold {
    let communities = communities(&said.communities, &said.large_communities);
    RouteTold { prefix, next_hop: None, local_pref: said.local_pref, communities }
}

fn route(prefix: String, said: &Attributes, internal: bool) -> RouteTold {
    let next_hop = match said.next_hop {
        NextHop::V4(address) => address.to_string(),
        NextHop::V6 { global, .. } => global.to_string(),
    };
    RouteTold {
        prefix,
        next_hop: Some(next_hop),
        local_pref: said.local_pref.filter(|_| internal),
        communities: communities(&said.communities, &said.large_communities),
    }
}

fn communities<'a>(
    standard: impl IntoIterator<Item = &'a Community>,
    large: impl IntoIterator<Item = &'a LargeCommunity>,
) -> Vec<String> {
    let large = large.into_iter().map(|community| format!("large:{community}"));
    standard.into_iter().map(ToString::to_string).chain(large).collect()
}
