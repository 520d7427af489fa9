// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which pool keeps an address that two pools want: the edit that causes an overlap loses (among new ones the later
//! name), and the pool's accepted ranges stay in force.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::{Range, RangeSet};

/// What one pool asks for. Bids come in the order of the names.
#[derive(Clone)]
pub(super) struct Bid<'a> {
    pub(super) name: &'a str,
    /// The spec's ranges; `None` when the spec is invalid.
    pub(super) wanted: Option<RangeSet>,
    /// The ranges that were accepted last.
    pub(super) accepted: RangeSet,
}

/// What one pool is given.
pub(super) struct Award {
    /// The ranges in force.
    pub(super) ranges: RangeSet,
    /// The overlap that the wanted ranges lost.
    pub(super) lost_to: Option<Lost>,
}

/// An overlap, from the loser's side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    pub(super) pool: String,
    pub(super) range: Range,
}

/// Settles all overlaps. The awarded ranges are disjoint, in the order of `bids`.
pub(super) fn settle(mut bids: Vec<Bid<'_>>) -> Vec<Award> {
    disjoin_accepted(&mut bids);
    // Who lost keeps its accepted ranges, and they may be in the way of an edit that was let through before: so the
    // losers of a pass are fixed for the next one, until a pass finds nobody new. Each pass adds a loser or ends.
    let mut losers: BTreeMap<usize, Lost> = BTreeMap::new();
    loop {
        let found = pass(&bids, &losers);
        if found.is_empty() {
            break;
        }
        losers.extend(found);
    }
    bids.into_iter()
        .enumerate()
        .map(|(index, bid)| match (losers.remove(&index), bid.wanted) {
            (None, Some(wanted)) => Award { ranges: wanted, lost_to: None },
            (lost_to, _) => Award { ranges: bid.accepted, lost_to },
        })
        .collect()
}

/// Accepted ranges are disjoint as the controller writes them; after tampering the first name keeps what overlaps.
fn disjoin_accepted(bids: &mut [Bid<'_>]) {
    let mut ground = Ground::default();
    for (index, bid) in bids.iter_mut().enumerate() {
        let taken: RangeSet = ground.overlaps(&bid.accepted, index).map(|(_, range)| range).collect();
        bid.accepted = bid.accepted.difference(&taken);
        ground.take(&bid.accepted, index);
    }
}

/// One pass: everybody first holds what cannot be taken from it, then those who want more ask in the order of names.
fn pass(bids: &[Bid<'_>], losers: &BTreeMap<usize, Lost>) -> BTreeMap<usize, Lost> {
    let mut ground = Ground::default();
    let mut asking = BTreeSet::new();
    for (index, bid) in bids.iter().enumerate() {
        match &bid.wanted {
            Some(wanted) if !losers.contains_key(&index) => {
                ground.take(&wanted.intersection(&bid.accepted), index);
                asking.insert(index);
            }
            _ => ground.take(&bid.accepted, index),
        }
    }
    let mut found = BTreeMap::new();
    for (index, bid) in bids.iter().enumerate().filter(|(index, _)| asking.contains(index)) {
        let Some(wanted) = &bid.wanted else { continue };
        let overlap = ground.overlaps(wanted, index).next();
        match overlap.and_then(|(owner, range)| Some((bids.get(owner)?, range))) {
            Some((owner, range)) => {
                found.insert(index, Lost { pool: owner.name.to_owned(), range });
            }
            None => ground.take(&wanted.difference(&bid.accepted), index),
        }
    }
    found
}

/// Who holds what: disjoint ranges by their first address, each with the index of its holder.
#[derive(Default)]
struct Ground(BTreeMap<IpAddr, (Range, usize)>);

impl Ground {
    /// Gives `ranges`, which nobody else holds, to `holder`.
    fn take(&mut self, ranges: &RangeSet, holder: usize) {
        self.0.extend(ranges.ranges().map(|range| (range.first(), (range, holder))));
    }

    /// What others than `asker` hold of `ranges`.
    fn overlaps<'a>(
        &'a self,
        ranges: &'a RangeSet,
        asker: usize,
    ) -> impl Iterator<Item = (usize, Range)> + 'a {
        ranges.ranges().flat_map(move |range| {
            let below = self.0.range(..=range.last()).rev();
            // Disjoint and sorted by the first address is sorted by the last one: the first miss ends the search.
            below
                .map_while(move |(_, (held, holder))| Some((*holder, held.overlap(range)?)))
                .filter(move |(holder, _)| *holder != asker)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(texts: &[&str]) -> RangeSet {
        texts.iter().map(|text| Range::parse(text).unwrap().range).collect()
    }

    type Case = (&'static str, Option<&'static [&'static str]>, &'static [&'static str]);

    /// Each pool: name, wanted (`None`: invalid), accepted. Gives back who lost to whom, and checks what always holds.
    fn losers(pools: &[Case]) -> Vec<(&'static str, String)> {
        let bids = pools
            .iter()
            .map(|(name, wanted, accepted)| Bid { name, wanted: wanted.map(set), accepted: set(accepted) })
            .collect();
        let awards = settle(bids);
        for (index, award) in awards.iter().enumerate() {
            for other in awards.iter().skip(index + 1) {
                assert!(!award.ranges.overlaps(&other.ranges), "awards overlap");
            }
        }
        let names = pools.iter().map(|(name, ..)| *name).zip(awards);
        names.filter_map(|(name, award)| Some((name, award.lost_to?.pool))).collect()
    }

    #[test]
    fn conf_005_of_two_new_pools_the_later_name_loses() {
        let both: &'static [&'static str] = &["10.0.0.0/8"];
        assert_eq!(
            losers(&[("a", Some(both), &[]), ("b", Some(&["10.0.0.0/16"]), &[])]),
            [("b", "a".into())]
        );
        assert_eq!(losers(&[("a", Some(both), &[]), ("b", Some(both), &[])]), [("b", "a".into())]);
    }

    #[test]
    fn the_edit_that_causes_the_overlap_loses_whatever_its_name() {
        let grown: &'static [&'static str] = &["192.0.2.0/24"];
        let small: &'static [&'static str] = &["192.0.2.0/25"];
        let other: &'static [&'static str] = &["192.0.2.128/25"];
        assert_eq!(losers(&[("a", Some(grown), small), ("b", Some(other), other)]), [("a", "b".into())]);
    }

    #[test]
    fn two_pools_may_swap_their_ranges_in_one_edit() {
        let (x, y): (&'static [&'static str], &'static [&'static str]) =
            (&["192.0.2.0/25"], &["192.0.2.128/25"]);
        assert_eq!(losers(&[("a", Some(y), x), ("b", Some(x), y)]), []);
    }

    #[test]
    fn a_swap_falls_back_as_a_whole_when_a_third_pool_is_in_its_way() {
        let (x, y): (&'static [&'static str], &'static [&'static str]) =
            (&["192.0.2.0/25"], &["192.0.2.128/25"]);
        let both: &'static [&'static str] = &["192.0.2.0/25", "198.51.100.1"];
        let third: &'static [&'static str] = &["198.51.100.0/24"];
        let lost = losers(&[("a", Some(y), x), ("b", Some(both), y), ("c", Some(third), third)]);
        assert_eq!(lost, [("a", "b".into()), ("b", "c".into())]);
    }

    #[test]
    fn an_invalid_pool_keeps_what_it_had() {
        let had: &'static [&'static str] = &["192.0.2.0/25"];
        assert_eq!(losers(&[("a", Some(&["192.0.2.0/24"]), &[]), ("b", None, had)]), [("a", "b".into())]);
    }

    #[test]
    fn a_pool_that_shrinks_gives_room_to_another_in_the_same_edit() {
        let whole: &'static [&'static str] = &["192.0.2.0/24"];
        let half: &'static [&'static str] = &["192.0.2.0/25"];
        assert_eq!(losers(&[("a", Some(&["192.0.2.128/25"]), &[]), ("b", Some(half), whole)]), []);
    }

    #[test]
    fn tampered_statuses_that_overlap_are_taken_apart() {
        let same: &'static [&'static str] = &["192.0.2.0/24"];
        assert_eq!(losers(&[("a", None, same), ("b", None, same)]), []);
    }

    #[test]
    fn a_thousand_equal_pools_are_settled_at_once() {
        let bids =
            vec![Bid { name: "same", wanted: Some(set(&["10.0.0.0/8"])), accepted: RangeSet::new() }; 1_000];
        assert_eq!(settle(bids).iter().filter(|award| award.lost_to.is_none()).count(), 1);
    }

    /// Ranges of a small world, so that they often meet.
    fn some_ranges() -> impl Strategy<Value = RangeSet> {
        let range = (0u8..32, 0u8..6).prop_map(|(first, width)| {
            let nth = |number: u8| IpAddr::V4([192, 0, 2, number].into());
            Range::new(nth(first), nth(first + width)).unwrap()
        });
        prop::collection::vec(range, 0..4).prop_map(|ranges| ranges.into_iter().collect())
    }

    proptest! {
        #[test]
        fn whatever_is_wanted_the_awards_are_disjoint_and_nobody_loses_without_cause(
            pools in prop::collection::vec((prop::option::weighted(0.9, some_ranges()), some_ranges()), 0..6),
        ) {
            let mut bids: Vec<Bid<'_>> =
                pools.into_iter().map(|(wanted, accepted)| Bid { name: "pool", wanted, accepted }).collect();
            disjoin_accepted(&mut bids);
            let awards = settle(bids.clone());
            for (index, (bid, award)) in bids.iter().zip(&awards).enumerate() {
                for other in awards.iter().skip(index + 1) {
                    prop_assert!(!award.ranges.overlaps(&other.ranges));
                }
                match &bid.wanted {
                    Some(wanted) if award.lost_to.is_none() => prop_assert_eq!(&award.ranges, wanted),
                    _ => prop_assert_eq!(&award.ranges, &bid.accepted),
                }
                if let Some(wanted) = &bid.wanted {
                    let alone = bids.iter().enumerate().all(|(other, bid)| {
                        let mut theirs = bid.wanted.iter().chain([&bid.accepted]);
                        other == index || !theirs.any(|theirs| theirs.overlaps(wanted))
                    });
                    prop_assert!(award.lost_to.is_none() || !(alone || wanted.is_subset(&bid.accepted)));
                }
            }
        }
    }
}
