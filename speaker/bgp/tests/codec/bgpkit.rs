// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `bgpkit-parser` understands.

use std::net::IpAddr;

use bgpkit_parser::models::{
    AsPathSegment, AsnLength, AttributeValue, BgpMessage, BgpUpdateMessage, Community, NextHopAddress,
};
use bytes::Bytes;
use ferrolb_bgp::Negotiated;

use crate::meaning::Meaning;

/// Reads a message of any type.
pub(crate) fn read(message: &[u8], four_octet_as: bool) -> Result<BgpMessage, String> {
    let width = if four_octet_as { AsnLength::Bits32 } else { AsnLength::Bits16 };
    bgpkit_parser::parser::bgp::messages::parse_bgp_message(
        &mut Bytes::copy_from_slice(message),
        false,
        &width,
    )
    .map_err(|error| error.to_string())
}

/// What an UPDATE means, but for extended communities, which it takes to pieces.
pub(crate) fn update(update: &BgpUpdateMessage, session: &Negotiated) -> Meaning {
    let attributes = &update.attributes;
    let mut meaning = Meaning {
        announced: update.announced_prefixes.iter().map(|prefix| prefix.prefix.trunc()).collect(),
        withdrawn: update.withdrawn_prefixes.iter().map(|prefix| prefix.prefix.trunc()).collect(),
        med: attributes.multi_exit_discriminator(),
        local_pref: attributes.local_preference(),
        ..Meaning::default()
    };
    for value in attributes.iter() {
        match value {
            AttributeValue::Origin(origin) => meaning.origin = Some(*origin as u8),
            AttributeValue::NextHop(IpAddr::V4(next_hop)) => meaning.next_hop = Some(*next_hop),
            AttributeValue::Communities(list) => meaning.communities.extend(list.iter().map(|c| match c {
                Community::NoExport => 0xffff_ff01,
                Community::NoAdvertise => 0xffff_ff02,
                Community::NoExportSubConfed => 0xffff_ff03,
                Community::Custom(asn, value) => u32::from(*asn) << 16 | u32::from(*value),
            })),
            AttributeValue::LargeCommunities(list) => {
                let parts = list.iter().map(|c| [c.global_admin, c.local_data[0], c.local_data[1]]);
                meaning.large_communities.extend(parts);
            }
            AttributeValue::MpReachNlri(reach) => {
                meaning.announced.extend(reach.prefixes.iter().map(|prefix| prefix.prefix.trunc()));
                meaning.reachable_by = match reach.next_hop {
                    Some(NextHopAddress::Ipv4(address)) => Some((address.into(), None)),
                    Some(NextHopAddress::Ipv6(address)) => Some((address.into(), None)),
                    Some(NextHopAddress::Ipv6LinkLocal(global, local)) => Some((global.into(), Some(local))),
                    _ => None,
                };
            }
            AttributeValue::MpUnreachNlri(unreach) => {
                meaning.withdrawn.extend(unreach.prefixes.iter().map(|prefix| prefix.prefix.trunc()));
            }
            _ => {}
        }
    }
    let path =
        if session.four_octet_as { attributes.as_path().cloned() } else { attributes.effective_as_path() };
    let segments = path.into_iter().flat_map(|path| path.segments);
    meaning.path = segments
        .flat_map(|segment| match segment {
            AsPathSegment::AsSequence(numbers)
            | AsPathSegment::ConfedSequence(numbers)
            | AsPathSegment::AsSet(numbers)
            | AsPathSegment::ConfedSet(numbers) => numbers,
        })
        .map(u32::from)
        .collect();
    meaning
}
