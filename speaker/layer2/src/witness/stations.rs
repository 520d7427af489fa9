// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whose a station is: of the nodes that are heard, and of those whose kernels may answer although nobody speaks for them.

use std::{collections::BTreeSet, net::IpAddr};

use super::Witness;
use crate::identity::{MacAddr, NodeId};

/// So many addresses of nodes are remembered; of more, those that are heard now.
const MOST: usize = 4096;

impl Witness {
    /// These nodes may be on the segment, heard or not, with these addresses.
    pub fn expect<'a>(&mut self, nodes: impl IntoIterator<Item = (NodeId, &'a [IpAddr])>) {
        for (node, addresses) in nodes {
            addresses.iter().for_each(|address| self.acquaint(node, *address));
        }
    }

    pub(super) fn acquaint(&mut self, node: NodeId, address: IpAddr) {
        if node == self.me {
            return;
        }
        if self.acquainted.len() >= MOST && !self.acquainted.contains_key(&address) {
            let heard: BTreeSet<IpAddr> = self.peers.values().copied().collect();
            self.acquainted.retain(|known, _| heard.contains(known));
        }
        self.acquainted.insert(address, node);
    }

    pub(super) fn is_of_a_node(&self, address: IpAddr) -> bool {
        self.acquainted.contains_key(&address)
    }

    pub(super) fn node_of(&self, mac: MacAddr) -> Option<NodeId> {
        let is_at = |source: &IpAddr| self.stations.get(source) == Some(&mac);
        let heard = self.peers.iter().find(|(_, source)| is_at(source)).map(|(node, _)| *node);
        heard.or_else(|| self.acquainted.iter().find(|(source, _)| is_at(source)).map(|(_, node)| *node))
    }
}
