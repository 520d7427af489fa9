// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Routes that a session cannot carry: found before anything is written, so that the rest goes out.

use thiserror::Error;

use crate::{
    attributes::{Attributes, NextHop},
    family::Family,
    negotiated::Negotiated,
    update::encode::least_len,
};

/// Why a route is not sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsendable {
    /// One side did not say that it carries the family.
    #[error("the session does not carry {0}: let both sides enable the family")]
    Family(Family),
    /// IPv6 routes with the next hop of an IPv4 session.
    #[error("there is no IPv6 next hop: the session's interface needs an IPv6 address")]
    NextHop,
    /// IPv4 routes with the next hop of an IPv6 session.
    #[error(
        "there is no IPv4 next hop, and the peer takes no IPv6 next hop for IPv4 routes: give the session's interface an \
         IPv4 address, or let the peer enable extended next hops (RFC 8950)"
    )]
    ExtendedNextHop,
    /// More communities than a message takes.
    #[error(
        "its attributes need a message of {needed} octets, and the peer takes {max}: use fewer communities"
    )]
    TooLong {
        /// Octets of a message with this one route.
        needed: usize,
        /// Octets of the longest message.
        max: usize,
    },
    /// The prefix is longer than its length says.
    #[error("the prefix has bits set behind its length")]
    HostBits,
}

impl Unsendable {
    /// Whether routes of the family with these attributes can be sent.
    pub(super) fn judge(session: &Negotiated, family: Family, attributes: &Attributes) -> Result<(), Self> {
        if !session.families.contains(family) {
            return Err(Self::Family(family));
        }
        match (family, attributes.next_hop) {
            (Family::Ipv6Unicast, NextHop::V4(_)) => return Err(Self::NextHop),
            (Family::Ipv4Unicast, NextHop::V6 { .. }) if !session.extended_next_hop => {
                return Err(Self::ExtendedNextHop);
            }
            _ => {}
        }
        let (needed, max) = (least_len(attributes, family), session.max_len());
        if needed > max { Err(Self::TooLong { needed, max }) } else { Ok(()) }
    }
}
