// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Classic BPF programs that let only ARP (RFC 826), neighbour discovery (RFC 4861), hellos in frames and answers to
//! the witness through to the speaker.
//!
//! They run in the kernel before a frame is queued, so that the node's other traffic never wakes the process.

use ferrolb_layer2::frame::{carried, tcp};
use socket2::SockFilter;

/// Where the Linux extensions to classic BPF begin (`SKF_AD_OFF`).
const EXTENSION: u32 = libc::SKF_AD_OFF as u32;
/// How the frame was addressed: to us, to all, to somebody else.
const PACKET_TYPE: u32 = EXTENSION.wrapping_add(libc::SKF_AD_PKTTYPE as u32);
/// Whether the card took a VLAN tag off the frame.
const VLAN_TAG_PRESENT: u32 = EXTENSION.wrapping_add(libc::SKF_AD_VLAN_TAG_PRESENT as u32);

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Returned to keep a whole frame.
const KEEP: u32 = 0xffff;

const ETHERTYPE_AT: u32 = 12;
const ETHERTYPE_ARP: u32 = 0x0806;
const ETHERTYPE_IPV4: u32 = 0x0800;
const ETHERTYPE_IPV6: u32 = 0x86dd;
const TCP: u32 = 6;
const ICMPV6: u32 = 58;
const NEIGHBOR_SOLICITATION: u32 = 135;
const NEIGHBOR_ADVERTISEMENT: u32 = 136;

/// One test of a program: the value loaded must be one of those given.
struct Test {
    load: u16,
    at: u32,
    one_of: &'static [u32],
}

/// ARP requests and replies for IPv4 over Ethernet; nothing tagged, nothing meant for another station.
pub(super) fn arp() -> Vec<SockFilter> {
    program(&[
        Test { load: LOAD_WORD, at: VLAN_TAG_PRESENT, one_of: &[0] },
        Test { load: LOAD_WORD, at: PACKET_TYPE, one_of: FOR_US },
        Test { load: LOAD_HALF, at: ETHERTYPE_AT, one_of: &[ETHERTYPE_ARP] },
        Test { load: LOAD_WORD, at: 14, one_of: &[0x0001_0800] }, // hardware Ethernet, protocol IPv4
        Test { load: LOAD_WORD, at: 18, one_of: &[0x0604_0001, 0x0604_0002] }, // lengths, request or reply
    ])
}

/// Neighbour Solicitations and Advertisements that no router has forwarded (hop limit 255, RFC 4861 7.1).
pub(super) fn neighbour_discovery() -> Vec<SockFilter> {
    program(&[
        Test { load: LOAD_WORD, at: VLAN_TAG_PRESENT, one_of: &[0] },
        Test { load: LOAD_WORD, at: PACKET_TYPE, one_of: FOR_US },
        Test { load: LOAD_HALF, at: ETHERTYPE_AT, one_of: &[ETHERTYPE_IPV6] },
        Test { load: LOAD_BYTE, at: 20, one_of: &[ICMPV6] },
        Test { load: LOAD_BYTE, at: 21, one_of: &[255] },
        Test { load: LOAD_BYTE, at: 54, one_of: &[NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT] },
    ])
}

/// Hellos in frames of their own.
pub(super) fn carried_hellos() -> Vec<SockFilter> {
    program(&[
        Test { load: LOAD_WORD, at: VLAN_TAG_PRESENT, one_of: &[0] },
        Test { load: LOAD_WORD, at: PACKET_TYPE, one_of: FOR_US },
        Test { load: LOAD_HALF, at: ETHERTYPE_AT, one_of: &[carried::ETHERTYPE as u32] },
        Test { load: LOAD_WORD, at: 14, one_of: CARRIED_MAGIC },
    ])
}

/// TCP over IPv4 to the port that the witness asks from, unfragmented and without IP options.
pub(super) fn tcp_answers_v4() -> Vec<SockFilter> {
    program(&[
        Test { load: LOAD_WORD, at: VLAN_TAG_PRESENT, one_of: &[0] },
        Test { load: LOAD_WORD, at: PACKET_TYPE, one_of: FOR_US },
        Test { load: LOAD_HALF, at: ETHERTYPE_AT, one_of: &[ETHERTYPE_IPV4] },
        Test { load: LOAD_BYTE, at: 14, one_of: &[0x45] },
        Test { load: LOAD_BYTE, at: 23, one_of: &[TCP] },
        Test { load: LOAD_HALF, at: 36, one_of: WITNESS_PORT },
    ])
}

/// The same over IPv6, without extension headers.
pub(super) fn tcp_answers_v6() -> Vec<SockFilter> {
    program(&[
        Test { load: LOAD_WORD, at: VLAN_TAG_PRESENT, one_of: &[0] },
        Test { load: LOAD_WORD, at: PACKET_TYPE, one_of: FOR_US },
        Test { load: LOAD_HALF, at: ETHERTYPE_AT, one_of: &[ETHERTYPE_IPV6] },
        Test { load: LOAD_BYTE, at: 20, one_of: &[TCP] },
        Test { load: LOAD_HALF, at: 56, one_of: WITNESS_PORT },
    ])
}

const CARRIED_MAGIC: &[u32] = &[u32::from_be_bytes(carried::MAGIC)];

const WITNESS_PORT: &[u32] = &[tcp::SOURCE_PORT as u32];

const FOR_US: &[u32] =
    &[libc::PACKET_HOST as u32, libc::PACKET_BROADCAST as u32, libc::PACKET_MULTICAST as u32];

/// All tests must hold; classic BPF only jumps forward, so a failed test returns on the spot.
fn program(tests: &[Test]) -> Vec<SockFilter> {
    let mut code = Vec::new();
    for test in tests {
        code.push(SockFilter::new(test.load, 0, 0, test.at));
        let mut over = u8::try_from(test.one_of.len()).unwrap_or(u8::MAX);
        for value in test.one_of {
            code.push(SockFilter::new(JUMP_EQUAL, over, 0, *value));
            over = over.saturating_sub(1);
        }
        code.push(SockFilter::new(RETURN, 0, 0, 0));
    }
    code.push(SockFilter::new(RETURN, 0, 0, KEEP));
    code
}
