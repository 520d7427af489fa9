// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Types of path attributes.

use std::fmt;

/// Type code of a path attribute, as IANA lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeKind(pub u8);

/// The attribute may be unknown to somebody.
pub(crate) const OPTIONAL: u8 = 0x80;
/// Who does not know it passes it on all the same.
pub(crate) const TRANSITIVE: u8 = 0x40;
/// Its length has two octets.
pub(crate) const EXTENDED_LENGTH: u8 = 0x10;

impl AttributeKind {
    pub(crate) const ORIGIN: Self = Self(1);
    pub(crate) const AS_PATH: Self = Self(2);
    pub(crate) const NEXT_HOP: Self = Self(3);
    pub(crate) const MED: Self = Self(4);
    pub(crate) const LOCAL_PREF: Self = Self(5);
    pub(crate) const ATOMIC_AGGREGATE: Self = Self(6);
    pub(crate) const AGGREGATOR: Self = Self(7);
    pub(crate) const COMMUNITIES: Self = Self(8);
    pub(crate) const ORIGINATOR_ID: Self = Self(9);
    pub(crate) const CLUSTER_LIST: Self = Self(10);
    pub(crate) const MP_REACH: Self = Self(14);
    pub(crate) const MP_UNREACH: Self = Self(15);
    pub(crate) const EXTENDED_COMMUNITIES: Self = Self(16);
    pub(crate) const AS4_PATH: Self = Self(17);
    pub(crate) const AS4_AGGREGATOR: Self = Self(18);
    pub(crate) const IPV6_EXTENDED_COMMUNITIES: Self = Self(25);
    pub(crate) const LARGE_COMMUNITIES: Self = Self(32);

    /// The optional and transitive bits that its specification demands; `None` for types that this crate does not know.
    pub(crate) fn flags(self) -> Option<u8> {
        Some(match self {
            Self::ORIGIN | Self::AS_PATH | Self::NEXT_HOP | Self::LOCAL_PREF | Self::ATOMIC_AGGREGATE => {
                TRANSITIVE
            }
            Self::MED | Self::ORIGINATOR_ID | Self::CLUSTER_LIST | Self::MP_REACH | Self::MP_UNREACH => {
                OPTIONAL
            }
            Self::AGGREGATOR
            | Self::COMMUNITIES
            | Self::EXTENDED_COMMUNITIES
            | Self::AS4_PATH
            | Self::AS4_AGGREGATOR
            | Self::IPV6_EXTENDED_COMMUNITIES
            | Self::LARGE_COMMUNITIES => OPTIONAL | TRANSITIVE,
            _ => return None,
        })
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ORIGIN => "ORIGIN",
            Self::AS_PATH => "AS_PATH",
            Self::NEXT_HOP => "NEXT_HOP",
            Self::MED => "MULTI_EXIT_DISC",
            Self::LOCAL_PREF => "LOCAL_PREF",
            Self::ATOMIC_AGGREGATE => "ATOMIC_AGGREGATE",
            Self::AGGREGATOR => "AGGREGATOR",
            Self::COMMUNITIES => "COMMUNITIES",
            Self::ORIGINATOR_ID => "ORIGINATOR_ID",
            Self::CLUSTER_LIST => "CLUSTER_LIST",
            Self::MP_REACH => "MP_REACH_NLRI",
            Self::MP_UNREACH => "MP_UNREACH_NLRI",
            Self::EXTENDED_COMMUNITIES => "EXTENDED COMMUNITIES",
            Self::AS4_PATH => "AS4_PATH",
            Self::AS4_AGGREGATOR => "AS4_AGGREGATOR",
            Self::IPV6_EXTENDED_COMMUNITIES => "IPv6 EXTENDED COMMUNITIES",
            Self::LARGE_COMMUNITIES => "LARGE_COMMUNITY",
            _ => return None,
        })
    }
}

/// IANA's name, or the number.
impl fmt::Display for AttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "attribute {}", self.0),
        }
    }
}
