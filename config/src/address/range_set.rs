// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A set of addresses of both families, kept as intervals.

use std::net::IpAddr;

use ipnet::IpNet;

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

    /// The widest prefix around `address` of which the set holds every address, no wider than `length` says: so an
    /// aggregate never covers an address that is not in the set. `None`: the set does not hold `address`.
    pub fn widest_prefix(&self, address: IpAddr, length: u8) -> Option<IpNet> {
        let number = to_number(address);
        let around = self.of(Family::of(address)).from(number).next().filter(|it| it.first <= number)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefixes = (length.min(most)..=most).filter_map(|length| IpNet::new(address, length).ok());
        let mut held = prefixes.map(|prefix| prefix.trunc()).filter(|prefix| {
            to_number(prefix.network()) >= around.first && to_number(prefix.broadcast()) <= around.last
        });
        held.next()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn set(texts: &[&str]) -> RangeSet {
        texts.iter().map(|text| Range::parse(text).unwrap().range).collect()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ipam_022_023_025_the_count_is_every_address_less_those_left_out() {
        for (texts, any, avoiding) in [
            (&["1.2.3.0/24"][..], 256, 254),
            (&["1.2.3.0/24", "2.3.4.128/25"], 384, 381),
            (&["1.2.3.0/31"], 2, 1),
            (&["10.0.0.0/8"], 1 << 24, (1 << 24) - 131_072),
            (&["0.0.0.0/0"], 1 << 32, (1 << 32) - (1 << 25)),
        ] {
            assert_eq!(set(texts).count(Family::V4, LastOctet::Any), any, "{texts:?}");
            assert_eq!(set(texts).count(Family::V4, LastOctet::AvoidBuggy), avoiding, "{texts:?}");
        }
        assert_eq!(set(&["1000::/127"]).count(Family::V6, LastOctet::AvoidBuggy), 2);
    }

    #[test]
    fn ipam_024_a_huge_set_saturates() {
        assert_eq!(set(&["2001:db8::/64"]).count(Family::V6, LastOctet::Any), 1 << 64);
        assert_eq!(set(&["::/0"]).count(Family::V6, LastOctet::Any), u128::MAX);
    }

    #[test]
    fn a_slash_8_and_a_slash_64_stay_one_interval_whatever_is_left_out() {
        let wide = set(&["10.0.0.0/8", "2001:db8::/64"]);
        assert_eq!(wide.ranges().count(), 2);
        // Answered by arithmetic: walking either range would not end within the life of the test.
        for _ in 0..10_000 {
            assert_eq!(
                wide.lowest_free(Family::V4, LastOctet::AvoidBuggy, None, |_| false),
                Some(address("10.0.0.1"))
            );
            assert_eq!(wide.count(Family::V6, LastOctet::Any), 1 << 64);
            assert!(wide.contains(address("2001:db8::ffff:ffff:ffff:ffff")));
        }
    }

    #[test]
    fn ipam_029_membership_and_overlap_are_exact_at_the_edges() {
        let ranges = set(&["192.0.2.10-192.0.2.20"]);
        for (text, inside) in
            [("192.0.2.9", false), ("192.0.2.10", true), ("192.0.2.20", true), ("192.0.2.21", false)]
        {
            assert_eq!(ranges.contains(address(text)), inside, "{text}");
            assert_eq!(ranges.overlaps(&set(&[text])), inside, "{text}");
        }
        // ::c000:20a has the same number as 192.0.2.10.
        assert!(!ranges.contains(address("::c000:20a")));
    }

    #[test]
    fn conf_051_conf_052_a_prefix_grows_as_far_as_the_set_reaches_and_no_further() {
        let prefix = |texts: &[&str], text: &str, length| {
            set(texts).widest_prefix(address(text), length).map(|prefix| prefix.to_string())
        };
        let range = ["3.3.3.2-3.3.3.254"];
        for (pool, text, length, wanted) in [
            (&["1.2.3.0/28"][..], "1.2.3.5", 26, Some("1.2.3.0/28")),
            (&["1.2.3.0/28"], "1.2.3.5", 30, Some("1.2.3.4/30")),
            (&["1.2.3.0/28", "1.2.3.16/28"], "1.2.3.5", 26, Some("1.2.3.0/27")),
            (&range, "3.3.3.2", 24, Some("3.3.3.2/31")),
            (&range, "3.3.3.70", 24, Some("3.3.3.64/26")),
            (&range, "3.3.3.254", 26, Some("3.3.3.254/32")),
            (&range, "3.3.3.1", 26, None),
            (&["10.0.0.0/8"], "10.1.2.3", 32, Some("10.1.2.3/32")),
            (&["0.0.0.0/0"], "10.1.2.3", 1, Some("0.0.0.0/1")),
            (&["2001:db8::/64"], "2001:db8::5", 124, Some("2001:db8::/124")),
            (&["2001:db8::/64"], "2001:db8::5", 1, Some("2001:db8::/64")),
            (&["::/0"], "2001:db8::5", 128, Some("2001:db8::5/128")),
        ] {
            assert_eq!(prefix(pool, text, length).as_deref(), wanted, "{text} of {pool:?}");
        }
    }

    #[test]
    fn the_lowest_free_address_crosses_ranges_and_ends_with_the_set() {
        let ranges = set(&["192.0.2.254/31", "198.51.100.0/31"]);
        let mut used = BTreeSet::new();
        let mut given = Vec::new();
        while let Some(next) =
            ranges.lowest_free(Family::V4, LastOctet::Any, given.last().copied(), |a| used.contains(&a))
        {
            used.insert(next);
            given.push(next);
        }
        assert_eq!(given, ["192.0.2.254", "192.0.2.255", "198.51.100.0", "198.51.100.1"].map(address));
    }

    #[test]
    fn sets_at_the_upper_end_of_the_number_space_do_not_overflow() {
        let top = set(&["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
        assert_eq!(top.lowest_free(Family::V4, LastOctet::Any, None, |_| true), None);
        assert_eq!(top.lowest_free(Family::V6, LastOctet::Any, None, |_| true), None);
        assert!(set(&["::/0"]).difference(&top).overlaps(&set(&["::"])));
        assert_eq!(set(&["::/0", "::1"]).ranges().count(), 1);
    }

    /// The model: two /23 worth of addresses as a plain set of numbers.
    fn model(ranges: &[(u16, u16)]) -> (RangeSet, BTreeSet<u16>) {
        let mut set = RangeSet::new();
        let mut numbers = BTreeSet::new();
        for &(a, b) in ranges {
            let (first, last) = (a.min(b), a.max(b));
            set.insert(Range::new(nth(first), nth(last)).unwrap());
            numbers.extend(first..=last);
        }
        (set, numbers)
    }

    fn nth(number: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(number)))
    }

    fn numbers(set: &RangeSet) -> BTreeSet<u16> {
        (0..1024).filter(|number| set.contains(nth(*number))).collect()
    }

    fn some_ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
        let narrow = (0u16..1000, 0u16..20).prop_map(|(first, width)| (first, first + width));
        prop::collection::vec(prop_oneof![narrow, (0u16..1024, 0u16..1024)], 0..12)
    }

    proptest! {
        #[test]
        fn a_range_set_is_the_plain_set_of_its_addresses(
            a in some_ranges(),
            b in some_ranges(),
            used in prop::collection::btree_set(0u16..1024, 0..200),
            from in prop::option::of(0u16..1024),
        ) {
            let ((a, a_model), (b, b_model)) = (model(&a), model(&b));
            prop_assert_eq!(numbers(&a), a_model.clone());
            prop_assert_eq!(a.count(Family::V4, LastOctet::Any), a_model.len() as u128);
            let usable: BTreeSet<u16> =
                a_model.iter().copied().filter(|number| !matches!(number % 256, 0 | 255)).collect();
            prop_assert_eq!(a.count(Family::V4, LastOctet::AvoidBuggy), usable.len() as u128);
            prop_assert_eq!(numbers(&a.intersection(&b)), &a_model & &b_model);
            prop_assert_eq!(numbers(&a.difference(&b)), &a_model - &b_model);
            prop_assert_eq!(a.overlaps(&b), !a_model.is_disjoint(&b_model));
            prop_assert_eq!(a.is_subset(&b), a_model.is_subset(&b_model));
            let lowest = |model: &BTreeSet<u16>| {
                model.range(from.unwrap_or(0)..).find(|number| !used.contains(number)).map(|number| nth(*number))
            };
            let is_used = |address| used.iter().any(|number| nth(*number) == address);
            let from = from.map(nth);
            prop_assert_eq!(a.lowest_free(Family::V4, LastOctet::Any, from, is_used), lowest(&a_model));
            prop_assert_eq!(a.lowest_free(Family::V4, LastOctet::AvoidBuggy, from, is_used), lowest(&usable));
        }

        #[test]
        fn equal_sets_are_equal_values_and_touching_ranges_are_one(a in some_ranges()) {
            let (set, numbers) = model(&a);
            let one_by_one: RangeSet = numbers.iter().map(|n| Range::new(nth(*n), nth(*n)).unwrap()).collect();
            prop_assert_eq!(&one_by_one, &set);
            let printed: RangeSet =
                set.ranges().map(|range| Range::parse(&range.to_string()).unwrap().range).collect();
            prop_assert_eq!(printed, set);
        }
    }
}
