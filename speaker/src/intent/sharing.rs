// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Several Services on one address, and several addresses in one group: all have to be carried by one node.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::reason::Reason;

use super::{Obstacle, VipIntent};

/// Nodes that several parties can agree on.
pub(super) struct Agreement {
    /// The nodes; empty only if no party offers one.
    pub(super) nodes: Arc<BTreeSet<String>>,
    /// Whether each party has part in it, in their order.
    pub(super) parties: Vec<bool>,
}

/// The nodes that suit all parties. One without any node does not constrain the others, and one that would leave nothing
/// has to stand back behind those before it.
pub(super) fn agree<'a>(parties: impl Iterator<Item = &'a Arc<BTreeSet<String>>>) -> Agreement {
    let mut agreement = Agreement { nodes: Arc::default(), parties: Vec::new() };
    for nodes in parties {
        let is_party = if nodes.is_empty() {
            false
        } else if agreement.nodes.is_empty() || agreement.nodes == *nodes {
            agreement.nodes = Arc::clone(nodes);
            true
        } else {
            let common: BTreeSet<String> = agreement.nodes.intersection(nodes).cloned().collect();
            let is_common = !common.is_empty();
            if is_common {
                agreement.nodes = Arc::new(common);
            }
            is_common
        };
        agreement.parties.push(is_party);
    }
    agreement
}

/// Makes all announced addresses of one group have the same candidates and prefer the same of them. The lowest address has the first word, so they
/// come in ascending order.
pub(super) fn agree_within_group(members: &mut [(IpAddr, Arc<VipIntent>)], node: &str) {
    let agreed = agree(members.iter().map(|(_, vip)| &vip.candidates));
    let elsewhere = members.iter().zip(&agreed.parties).find_map(|((address, vip), is_party)| {
        Some((address, vip.here.as_ref().err().filter(|_| *is_party)?))
    });
    let elsewhere = elsewhere.map(|(address, obstacle)| {
        let message = format!("{address} belongs to the same group: {}", obstacle.message);
        Obstacle::new(obstacle.reason, message)
    });
    let conflict = Obstacle::new(
        Reason::SharingConflict,
        "no node can carry this address together with the others of its group",
    );
    let preferences = members
        .iter()
        .zip(&agreed.parties)
        .find_map(|((_, vip), is_party)| is_party.then(|| Arc::clone(&vip.preferences)));
    let preferences = preferences.unwrap_or_default();
    for ((_, vip), is_party) in members.iter_mut().zip(&agreed.parties) {
        if vip.candidates.is_empty() {
            continue;
        }
        let vip = Arc::make_mut(vip);
        vip.preferences = Arc::clone(&preferences);
        vip.candidates = if *is_party { Arc::clone(&agreed.nodes) } else { Arc::default() };
        if vip.here.is_ok() && !vip.candidates.contains(node) {
            let obstacle = if *is_party { elsewhere.as_ref() } else { None };
            vip.here = Err(obstacle.unwrap_or(&conflict).clone());
        }
    }
}
