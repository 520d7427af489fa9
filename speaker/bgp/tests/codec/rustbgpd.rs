// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `rustbgpd-wire` understands.

use bytes::Bytes;
use ferrolb_bgp::Negotiated;
use ipnet::IpNet;
use rustbgpd_wire::{
    Message, Safi, UpdateMessage,
    attribute::{AsPathSegment, MalformedAttribute, PathAttribute},
    decode_message,
    nlri::{Ipv4Prefix, NlriEntry, Prefix},
};

use crate::meaning::Meaning;

/// Reads a message of any type.
pub(crate) fn read(message: &[u8]) -> Result<Message, String> {
    decode_message(&mut Bytes::copy_from_slice(message), u16::MAX).map_err(|error| error.to_string())
}

/// What an UPDATE means, and which attributes in it are wrong.
pub(crate) fn update(
    update: &UpdateMessage,
    session: &Negotiated,
) -> Result<(Meaning, Vec<MalformedAttribute>), String> {
    let parsed = update
        .parse_revised(session.four_octet_as, session.is_internal(), false, &[])
        .map_err(|error| error.to_string())?;
    let update = parsed.update;
    let mut meaning = Meaning {
        announced: update.announced.iter().map(|entry| four(entry.prefix)).collect(),
        withdrawn: update.withdrawn.iter().map(|entry| four(entry.prefix)).collect(),
        ..Meaning::default()
    };
    for attribute in update.attributes {
        match attribute {
            PathAttribute::Origin(origin) => meaning.origin = Some(origin as u8),
            PathAttribute::AsPath(path) => {
                meaning.path = path.segments.into_iter().flat_map(numbers).collect();
            }
            PathAttribute::NextHop(next_hop) => meaning.next_hop = Some(next_hop),
            PathAttribute::Med(med) => meaning.med = Some(med),
            PathAttribute::LocalPref(preference) => meaning.local_pref = Some(preference),
            PathAttribute::Communities(list) | PathAttribute::CommunitiesPartial(list) => {
                meaning.communities.extend(list);
            }
            PathAttribute::ExtendedCommunities(list) | PathAttribute::ExtendedCommunitiesPartial(list) => {
                meaning.extended_communities.extend(list.into_iter().map(|community| community.as_u64()));
            }
            PathAttribute::LargeCommunities(list) | PathAttribute::LargeCommunitiesPartial(list) => {
                let parts = list.into_iter().map(|c| [c.global_admin, c.local_data1, c.local_data2]);
                meaning.large_communities.extend(parts);
            }
            PathAttribute::MpReachNlri(reach) if reach.safi == Safi::Unicast => {
                meaning.announced.extend(reach.announced.iter().map(entry));
                meaning.reachable_by = Some((reach.next_hop, reach.link_local_next_hop));
            }
            PathAttribute::MpUnreachNlri(unreach) if unreach.safi == Safi::Unicast => {
                meaning.withdrawn.extend(unreach.withdrawn.iter().map(entry))
            }
            _ => {}
        }
    }
    Ok((meaning, parsed.malformed))
}

fn numbers(segment: AsPathSegment) -> Vec<u32> {
    match segment {
        AsPathSegment::AsSet(numbers) | AsPathSegment::AsSequence(numbers) => numbers,
    }
}

fn four(prefix: Ipv4Prefix) -> IpNet {
    IpNet::new(prefix.addr.into(), prefix.len).unwrap()
}

fn entry(entry: &NlriEntry) -> IpNet {
    match entry.prefix {
        Prefix::V4(prefix) => four(prefix),
        Prefix::V6(prefix) => IpNet::new(prefix.addr.into(), prefix.len).unwrap(),
    }
}
