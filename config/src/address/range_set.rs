// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A set of addresses of both families, kept as intervals.

use std::net::IpAddr;

use super::interval::{Interval, Intervals};
use super::range::{to_address, to_number};
use super::{Family, Range, buggy};

/// Whether IPv4 addresses that end in .0 or .255 count as usable. A filter laid over a set, never cut out of it, so
/// that a /8 stays one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LastOctet {
    /// Every address is usable.
    #[default]
    Any,
    /// x.x.x.0 and x.x.x.255 are not usable; IPv6 is not concerned.
    AvoidBuggy,
}

impl LastOctet {
    /// Whether `address` is usable.
    pub fn allows(self, address: IpAddr) -> bool {
        match (self, Family::of(address)) {
            (Self::AvoidBuggy, Family::V4) => !buggy::is_buggy(to_number(address)),
            _ => true,
        }
    }
}

/// A set of addresses. Every operation costs by the number of ranges, never by their width.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RangeSet {
    v4: Intervals,
    v6: Intervals,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, family: Family) -> &Intervals {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Adds every address of `range`.
    pub fn insert(&mut self, range: Range) {
        match range.family() {
            Family::V4 => self.v4.insert(range.interval()),
            Family::V6 => self.v6.insert(range.interval()),
        }
    }

    /// Whether the set holds no address.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the set holds an address of `family`.
    pub fn has_family(&self, family: Family) -> bool {
        !self.of(family).is_empty()
    }

    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.of(Family::of(address)).contains(to_number(address))
    }

    /// The set's ranges in ascending order, IPv4 first; ranges that touch come out as one.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + '_ {
        let v4 = self.v4.iter().map(|interval| Range::from_interval(Family::V4, interval));
        v4.chain(self.v6.iter().map(|interval| Range::from_interval(Family::V6, interval)))
    }

    /// The addresses that both sets hold.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersection(&other.v4), v6: self.v6.intersection(&other.v6) }
    }

    /// The addresses that this set holds and `other` does not.
    pub fn difference(&self, other: &Self) -> Self {
        Self { v4: self.v4.difference(&other.v4), v6: self.v6.difference(&other.v6) }
    }

    /// Whether some address is in both sets.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Whether every address of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// How many usable addresses of `family` the set holds; `u128::MAX` also for all of IPv6, which has one more.
    pub fn count(&self, family: Family, octet: LastOctet) -> u128 {
        self.of(family).iter().fold(0, |sum, interval| {
            let width = (interval.last - interval.first).saturating_add(1);
            let unusable = match (family, octet) {
                (Family::V4, LastOctet::AvoidBuggy) => buggy::count(interval),
                _ => 0,
            };
            sum.saturating_add(width.saturating_sub(unusable))
        })
    }

    /// The lowest usable address of `family` that is not `used`, looking from `from` on (`None`: from the start).
    ///
    /// Asks `used` only until it first says no, so the cost is the number of used addresses passed. A caller that
    /// gives many addresses in a row passes the last one given as `from` and pays for each only once.
    pub fn lowest_free(
        &self,
        family: Family,
        octet: LastOctet,
        from: Option<IpAddr>,
        mut used: impl FnMut(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let from = match from {
            Some(from) if Family::of(from) == family => to_number(from),
            _ => 0,
        };
        self.of(family).from(from).find_map(|interval| {
            let mut next = Some(interval.first.max(from));
            while let Some(number) = next.filter(|number| *number <= interval.last) {
                let address = to_address(family, number);
                if octet.allows(address) && !used(address) {
                    return Some(address);
                }
                next = number.checked_add(1);
            }
            None
        })
    }
}

impl FromIterator<Range> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut set = Self::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

impl Range {
    /// The part that both ranges hold, if any.
    pub fn overlap(self, other: Self) -> Option<Self> {
        let (mine, theirs) = (self.interval(), other.interval());
        let both = Interval { first: mine.first.max(theirs.first), last: mine.last.min(theirs.last) };
        (self.family() == other.family() && both.first <= both.last)
            .then(|| Self::from_interval(self.family(), both))
    }
}
