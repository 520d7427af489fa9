// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A hello in an Ethernet frame of its own, for stations that UDP does not reach: a firewall of the host drops what it does
//! not know, or the network drops multicast.
//!
//! Sent to the broadcast address, as ARP is, with an EtherType for local experiments (IEEE 802, 9.2.4). Layout after the
//! Ethernet header, integers big-endian:
//!
//! ```text
//! magic 4 | wish 1 | node wished for 16 | sender's address 16 (IPv4 as IPv4-mapped) | length 2 | the hello | padding
//! ```

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    hello,
    identity::{MacAddr, NodeId},
};

/// The EtherType of such frames.
pub const ETHERTYPE: u16 = 0x88b5;
/// First bytes of the payload, so that other experiments on the segment are told apart.
pub const MAGIC: [u8; 4] = *b"FLBr";

const BROADCAST: [u8; 6] = [0xff; 6];
const ETHERNET_LEN: usize = 6 + 6 + 2;
const HEADER_LEN: usize = 4 + 1 + 16 + 16 + 2;
const WISH_NOTHING: u8 = 0;
const WISH_ONE: u8 = 1;
const WISH_EVERYBODY: u8 = 2;
// Fits an Ethernet MTU of 1,500.
const _: () = assert!(HEADER_LEN + hello::MAX_LEN <= 1500);

/// Whose hellos the sender of such a frame misses: they should send theirs in such frames too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nobody's.
    Nothing,
    /// This node's.
    One(NodeId),
    /// Everybody's.
    Everybody,
}

impl Wish {
    /// Whether `node` should send its hellos in frames.
    pub fn concerns(self, node: NodeId) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(wished) => wished == node,
            Self::Everybody => true,
        }
    }
}

/// A hello that was carried by such a frame. Nothing of it is authentic before the hello itself was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The sender's address on the segment.
    pub source: IpAddr,
    /// Whose hellos the sender misses.
    pub wish: Wish,
    /// The hello's bytes, as in a datagram.
    pub hello: &'a [u8],
}

/// The frame of a hello: from the station `mac`, which has the address `source`.
pub fn wrap(mac: MacAddr, source: IpAddr, wish: Wish, hello: &[u8]) -> Vec<u8> {
    let length = u16::try_from(hello.len()).unwrap_or(u16::MAX);
    let address = match source {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut frame = Vec::with_capacity(ETHERNET_LEN + HEADER_LEN + hello.len());
    frame.extend(BROADCAST);
    frame.extend(mac.0);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(MAGIC);
    let (kind, node) = match wish {
        Wish::Nothing => (WISH_NOTHING, NodeId([0; 16])),
        Wish::One(node) => (WISH_ONE, node),
        Wish::Everybody => (WISH_EVERYBODY, NodeId([0; 16])),
    };
    frame.push(kind);
    frame.extend(node.0);
    frame.extend(address.octets());
    frame.extend(length.to_be_bytes());
    frame.extend(hello);
    frame
}

/// Reads a frame; `None` if it carries no hello.
pub fn unwrap(frame: &[u8]) -> Option<Carried<'_>> {
    let (ethernet, rest) = frame.split_first_chunk::<ETHERNET_LEN>()?;
    let ([magic @ .., kind], rest) = rest.split_first_chunk::<5>()?;
    let (node, rest) = rest.split_first_chunk::<16>()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    if !ethernet.ends_with(&ETHERTYPE.to_be_bytes()) || *magic != MAGIC {
        return None;
    }
    let address = Ipv6Addr::from(*address);
    Some(Carried {
        source: address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        // What a later version may wish for is nothing to this one.
        wish: match *kind {
            WISH_ONE => Wish::One(NodeId(*node)),
            WISH_EVERYBODY => Wish::Everybody,
            _ => Wish::Nothing,
        },
        hello: rest.get(..u16::from_be_bytes(*length).into())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_frame_carries_bytes_address_and_wish_also_when_it_was_padded() {
        let wishes = [Wish::Nothing, Wish::One(NodeId([7; 16])), Wish::Everybody];
        for (source, wish) in ["192.0.2.1", "fe80::1", "::"].into_iter().zip(wishes) {
            let source = source.parse().expect("an address");
            let mut frame = wrap(MAC, source, wish, b"hello");
            frame.resize(80, 0);
            assert_eq!(unwrap(&frame), Some(Carried { source, wish, hello: b"hello" }));
        }
    }

    #[test]
    fn the_bytes_on_the_wire_are_these() {
        let frame = wrap(MAC, IpAddr::from([192, 0, 2, 1]), Wish::One(NodeId(*b"sixteen octets!!")), b"hi");
        let expected: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x88\xb5FLBr\x01sixteen octets!!\
            \0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01\0\x02hi";
        assert_eq!(frame, expected);
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_carries_nothing() {
        let frame = wrap(MAC, IpAddr::from([192, 0, 2, 1]), Wish::Nothing, b"hello");
        for length in 0..frame.len() {
            assert_eq!(unwrap(&frame[..length]), None, "{length} bytes");
        }
        for at in [12, 13, 14, 17] {
            let mut other = frame.clone();
            other[at] ^= 1;
            assert_eq!(unwrap(&other), None, "byte {at} changed");
        }
    }
}
