// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sorted, disjoint, closed intervals of numbers. Every operation costs by the number of intervals, never by their
//! width, so an IPv6 /64 is no dearer than an IPv4 /30.

/// One closed interval, `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Interval {
    pub(super) first: u128,
    pub(super) last: u128,
}

/// Disjoint intervals in ascending order; neighbours that touch are one interval, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Intervals(Vec<Interval>);

impl Intervals {
    /// Adds every number of `new`.
    pub(super) fn insert(&mut self, new: Interval) {
        let touches = |old: &Interval| {
            old.first <= new.last.saturating_add(1) && new.first <= old.last.saturating_add(1)
        };
        let mut merged = new;
        for old in self.0.iter().filter(|old| touches(old)) {
            merged.first = merged.first.min(old.first);
            merged.last = merged.last.max(old.last);
        }
        self.0.retain(|old| !touches(old));
        let at = self.0.partition_point(|old| old.first < merged.first);
        self.0.insert(at, merged);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        self.from(number).next().is_some_and(|interval| interval.first <= number)
    }

    /// The intervals that end at or after `number`.
    pub(super) fn from(&self, number: u128) -> impl Iterator<Item = Interval> + '_ {
        let at = self.0.partition_point(|interval| interval.last < number);
        self.0.iter().skip(at).copied()
    }

    /// What both sets hold.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last {
                both.push(Interval { first, last });
            }
            if a.last < b.last {
                mine.next();
            } else {
                theirs.next();
            }
        }
        Self(both)
    }

    /// What this set holds and `other` does not.
    pub(super) fn difference(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        for interval in self.iter() {
            let mut next = Some(interval.first);
            for hole in other.from(interval.first).take_while(|hole| hole.first <= interval.last) {
                if let Some(first) = next.filter(|first| *first < hole.first) {
                    rest.push(Interval { first, last: hole.first.saturating_sub(1) });
                }
                next = hole.last.checked_add(1);
            }
            if let Some(first) = next.filter(|first| *first <= interval.last) {
                rest.push(Interval { first, last: interval.last });
            }
        }
        Self(rest)
    }
}
