// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which pool keeps an address that two pools want: the edit that causes an overlap loses (among new ones the later
//! name), and the pool's accepted ranges stay in force.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::{Range, RangeSet};

/// What one pool asks for. Bids come in the order of the names.
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
