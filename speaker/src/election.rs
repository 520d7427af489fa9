// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From what this node should do to what its segments should carry: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_layer2::NodeId;

use crate::gates::Gates;
use crate::intent::{Carriage, Intent, InterfaceRule};
use crate::layer2::{Interfaces, Wanted, WantedVip};

/// What the segments should carry, of what is in place to be served.
pub fn wanted(intent: &Intent, gates: &Gates, cluster: &str) -> Wanted {
    let mut ids: BTreeMap<&str, NodeId> = BTreeMap::new();
    // Thousands of addresses share a few sets of nodes.
    let mut sets: BTreeMap<*const _, Arc<[NodeId]>> = BTreeMap::new();
    let mut preferred: BTreeMap<*const _, Arc<BTreeMap<NodeId, u32>>> = BTreeMap::new();
    intent
        .announced()
        .map(|(address, vip)| {
            let candidates = sets.entry(Arc::as_ptr(&vip.candidates)).or_insert_with(|| {
                let id = |node| *ids.entry(node).or_insert_with(|| NodeId::of(cluster, node));
                vip.candidates.iter().map(String::as_str).map(id).collect()
            });
            let preferences = preferred.entry(Arc::as_ptr(&vip.preferences)).or_insert_with(|| {
                let id = |node: &String| NodeId::of(cluster, node);
                Arc::new(vip.preferences.iter().map(|(node, weight)| (id(node), *weight)).collect())
            });
            let wanted = WantedVip {
                group: vip.group.clone(),
                candidates: Arc::clone(candidates),
                preferences: Arc::clone(preferences),
                ready: vip.here.is_ok() && gates.obstacle(address, vip).is_none(),
                interfaces: match &vip.interfaces {
                    InterfaceRule::OnLink => Interfaces::OnLink,
                    InterfaceRule::Named(names) => Interfaces::Named(names.iter().cloned().collect()),
                },
                bound: vip.carriage == Carriage::Bound,
                tcp_port: vip.tcp_port,
            };
            (address, wanted)
        })
        .collect()
}
