// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From what this node should do to what its segments should carry: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_layer2::NodeId;

use crate::intent::{Intent, InterfaceRule};
use crate::layer2::{Interfaces, Wanted, WantedVip};

/// What the segments should carry, if the data path of the addresses in `ready` is in place.
pub(crate) fn wanted(intent: &Intent, ready: &BTreeSet<IpAddr>, cluster: &str) -> Wanted {
    let mut ids: BTreeMap<&str, NodeId> = BTreeMap::new();
    intent
        .announced()
        .map(|(address, vip)| {
            let candidates = vip.candidates.iter();
            let wanted = WantedVip {
                group: vip.group.clone(),
                candidates: candidates
                    .map(|node| *ids.entry(node).or_insert_with(|| NodeId::of(cluster, node)))
                    .collect(),
                ready: vip.here.is_ok() && ready.contains(&address),
                interfaces: match &vip.interfaces {
                    InterfaceRule::OnLink => Interfaces::OnLink,
                    InterfaceRule::Named(names) => Interfaces::Named(names.iter().cloned().collect()),
                },
            };
            (address, wanted)
        })
        .collect()
}
