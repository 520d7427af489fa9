// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Address families: what kind of prefix an UPDATE speaks of.

use std::fmt;

use ipnet::IpNet;

/// A family that this crate speaks, by its codes of RFC 4760 (AFI, SAFI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4Unicast,
    /// AFI 2, SAFI 1.
    Ipv6Unicast,
}

const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;
const SAFI_UNICAST: u8 = 1;

impl Family {
    /// Every family, in the order in which their routes are sent.
    pub const ALL: [Self; 2] = [Self::Ipv4Unicast, Self::Ipv6Unicast];

    /// `None` is a family that this crate does not speak.
    pub fn from_codes(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (AFI_IPV4, SAFI_UNICAST) => Some(Self::Ipv4Unicast),
            (AFI_IPV6, SAFI_UNICAST) => Some(Self::Ipv6Unicast),
            _ => None,
        }
    }

    /// The family of a prefix.
    pub fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::Ipv4Unicast,
            IpNet::V6(_) => Self::Ipv6Unicast,
        }
    }

    /// Address family identifier.
    pub fn afi(self) -> u16 {
        match self {
            Self::Ipv4Unicast => AFI_IPV4,
            Self::Ipv6Unicast => AFI_IPV6,
        }
    }

    /// Subsequent address family identifier.
    pub fn safi(self) -> u8 {
        SAFI_UNICAST
    }

    /// Bits of an address: the longest prefix.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ipv4Unicast => 32,
            Self::Ipv6Unicast => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Unicast => "IPv4 unicast",
            Self::Ipv6Unicast => "IPv6 unicast",
        })
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Families {
    ipv4: bool,
    ipv6: bool,
}

impl Families {
    /// No family.
    pub const NONE: Self = Self { ipv4: false, ipv6: false };
    /// IPv4 unicast alone: what a session carries when nobody speaks of families (RFC 4271).
    pub const IPV4: Self = Self { ipv4: true, ipv6: false };
    /// IPv6 unicast alone.
    pub const IPV6: Self = Self { ipv4: false, ipv6: true };
    /// Both.
    pub const BOTH: Self = Self { ipv4: true, ipv6: true };

    /// Whether it is in the set.
    pub fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4Unicast => self.ipv4,
            Family::Ipv6Unicast => self.ipv6,
        }
    }

    /// The set with this family too.
    #[must_use]
    pub fn with(self, family: Family) -> Self {
        match family {
            Family::Ipv4Unicast => Self { ipv4: true, ..self },
            Family::Ipv6Unicast => Self { ipv6: true, ..self },
        }
    }

    /// What is in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    /// Whether no family is in it.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// The families in it, in the order of [`Family::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        families.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_both_ways_and_strangers_are_none() {
        for family in Family::ALL {
            assert_eq!(Family::from_codes(family.afi(), family.safi()), Some(family));
        }
        assert_eq!(Family::from_codes(1, 128), None);
        assert_eq!(Family::from_codes(25, 65), None);
    }

    #[test]
    fn sets_of_families() {
        let six: Families = [Family::Ipv6Unicast].into_iter().collect();
        assert_eq!(six, Families::IPV6);
        assert_eq!(six.with(Family::Ipv4Unicast), Families::BOTH);
        assert_eq!(Families::BOTH.and(Families::IPV4).iter().collect::<Vec<_>>(), [Family::Ipv4Unicast]);
        assert!(six.and(Families::IPV4).is_empty());
    }
}
