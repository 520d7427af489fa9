// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The few objects that every decision stands on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Advertisement, BgpAdvertisement, BgpPeer, LoadBalancer, NodeInfo, Pool, advertisement, bfd_profile,
    bgp_advertisement, bgp_peer, community, node, pool,
};
use crate::compat;
use crate::name::ServiceName;
use crate::objects::Objects;
use crate::reason::Refusal;

/// The few objects that every decision stands on; they change seldom, and what is decided of thousands of addresses
/// follows from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ground {
    /// Pools by name, also those that are refused: see [`Pool::accepting`].
    pub pools: BTreeMap<String, Pool>,
    /// L2Advertisements by name.
    pub advertisements: BTreeMap<String, Advertisement>,
    /// BGPAdvertisements by name.
    pub bgp_advertisements: BTreeMap<String, Arc<BgpAdvertisement>>,
    /// BGPPeers by name.
    pub peers: BTreeMap<String, BgpPeer>,
    /// The names of the BFDProfiles that can be used.
    pub bfd_profiles: BTreeSet<String>,
    /// The names of the Community objects.
    pub communities: BTreeSet<String>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeInfo>,
}

impl Ground {
    /// Reads them, MetalLB's among them; what is refused or warned about is added to `refused`.
    pub fn build(objects: &Objects, refused: &mut Vec<Refusal>) -> Self {
        let pools = pools(objects, refused);
        let advertisements = merged(compat::l2_advertisements(objects), refused, advertisement::build);
        let names = compat::communities(objects);
        let communities = names.objects.keys().cloned().collect();
        let names = merged(names, refused, community::build);
        let bgp_advertisements = merged(compat::bgp_advertisements(objects), refused, |all, refused| {
            bgp_advertisement::build(all, &names, refused)
        });
        let profiles = merged(compat::bfd_profiles(objects), refused, bfd_profile::build);
        let (peers, passwords) = compat::bgp_peers(objects);
        let peers =
            merged(peers, refused, |all, refused| bgp_peer::build(all, &profiles, &passwords, refused));
        let bfd_profiles = profiles.into_keys().collect();
        let nodes = node::build(&objects.nodes);
        Self { pools, advertisements, bgp_advertisements, peers, bfd_profiles, communities, nodes }
    }

    /// Adds to `refused` what is in force, but not wholly as it may be meant.
    pub(super) fn doubt(
        &self,
        objects: &Objects,
        services: &BTreeMap<ServiceName, LoadBalancer>,
        refused: &mut Vec<Refusal>,
    ) {
        let mut doubts = bgp_advertisement::doubts(self, services);
        doubts.extend(bgp_peer::doubles(&self.peers, &self.nodes));
        compat::bgp_advertisements(objects).origins.attribute(&mut doubts);
        compat::bgp_peers(objects).0.origins.attribute(&mut doubts);
        refused.extend(doubts);
    }
}

/// Reads objects of ours and MetalLB's; what is refused speaks of those that are really there.
fn merged<K: Clone, T>(
    merged: compat::Merged<'_, K>,
    refused: &mut Vec<Refusal>,
    read: impl FnOnce(&BTreeMap<String, Arc<K>>, &mut Vec<Refusal>) -> T,
) -> T {
    let compat::Merged { objects, refused: mut all, origins } = merged;
    let read = read(&objects, &mut all);
    origins.attribute(&mut all);
    refused.extend(all);
    read
}

/// Our pools and MetalLB's.
fn pools(objects: &Objects, refused: &mut Vec<Refusal>) -> BTreeMap<String, Pool> {
    let compat::Merged { objects, refused: mut all, origins } = compat::pools(objects);
    let mut pools = pool::build(&objects, &mut all);
    origins
        .attribute(all.iter_mut().chain(pools.values_mut().filter_map(|pool| pool.accepting.as_mut().err())));
    refused.extend(all);
    pools
}
