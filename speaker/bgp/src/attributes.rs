// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a route of ours is sent with (RFC 4271, section 5).

mod encode;
mod kind;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

pub use kind::AttributeKind;
pub(crate) use kind::{EXTENDED_LENGTH, OPTIONAL, TRANSITIVE};

use crate::community::{Community, ExtendedCommunity, LargeCommunity};

/// What routes have in common; those with equal attributes share messages.
///
/// AS_PATH is no part of it: every route begins here, so the path is our own number towards other autonomous systems and empty
/// within ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Where to send traffic.
    pub next_hop: NextHop,
    /// ORIGIN.
    pub origin: Origin,
    /// MULTI_EXIT_DISC, lower is better.
    pub med: Option<u32>,
    /// LOCAL_PREF, higher is better: sent within our autonomous system only, where `None` is sent as 100.
    pub local_pref: Option<u32>,
    /// Standard communities.
    pub communities: BTreeSet<Community>,
    /// Extended communities.
    pub extended_communities: BTreeSet<ExtendedCommunity>,
    /// Large communities.
    pub large_communities: BTreeSet<LargeCommunity>,
}

impl Attributes {
    /// Nothing but a next hop.
    pub fn new(next_hop: NextHop) -> Self {
        Self {
            next_hop,
            origin: Origin::Igp,
            med: None,
            local_pref: None,
            communities: BTreeSet::new(),
            extended_communities: BTreeSet::new(),
            large_communities: BTreeSet::new(),
        }
    }
}

/// Where to send traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// For IPv4 routes.
    V4(Ipv4Addr),
    /// For IPv6 routes, and for IPv4 routes where RFC 8950 was agreed on.
    V6 {
        /// The address that may be reached over routers too; the link-local one where there is no other.
        global: Ipv6Addr,
        /// The one on the link that both sides share (RFC 2545, section 3).
        link_local: Option<Ipv6Addr>,
    },
}

/// How a route came into BGP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// From within the autonomous system.
    Igp,
    /// From the EGP of old.
    Egp,
    /// From somewhere else.
    Incomplete,
}

impl Origin {
    /// The octet on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Igp => 0,
            Self::Egp => 1,
            Self::Incomplete => 2,
        }
    }

    /// `None` for a value that nobody defined.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Igp, Self::Egp, Self::Incomplete].into_iter().find(|origin| origin.code() == code)
    }
}
