// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The load bound of new claims: whoever has its share and a quarter more lets others go first. What a node holds it keeps,
//! so that the bound never moves anything.

use std::collections::BTreeMap;

use crate::identity::NodeId;

/// How many groups a node may hold before it comes after those that hold fewer: a quarter more than the mean of so many
/// groups over so many nodes, rounded up.
pub(crate) fn cap(groups: usize, nodes: usize) -> usize {
    (groups * 5).div_ceil(nodes.max(1) * 4)
}

/// Claims that peers are about to make.
///
/// A death vacates many groups at once, for which all survivors rank each other in the same moment. Each group for which a
/// peer comes first counts as its own until its next hello tells, or all would take it for as free as before the first.
#[derive(Debug, Default)]
pub(crate) struct Presumed(BTreeMap<NodeId, usize>);

impl Presumed {
    /// The peer is expected to claim one more group.
    pub(crate) fn claim(&mut self, node: NodeId) {
        let claims = self.0.entry(node).or_default();
        *claims = claims.saturating_add(1);
    }

    /// The peer told how many it holds, or is gone.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    pub(crate) fn of(&self, node: NodeId) -> usize {
        self.0.get(&node).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_a_quarter_above_the_mean_rounded_up() {
        let caps = [(0, 3), (1, 3), (2, 3), (12, 3), (40, 5), (41, 5), (10_000, 3), (5, 0)];
        assert_eq!(caps.map(|(groups, nodes)| cap(groups, nodes)), [0, 1, 1, 5, 10, 11, 4_167, 7]);
    }

    #[test]
    fn whatever_is_free_there_is_a_node_below_the_cap() {
        for groups in 1..200 {
            for nodes in 1..20 {
                assert!((groups - 1) / nodes < cap(groups, nodes), "{groups} groups, {nodes} nodes");
            }
        }
    }
}
