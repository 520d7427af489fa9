// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Names of things on the wire: fixed-size identities that every node derives alike from the names people use.

use std::{fmt, num::NonZeroU64};

use sha2::{Digest as _, Sha256};

use crate::digest::leading;

/// A node of one cluster: the first 16 bytes of SHA-256 over cluster and node name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    /// The identity of the node `node_name` of the cluster `cluster`.
    pub fn of(cluster: &str, node_name: &str) -> Self {
        Self(hash(&["node", cluster, node_name]))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// What is elected together: one address, or several that always move as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The identity of the group that people call `name`.
    pub fn of(name: &str) -> Self {
        Self(u64::from_be_bytes(hash(&["group", name])))
    }
}

/// One installation. Hellos of another cluster on the same segment are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

impl ClusterId {
    /// The identity of the cluster that people call `name`.
    pub fn of(name: &str) -> Self {
        Self(u64::from_be_bytes(hash(&["cluster", name])))
    }
}

/// Settles which of two claims to a group is newer: the higher term. Terms begin at 1; 0 stands before every claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// The term that a claim made after seeing this one takes. It stays at the highest term once that is reached.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One run of a speaker process: random at each start, never 0, so that a restarted node is told from a replayed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(NonZeroU64);

impl Incarnation {
    /// The incarnation with this number; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// An incarnation out of 64 random bits (0 counts as 1).
    pub fn from_random(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// Its number, never 0.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station of the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address: the unknown target of an ARP request.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the group bit is set (IEEE 802: the lowest bit of the first byte); true of the broadcast address too.
    pub fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 1
    }

    /// Whether this can be the address of one station: neither a group's nor zero.
    pub fn is_station(self) -> bool {
        !self.is_multicast() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddr({self})")
    }
}

/// The first `N` bytes of SHA-256 over the parts, a zero byte between them.
fn hash<const N: usize>(parts: &[&str]) -> [u8; N] {
    leading(Sha256::digest(parts.join("\0")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_stable_across_builds() {
        assert_eq!(NodeId::of("prod", "node-1").to_string(), "e9dfccdedebdb62b7b826dfb5c828e8d");
        assert_eq!(GroupId::of("192.0.2.10"), GroupId(0x6596_7075_8526_c8a5));
        assert_eq!(ClusterId::of("prod"), ClusterId(0x9563_f7ac_1bcb_8da7));
    }

    #[test]
    fn names_do_not_run_into_each_other() {
        assert_ne!(NodeId::of("a", "bc"), NodeId::of("ab", "c"));
        assert_ne!(GroupId::of("x").0, ClusterId::of("x").0);
    }

    #[test]
    fn an_incarnation_is_never_zero() {
        assert_eq!(Incarnation::new(0), None);
        assert_eq!(Incarnation::from_random(0).get(), 1);
        assert_eq!(Incarnation::from_random(7).get(), 7);
    }

    #[test]
    fn the_highest_term_has_no_higher_one() {
        assert_eq!(Term(1).next(), Term(2));
        assert_eq!(Term(u64::MAX).next(), Term(u64::MAX));
    }

    #[test]
    fn only_unicast_addresses_are_stations() {
        let station = MacAddr([0x02, 0, 0, 0, 0, 1]);
        assert_eq!(station.to_string(), "02:00:00:00:00:01");
        assert!(station.is_station());
        assert!(!MacAddr::BROADCAST.is_station());
        assert!(!MacAddr::ZERO.is_station());
        assert!(!MacAddr([0x33, 0x33, 0, 0, 0, 1]).is_station());
    }
}
