// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! UPDATEs of ours: each takes as many routes as fit the agreed length.

use ipnet::IpNet;

use crate::{
    attributes::{AttributeKind, Attributes, EXTENDED_LENGTH, NextHop},
    family::Family,
    length::HEADER_LEN,
    message::{Kind, write},
    negotiated::Negotiated,
    prefixes::{fill, max_len},
    writer::counted16,
};

/// Octets before routes in an UPDATE without attributes: header, and two lengths.
const PLAIN: usize = HEADER_LEN + 2 + 2;
/// Octets of MP_REACH_NLRI and MP_UNREACH_NLRI up to the family, with a length of two octets; then next hop with its length and a
/// reserved octet.
const MULTIPROTOCOL: usize = 4 + 3;

/// Octets that an UPDATE with these attributes and one route of the family may take.
pub(crate) fn least_len(attributes: &Attributes, family: Family) -> usize {
    let multiprotocol = MULTIPROTOCOL + 1 + usize::from(attributes.next_hop.len()) + 1;
    PLAIN + multiprotocol + attributes.max_encoded_len() + max_len(family)
}

/// Appends an UPDATE that announces the first of `prefixes`, which are all of `family`; returns how many fitted.
pub(crate) fn announce(
    out: &mut Vec<u8>,
    session: &Negotiated,
    family: Family,
    attributes: &Attributes,
    prefixes: &[IpNet],
) -> usize {
    let end = out.len() + session.max_len();
    let mut taken = 0;
    write(out, Kind::Update, |out| {
        out.extend([0; 2]);
        match (family, attributes.next_hop) {
            (Family::Ipv4Unicast, NextHop::V4(next_hop)) => {
                counted16(out, |out| attributes.encode(session, Some(next_hop), out));
                taken = fill(out, end, prefixes);
            }
            (_, next_hop) => {
                let mut others = Vec::with_capacity(attributes.max_encoded_len());
                attributes.encode(session, None, &mut others);
                counted16(out, |out| {
                    // It stands first, so that a receiver finds the routes whatever is wrong behind it (RFC 7606, section 5.1).
                    multiprotocol(out, AttributeKind::MP_REACH, family, |out| {
                        out.push(next_hop.len());
                        next_hop.encode(out);
                        out.push(0);
                        taken = fill(out, end.saturating_sub(others.len()), prefixes);
                    });
                    out.extend(others);
                });
            }
        }
    });
    taken
}

/// Appends an UPDATE that withdraws the first of `prefixes`, which are all of `family`; returns how many fitted.
pub(crate) fn withdraw(out: &mut Vec<u8>, session: &Negotiated, family: Family, prefixes: &[IpNet]) -> usize {
    let end = out.len() + session.max_len();
    let mut taken = 0;
    write(out, Kind::Update, |out| match family {
        Family::Ipv4Unicast => {
            counted16(out, |out| taken = fill(out, end - 2, prefixes));
            out.extend([0; 2]);
        }
        Family::Ipv6Unicast => {
            out.extend([0; 2]);
            counted16(out, |out| {
                multiprotocol(out, AttributeKind::MP_UNREACH, family, |out| taken = fill(out, end, prefixes));
            });
        }
    });
    taken
}

/// Appends the UPDATE that says: these were all (RFC 4724, section 2).
pub(crate) fn end_of_rib(out: &mut Vec<u8>, family: Family) {
    write(out, Kind::Update, |out| {
        out.extend([0; 2]);
        counted16(out, |out| {
            if family != Family::Ipv4Unicast {
                multiprotocol(out, AttributeKind::MP_UNREACH, family, |_| ());
            }
        });
    });
}

fn multiprotocol(out: &mut Vec<u8>, kind: AttributeKind, family: Family, rest: impl FnOnce(&mut Vec<u8>)) {
    out.extend([kind.flags().unwrap_or_default() | EXTENDED_LENGTH, kind.0]);
    counted16(out, |out| {
        out.extend(family.afi().to_be_bytes());
        out.push(family.safi());
        rest(out);
    });
}
