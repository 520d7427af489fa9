// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What an UPDATE means, in words that every codec's words can be put into.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ferrolb_bgp::{NextHop, Update};
use ipnet::IpNet;

/// The routes of an UPDATE and what they are sent with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) announced: BTreeSet<IpNet>,
    pub(crate) withdrawn: BTreeSet<IpNet>,
    pub(crate) next_hop: Option<Ipv4Addr>,
    /// The next hop within MP_REACH_NLRI.
    pub(crate) reachable_by: Option<(IpAddr, Option<Ipv6Addr>)>,
    pub(crate) origin: Option<u8>,
    pub(crate) path: Vec<u32>,
    pub(crate) med: Option<u32>,
    pub(crate) local_pref: Option<u32>,
    pub(crate) communities: BTreeSet<u32>,
    pub(crate) extended_communities: BTreeSet<u64>,
    pub(crate) large_communities: BTreeSet<[u32; 3]>,
}

impl From<&Update<'_>> for Meaning {
    fn from(update: &Update<'_>) -> Self {
        let attributes = update.attributes();
        // RFC 6793, section 4.2.3, for paths of equal length.
        let path = attributes.as4_path.or(attributes.as_path);
        Self {
            announced: update.announced().collect(),
            withdrawn: update.withdrawn().collect(),
            next_hop: attributes.next_hop,
            reachable_by: update.reachable().map(|reachable| match reachable.next_hop {
                NextHop::V4(address) => (address.into(), None),
                NextHop::V6 { global, link_local } => (global.into(), link_local),
            }),
            origin: attributes.origin.map(|origin| origin.code()),
            path: path.into_iter().flat_map(|path| path.numbers()).collect(),
            med: attributes.med,
            local_pref: attributes.local_pref,
            communities: attributes.communities().map(|community| community.0).collect(),
            extended_communities: attributes
                .extended_communities()
                .map(|community| u64::from_be_bytes(community.0))
                .collect(),
            large_communities: attributes
                .large_communities()
                .map(|community| [community.global, community.data1, community.data2])
                .collect(),
        }
    }
}
