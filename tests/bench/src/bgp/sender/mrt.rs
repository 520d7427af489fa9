// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A table of routes in MRT's TABLE_DUMP_V2 (RFC 6396, sections 2 and 4.3).

use anyhow::Result;
use ferrolb_lab::router::NODE_V4;

use super::super::{Colour, NODE_AS, addresses};

const TABLE_DUMP_V2: u16 = 13;
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;

/// GoBGP's command ends before the last of what it has read went out, so the last route stands there so many times more.
const REPEATED: usize = 5000;

/// The bytes of a file with `count` routes by way of the node.
pub(super) fn table(count: usize, colour: Colour) -> Result<Vec<u8>> {
    let node: std::net::Ipv4Addr = NODE_V4.parse()?;
    let node = node.octets();
    let mut file = Vec::new();
    // The collector, a view without a name, one peer: type 2 says a 4-octet AS and an IPv4 address.
    let mut peers = [&node[..], &[0, 0, 0, 1, 2], &node, &node].concat();
    peers.extend(NODE_AS.to_be_bytes());
    record(&mut file, PEER_INDEX_TABLE, &peers)?;
    let attributes = attributes(node, colour);
    let last = addresses(count).last().into_iter().cycle().take(REPEATED);
    for (sequence, address) in addresses(count).chain(last).enumerate() {
        let mut entry = u32::try_from(sequence)?.to_be_bytes().to_vec();
        entry.push(32);
        entry.extend(address.octets());
        // One entry: of peer 0, at time 0.
        entry.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        entry.extend(u16::try_from(attributes.len())?.to_be_bytes());
        entry.extend(&attributes);
        record(&mut file, RIB_IPV4_UNICAST, &entry)?;
    }
    Ok(file)
}

fn record(file: &mut Vec<u8>, subtype: u16, body: &[u8]) -> Result<()> {
    file.extend([0; 4]);
    file.extend(TABLE_DUMP_V2.to_be_bytes());
    file.extend(subtype.to_be_bytes());
    file.extend(u32::try_from(body.len())?.to_be_bytes());
    file.extend(body);
    Ok(())
}

/// ORIGIN, an empty AS_PATH, NEXT_HOP and COMMUNITIES (RFC 4271, section 5.1; RFC 1997).
fn attributes(node: [u8; 4], colour: Colour) -> Vec<u8> {
    // Its upper half fits: the numbers of this lab have two octets.
    let [_, _, high, low] = NODE_AS.to_be_bytes();
    let [upper, lower] = colour.number().to_be_bytes();
    [&[0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4][..], &node, &[0xc0, 8, 4, high, low, upper, lower]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_peer_and_a_record_for_each_route_and_the_last_many_times() {
        let file = table(2, Colour::Second).expect("small numbers");
        // 12 octets of header each; 21 of the peer table; 4, 1, 4, 8, 2 before 4, 3, 7 and 7 of attributes.
        assert_eq!(file.len(), 12 + 21 + (2 + REPEATED) * (12 + 19 + 21));
        assert!(file.ends_with(&[0xc0, 8, 4, 0xfd, 0xe9, 0, 8]));
    }
}
