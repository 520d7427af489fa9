// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BGPAdvertisements with their selectors and communities read.

mod doubts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::community::{Community, Names};
use super::lists::{self, any_or_empty, select_pool, twice};
use super::{LoadBalancer, NodeInfo, Pool};
use crate::address::Family;
use crate::api::{BGPAdvertisement, BGPAdvertisementSpec};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;

pub(super) use self::doubts::doubts;

/// The kind in messages.
const KIND: &str = "BGPAdvertisement";

/// Which pools are announced to which routers, and as which routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpAdvertisement {
    /// Its name.
    pub name: String,
    /// Pools by name.
    pub pools: BTreeSet<String>,
    /// Pools by label, in addition to those named.
    pub pool_selectors: Vec<Selector>,
    /// How long the prefixes of IPv4 routes are.
    pub length_v4: u8,
    /// How long the prefixes of IPv6 routes are.
    pub length_v6: u8,
    /// LOCAL_PREF; `None`: it has no wish.
    pub local_pref: Option<u32>,
    /// Communities.
    pub communities: BTreeSet<Community>,
    /// Peers by name; empty: all.
    pub peers: BTreeSet<String>,
    /// Nodes that announce; empty: all.
    pub node_selectors: Vec<Selector>,
    /// Services whose addresses are announced; empty: all.
    pub service_selectors: Vec<Selector>,
}

impl BgpAdvertisement {
    /// Whether addresses of `pool` are announced.
    pub fn selects_pool(&self, pool: &Pool) -> bool {
        select_pool(&self.pools, &self.pool_selectors, pool)
    }

    /// Whether `node` announces.
    pub fn selects_node(&self, node: &NodeInfo) -> bool {
        any_or_empty(&self.node_selectors, &node.labels)
    }

    /// Whether the addresses of `service` are announced.
    pub fn selects_service(&self, service: &LoadBalancer) -> bool {
        any_or_empty(&self.service_selectors, &service.labels)
    }

    /// Whether the peer of this name is told.
    pub fn selects_peer(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.contains(peer)
    }

    /// The prefix by which `address` of `pool` is announced: as wide as is asked for, but never wider than the pool.
    pub fn prefix(&self, pool: &Pool, address: IpAddr) -> Option<IpNet> {
        pool.ranges.widest_prefix(address, self.length(Family::of(address)))
    }

    fn length(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.length_v4,
            Family::V6 => self.length_v6,
        }
    }
}

pub(super) fn build(
    objects: &BTreeMap<String, Arc<BGPAdvertisement>>,
    names: &Names,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<String, Arc<BgpAdvertisement>> {
    let mut advertisements = BTreeMap::new();
    for (name, object) in objects {
        let usable = read(name, &object.spec, names).or_else(|refusals| {
            refused.extend(refusals);
            let accepted = object.status.as_ref().and_then(|status| status.accepted.as_ref());
            accepted.ok_or(()).and_then(|spec| read(name, spec, names).map_err(drop))
        });
        if let Ok(advertisement) = usable {
            advertisements.insert(name.clone(), Arc::new(advertisement));
        }
        let itself = ObjectRef::cluster(KIND, name);
        refused.extend(twice(&itself, "addressPools", &object.spec.address_pools));
        refused.extend(twice(&itself, "communities", &object.spec.communities));
        refused.extend(twice(&itself, "peers", &object.spec.peers));
    }
    advertisements
}

fn read(name: &str, spec: &BGPAdvertisementSpec, names: &Names) -> Result<BgpAdvertisement, Vec<Refusal>> {
    let object = ObjectRef::cluster(KIND, name);
    let mut refusals = Vec::new();
    let mut length = |field: &str, given: Option<u8>, most: u8| {
        let length = given.unwrap_or(most);
        if !(1..=most).contains(&length) {
            let message = format!("a prefix has 1 to {most} bits, not {length}");
            let refusal = Refusal::error(Reason::InvalidValue, object.clone(), message);
            let remedy = "Correct the length; until then the last accepted form stays in force.";
            refusals.push(refusal.field(format!("spec.{field}")).remedy(remedy));
        }
        length
    };
    let length_v4 = length("aggregationLength", spec.aggregation_length, 32);
    let length_v6 = length("aggregationLengthV6", spec.aggregation_length_v6, 128);
    let mut communities = BTreeSet::new();
    for (index, text) in spec.communities.iter().enumerate() {
        match names.resolve(text, &object, &format!("spec.communities[{index}]")) {
            Ok(community) => drop(communities.insert(community)),
            Err(refusal) => refusals.push(*refusal),
        }
    }
    let mut selectors = |field: &str, list: &[_]| lists::selectors(&object, field, "", list, &mut refusals);
    let advertisement = BgpAdvertisement {
        name: name.to_owned(),
        pools: spec.address_pools.iter().cloned().collect(),
        pool_selectors: selectors("addressPoolSelectors", &spec.address_pool_selectors),
        length_v4,
        length_v6,
        local_pref: spec.local_pref,
        communities,
        peers: spec.peers.iter().cloned().collect(),
        node_selectors: selectors("nodeSelectors", &spec.node_selectors),
        service_selectors: selectors("serviceSelectors", &spec.service_selectors),
    };
    if refusals.is_empty() { Ok(advertisement) } else { Err(refusals) }
}
