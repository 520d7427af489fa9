// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Advertisements that are in force, but not wholly as they may be meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BgpAdvertisement, KIND};
use crate::ServiceName;
use crate::address::Family;
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::snapshot::{Ground, LoadBalancer, Pool};

/// What is doubtful in the advertisements of `ground`.
pub(in crate::snapshot) fn doubts(
    ground: &Ground,
    services: &BTreeMap<ServiceName, LoadBalancer>,
) -> Vec<Refusal> {
    let mut doubts = Vec::new();
    let all: Vec<&Arc<BgpAdvertisement>> = ground.bgp_advertisements.values().collect();
    for (index, advertisement) in all.iter().enumerate() {
        doubts.extend(narrower(advertisement, ground));
        doubts.extend(strangers(advertisement, ground));
        let earlier = all.iter().take(index);
        let disagrees = |other: &&&Arc<BgpAdvertisement>| disagree(other, advertisement, ground, services);
        if let Some(other) = earlier.clone().find(disagrees) {
            doubts.push(disagreement(advertisement, other));
            doubts.push(disagreement(other, advertisement));
        }
    }
    doubts
}

/// Pools into which no prefix of the length fits: their prefixes are longer.
fn narrower(advertisement: &BgpAdvertisement, ground: &Ground) -> Vec<Refusal> {
    let lengths = [(Family::V4, "aggregationLength", 32), (Family::V6, "aggregationLengthV6", 128)];
    let mut doubts = Vec::new();
    for pool in ground.pools.values().filter(|pool| advertisement.selects_pool(pool)) {
        for (family, field, most) in lengths {
            let length = advertisement.length(family);
            if length < most && pool.ranges.has_family(family) && !has_room(pool, family, length) {
                let message = format!(
                    "no prefix of /{length} fits into AddressPool {}; its addresses are announced by longer ones, which cover \
                     nothing outside the pool",
                    pool.name
                );
                let object = ObjectRef::cluster(KIND, &advertisement.name);
                let doubt = Refusal::warning(Reason::AggregateTooWide, object, message);
                doubts.push(
                    doubt.field(format!("spec.{field}")).remedy("Write a longer length, or widen the pool."),
                );
            }
        }
    }
    doubts
}

/// Whether a prefix of `length` fits into the pool.
fn has_room(pool: &Pool, family: Family, length: u8) -> bool {
    let whole = |range: crate::address::Range| {
        let at = |address| pool.ranges.widest_prefix(address, length);
        // If there is one, the first that begins within the range is it.
        let begins = at(range.first()).is_some_and(|prefix| prefix.prefix_len() == length);
        let next = || ipnet::IpNet::new(range.first(), length).ok().and_then(|prefix| after(&prefix));
        begins || next().and_then(at).is_some_and(|prefix| prefix.prefix_len() == length)
    };
    pool.ranges.ranges().filter(|range| range.family() == family).any(whole)
}

/// The first address after `prefix`.
fn after(prefix: &ipnet::IpNet) -> Option<std::net::IpAddr> {
    match prefix.broadcast() {
        std::net::IpAddr::V4(last) => {
            last.to_bits().checked_add(1).map(|next| std::net::Ipv4Addr::from_bits(next).into())
        }
        std::net::IpAddr::V6(last) => {
            last.to_bits().checked_add(1).map(|next| std::net::Ipv6Addr::from_bits(next).into())
        }
    }
}

/// Peers that are named and not there.
fn strangers(advertisement: &BgpAdvertisement, ground: &Ground) -> Vec<Refusal> {
    let absent = advertisement.peers.iter().filter(|peer| !ground.peers.contains_key(*peer));
    let doubt = |peer: &String| {
        let object = ObjectRef::cluster(KIND, &advertisement.name);
        let message = format!("there is no BGPPeer \"{peer}\" that can be used");
        let known: Vec<&str> = ground.peers.keys().map(String::as_str).take(8).collect();
        let remedy = match known.as_slice() {
            [] => "Add the peer.".to_owned(),
            known => format!("Correct the name; there are {}.", known.join(", ")),
        };
        Refusal::warning(Reason::NotFound, object, message).field("spec.peers").remedy(remedy)
    };
    absent.map(doubt).collect()
}

/// Whether some node would tell some peer two preferences for one route.
fn disagree(
    one: &BgpAdvertisement,
    other: &BgpAdvertisement,
    ground: &Ground,
    services: &BTreeMap<ServiceName, LoadBalancer>,
) -> bool {
    let both_wish = matches!((one.local_pref, other.local_pref), (Some(one), Some(other)) if one != other);
    let selective = || !one.service_selectors.is_empty() && !other.service_selectors.is_empty();
    both_wish
        && (one.peers.is_empty()
            || other.peers.is_empty()
            || one.peers.intersection(&other.peers).next().is_some())
        && ground.nodes.values().any(|node| one.selects_node(node) && other.selects_node(node))
        && ground.pools.values().any(|pool| {
            let same = |family| pool.ranges.has_family(family) && one.length(family) == other.length(family);
            one.selects_pool(pool) && other.selects_pool(pool) && (same(Family::V4) || same(Family::V6))
        })
        && (!selective()
            || services
                .values()
                .any(|service| one.selects_service(service) && other.selects_service(service)))
}

fn disagreement(advertisement: &BgpAdvertisement, other: &BgpAdvertisement) -> Refusal {
    let message = format!(
        "BGPAdvertisement {} has another localPref for some of the same routes; these are announced without one",
        other.name
    );
    Refusal::warning(Reason::ContradictoryRequest, ObjectRef::cluster(KIND, &advertisement.name), message)
        .field("spec.localPref")
        .remedy("Give both the same, or let them select other pools, lengths, peers, nodes or Services.")
}
