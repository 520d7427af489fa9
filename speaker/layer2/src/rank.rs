// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who comes first: a total order of claims, and an order of candidates that every node computes alike.

use std::cmp::Reverse;

use crate::identity::{GroupId, NodeId, Term};

/// A node's weight for a group (rendezvous hashing): spreads groups evenly over nodes, and a node that leaves moves only its
/// own. The same in every build and on every machine.
pub(crate) fn score(group: GroupId, node: NodeId) -> u64 {
    let number = u128::from_be_bytes(node.0);
    let (high, low) = ((number >> 64) as u64, number as u64);
    mix(mix(mix(group.0) ^ high) ^ low)
}

/// A bijection on 64 bits in which every input bit reaches every output bit.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What decides between two claims to one group: the higher key owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) term: Term,
    score: u64,
    pub(crate) node: NodeId,
}

impl Key {
    pub(crate) fn of(group: GroupId, node: NodeId, term: Term) -> Self {
        Self { term, score: score(group, node), node }
    }
}

/// Someone who may claim a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    /// It is being emptied, or listens before it acts: it comes after all who do neither.
    pub(crate) reluctant: bool,
    /// It keeps falling silent: it comes after those that do not, however much they hold or are preferred.
    pub(crate) shaky: bool,
    /// How much it is preferred: it comes before all who are less so.
    pub(crate) preference: u32,
    /// It holds its share and more: it comes after those that hold less and are preferred as much.
    pub(crate) full: bool,
}

/// The candidates of a group, best first.
pub(crate) fn ranked(group: GroupId, candidates: impl IntoIterator<Item = Candidate>) -> Vec<NodeId> {
    let mut all: Vec<Candidate> = candidates.into_iter().collect();
    all.sort_by_key(|c| {
        let preference = Reverse(c.preference);
        (c.reluctant, c.shaky, preference, c.full, Reverse(score(group, c.node)), Reverse(c.node))
    });
    all.into_iter().map(|c| c.node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u16) -> NodeId {
        NodeId::of("test", &format!("node-{n}"))
    }

    fn willing(n: u16) -> Candidate {
        Candidate { node: node(n), reluctant: false, shaky: false, preference: 0, full: false }
    }

    #[test]
    fn scores_are_stable_across_builds() {
        assert_eq!(score(GroupId(0), NodeId([0; 16])), 0x2382_75bc_38fc_be91);
        assert_eq!(score(GroupId::of("192.0.2.10"), node(1)), 0x17ec_e587_a787_d8b9);
    }

    #[test]
    fn the_term_decides_before_the_score_and_the_score_before_the_node() {
        let group = GroupId(7);
        let (a, b) = (Key::of(group, node(1), Term(1)), Key::of(group, node(2), Term(2)));
        assert!(b > a);
        let b = Key::of(group, node(2), Term(1));
        assert_eq!(a > b, score(group, node(1)) > score(group, node(2)));
    }

    #[test]
    fn the_reluctant_rank_last() {
        let group = GroupId(3);
        let best = ranked(group, (0..5).map(willing));
        let first = best.first().copied();
        let with_first_reluctant =
            ranked(group, (0..5).map(|n| Candidate { reluctant: Some(node(n)) == first, ..willing(n) }));
        assert_eq!(with_first_reluctant.last().copied(), first);
        assert_eq!(with_first_reluctant[..4], best[1..]);
    }

    #[test]
    fn the_full_rank_after_those_with_room_and_before_the_shaky_and_the_reluctant() {
        let group = GroupId(3);
        let best = ranked(group, (0..5).map(willing));
        let worse = ranked(
            group,
            (0..5).map(|n| Candidate {
                full: node(n) == best[0],
                reluctant: node(n) == best[1],
                shaky: node(n) == best[2],
                ..willing(n)
            }),
        );
        assert_eq!(worse, [best[3], best[4], best[0], best[2], best[1]]);
    }

    #[test]
    fn the_preferred_rank_first_though_they_are_full_unless_they_are_reluctant() {
        let group = GroupId(3);
        let best = ranked(group, (0..4).map(willing));
        let preferred = ranked(
            group,
            (0..4).map(|n| {
                let is = |rank: usize| node(n) == best[rank];
                let preference = if is(1) || is(3) { 50 } else { u32::from(is(2)) * 60 };
                Candidate { preference, full: is(1), reluctant: is(2), ..willing(n) }
            }),
        );
        assert_eq!(preferred, [best[3], best[1], best[0], best[2]]);
    }

    #[test]
    fn groups_spread_evenly_and_a_leaving_node_moves_only_its_own() {
        let (nodes, groups) = (10, 10_000);
        let mut owned = vec![0u32; usize::from(nodes)];
        for group in (0..groups).map(|g| GroupId::of(&g.to_string())) {
            let all = ranked(group, (0..nodes).map(willing));
            owned[usize::from((0..nodes).find(|n| node(*n) == all[0]).unwrap())] += 1;
            let without_last = ranked(group, (0..nodes - 1).map(willing));
            if all[0] != node(nodes - 1) {
                assert_eq!(all[0], without_last[0]);
            }
        }
        assert!(owned.iter().all(|n| (850..1150).contains(n)), "{owned:?}");
    }
}
