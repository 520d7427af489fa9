// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Attributes of ours as bytes, in the form that the session wants.

use std::net::Ipv4Addr;

use super::{
    Attributes, NextHop,
    kind::{AttributeKind, EXTENDED_LENGTH},
};
use crate::{identity::Asn, negotiated::Negotiated};

/// What a route within the autonomous system is sent with if nobody set a preference; what routers take for granted.
const DEFAULT_LOCAL_PREF: u32 = 100;
const AS_SEQUENCE: u8 = 2;

impl NextHop {
    /// Octets within MP_REACH_NLRI.
    pub(crate) fn len(self) -> u8 {
        match self {
            Self::V4(_) => 4,
            Self::V6 { link_local: None, .. } => 16,
            Self::V6 { link_local: Some(_), .. } => 32,
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => out.extend(address.octets()),
            Self::V6 { global, link_local } => {
                out.extend(global.octets());
                out.extend(link_local.into_iter().flat_map(|address| address.octets()));
            }
        }
    }
}

impl Attributes {
    /// Upper bound of what [`Attributes::encode`] appends.
    pub(crate) fn max_encoded_len(&self) -> usize {
        // ORIGIN 4, AS_PATH 9, NEXT_HOP 7, MULTI_EXIT_DISC 7, LOCAL_PREF 7, AS4_PATH 9, three headers of 4 at most.
        let fixed = 4 + 9 + 7 + 7 + 7 + 9 + 3 * 4;
        let lists = [
            (self.communities.len(), 4),
            (self.extended_communities.len(), 8),
            (self.large_communities.len(), 12),
        ];
        lists.into_iter().fold(fixed, |sum, (count, each)| sum + count * each)
    }

    /// Appends all attributes but MP_REACH_NLRI, in the order of their types; NEXT_HOP if `next_hop` is given.
    pub(crate) fn encode(&self, session: &Negotiated, next_hop: Option<Ipv4Addr>, out: &mut Vec<u8>) {
        attribute(out, AttributeKind::ORIGIN, [self.origin.code()]);
        let as4_path = as_path(session, out);
        if let Some(next_hop) = next_hop {
            attribute(out, AttributeKind::NEXT_HOP, next_hop.octets());
        }
        if let Some(med) = self.med {
            attribute(out, AttributeKind::MED, med.to_be_bytes());
        }
        // RFC 4271, section 5.1.5: always within an autonomous system, never to another.
        if session.is_internal() {
            let preference = self.local_pref.unwrap_or(DEFAULT_LOCAL_PREF);
            attribute(out, AttributeKind::LOCAL_PREF, preference.to_be_bytes());
        }
        let communities = self.communities.iter().flat_map(|community| community.0.to_be_bytes());
        list(out, AttributeKind::COMMUNITIES, self.communities.len() * 4, communities);
        let extended = self.extended_communities.iter().flat_map(|community| community.0);
        list(out, AttributeKind::EXTENDED_COMMUNITIES, self.extended_communities.len() * 8, extended);
        if let Some(asn) = as4_path {
            let [a, b, c, d] = asn.get().to_be_bytes();
            attribute(out, AttributeKind::AS4_PATH, [AS_SEQUENCE, 1, a, b, c, d]);
        }
        let large = self.large_communities.iter().flat_map(|community| {
            [community.global, community.data1, community.data2].into_iter().flat_map(u32::to_be_bytes)
        });
        list(out, AttributeKind::LARGE_COMMUNITIES, self.large_communities.len() * 12, large);
    }
}

/// Appends AS_PATH; returns the number that AS4_PATH has to repeat, because the peer cannot read it here (RFC 6793, section
/// 4.2.2).
fn as_path(session: &Negotiated, out: &mut Vec<u8>) -> Option<Asn> {
    let own = session.local_as;
    if session.is_internal() {
        attribute(out, AttributeKind::AS_PATH, []);
    } else if session.four_octet_as {
        let [a, b, c, d] = own.get().to_be_bytes();
        attribute(out, AttributeKind::AS_PATH, [AS_SEQUENCE, 1, a, b, c, d]);
    } else {
        let [a, b] = own.two_octets().to_be_bytes();
        attribute(out, AttributeKind::AS_PATH, [AS_SEQUENCE, 1, a, b]);
        return own.is_wide().then_some(own);
    }
    None
}

/// Appends an attribute with fewer than 256 octets.
fn attribute<const N: usize>(out: &mut Vec<u8>, kind: AttributeKind, value: [u8; N]) {
    const { assert!(N < 256) };
    out.extend([kind.flags().unwrap_or_default(), kind.0, N as u8]);
    out.extend(value);
}

/// Appends an attribute of `length` octets, unless it is empty.
fn list(out: &mut Vec<u8>, kind: AttributeKind, length: usize, value: impl Iterator<Item = u8>) {
    let flags = kind.flags().unwrap_or_default();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(0), _) => return,
        (Ok(length), _) => out.extend([flags, kind.0, length]),
        (_, Ok(length)) => {
            out.extend([flags | EXTENDED_LENGTH, kind.0]);
            out.extend(length.to_be_bytes());
        }
        // Longer than any message: refused before it comes here, and never sent as a lie.
        _ => return,
    }
    out.extend(value);
}
