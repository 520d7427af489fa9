// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! IPv6 neighbour discovery (RFC 4861): solicitations and advertisements.

use std::net::Ipv6Addr;

use etherparse::{
    EtherType, Icmpv6Slice, Ipv6Header, Ipv6HeaderSlice,
    checksum::Sum16BitWords,
    err::ipv6::HeaderSliceError,
    icmpv6::{
        NdpOptionSlice, NdpOptionsIterator, NeighborAdvertisementHeader, TYPE_NEIGHBOR_ADVERTISEMENT,
        TYPE_NEIGHBOR_SOLICITATION,
    },
    ip_number,
};

use super::{Heard, ethernet, station};
use crate::{identity::MacAddr, rejection::Rejection};

/// Every node of the link (RFC 4291, section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// The group at which solicitations for `address` arrive (RFC 4291, section 2.7.1): ff02::1:ff and its last three bytes.
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The Ethernet group of an IPv6 group (RFC 2464, section 7): 33:33 and its last four bytes.
pub fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

pub(super) fn parse(src: MacAddr, dst: MacAddr, packet: &[u8]) -> Result<Option<Heard>, Rejection> {
    let ip = Ipv6HeaderSlice::from_slice(packet).map_err(|error| match error {
        HeaderSliceError::Len(_) => Rejection::Truncated,
        HeaderSliceError::Content(_) => Rejection::Malformed("IPv6 packet of another version"),
    })?;
    if ip.next_header() != ip_number::IPV6_ICMP {
        return Ok(None);
    }
    let end = Ipv6Header::LEN + usize::from(ip.payload_length());
    let icmp = packet.get(Ipv6Header::LEN..end).ok_or(Rejection::Truncated)?;
    let icmp = Icmpv6Slice::from_slice(icmp).map_err(|_| Rejection::Truncated)?;
    let read = match icmp.type_u8() {
        TYPE_NEIGHBOR_SOLICITATION => solicitation,
        TYPE_NEIGHBOR_ADVERTISEMENT => advertisement,
        _ => return Ok(None),
    };
    // The checks of RFC 4861, sections 7.1.1 and 7.1.2, that both kinds share.
    if ip.hop_limit() != 255 {
        return Err(Rejection::HopLimit(ip.hop_limit()));
    }
    if !icmp.is_checksum_valid(ip.source(), ip.destination()) {
        return Err(Rejection::BadChecksum);
    }
    if icmp.code_u8() != 0 {
        return Err(Rejection::Malformed("neighbour discovery with a code"));
    }
    let (target, options) =
        icmp.payload().split_first_chunk::<16>().ok_or(Rejection::Malformed("no target address"))?;
    let message = Message {
        sender_mac: station(src)?,
        dst_mac: dst,
        source: ip.source_addr(),
        dst_ip: ip.destination_addr(),
        flags: NeighborAdvertisementHeader::from_bytes(icmp.bytes5to8()),
        target: Ipv6Addr::from(*target),
        options: LinkLayerOptions::read(options)?,
    };
    if message.target.is_multicast() {
        return Err(Rejection::Malformed("target is a group"));
    }
    if message.source.is_multicast() {
        return Err(Rejection::Malformed("source is a group"));
    }
    read(message).map(Some)
}

/// What both kinds of message carry, in their common layout.
struct Message {
    sender_mac: MacAddr,
    dst_mac: MacAddr,
    source: Ipv6Addr,
    dst_ip: Ipv6Addr,
    flags: NeighborAdvertisementHeader,
    target: Ipv6Addr,
    options: LinkLayerOptions,
}

/// RFC 4861, section 7.1.1.
fn solicitation(message: Message) -> Result<Heard, Rejection> {
    let Message { sender_mac, dst_mac, source, dst_ip, target, options, .. } = message;
    if source.is_unspecified() {
        if dst_ip != solicited_node(target) {
            return Err(Rejection::Malformed(
                "solicitation from nobody to other than a solicited-node group",
            ));
        }
        if options.source.is_some() {
            return Err(Rejection::Malformed("solicitation from nobody with a link-layer address"));
        }
    }
    let source_link_layer = options.source;
    Ok(Heard::NeighborSolicitation { sender_mac, source, source_link_layer, target, dst_mac, dst_ip })
}

/// RFC 4861, section 7.1.2.
fn advertisement(message: Message) -> Result<Heard, Rejection> {
    let Message { sender_mac, source, dst_ip, flags, target, options, .. } = message;
    if source.is_unspecified() {
        return Err(Rejection::Malformed("advertisement from nobody"));
    }
    if dst_ip.is_multicast() && flags.solicited {
        return Err(Rejection::Malformed("solicited advertisement to a group"));
    }
    Ok(Heard::NeighborAdvertisement {
        sender_mac,
        source,
        target,
        target_link_layer: options.target,
        solicited: flags.solicited,
        override_flag: flags.r#override,
    })
}

#[derive(Default)]
struct LinkLayerOptions {
    source: Option<MacAddr>,
    target: Option<MacAddr>,
}

impl LinkLayerOptions {
    /// Other options are skipped, as RFC 4861, section 4.6 demands.
    fn read(options: &[u8]) -> Result<Self, Rejection> {
        let mut found = Self::default();
        for option in NdpOptionsIterator::from_slice(options) {
            match option.map_err(|_| Rejection::Malformed("broken option"))? {
                NdpOptionSlice::SourceLinkLayerAddress(option) => {
                    found.source = Some(link_layer(option.link_layer_address())?);
                }
                NdpOptionSlice::TargetLinkLayerAddress(option) => {
                    found.target = Some(link_layer(option.link_layer_address())?);
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn link_layer(address: &[u8]) -> Result<MacAddr, Rejection> {
    let octets = address.try_into().map_err(|_| Rejection::Malformed("link-layer address not of 6 bytes"))?;
    station(MacAddr(octets))
}

/// "Who has `target`?", from a node that has `own_ip`; to the target's solicited-node group.
pub fn solicitation_for(own_mac: MacAddr, own_ip: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let body = body(TYPE_NEIGHBOR_SOLICITATION, [0; 4], target, Some((SOURCE_LINK_LAYER, own_mac)));
    frame((own_mac, own_ip), (multicast_mac(group), group), body)
}

/// "Does anybody have `target`?", from nobody (RFC 4862, section 5.4.2); to the target's solicited-node group.
pub fn probe(own_mac: MacAddr, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let body = body(TYPE_NEIGHBOR_SOLICITATION, [0; 4], target, None);
    frame((own_mac, Ipv6Addr::UNSPECIFIED), (multicast_mac(group), group), body)
}

/// "`address` is at `own_mac`", to the station that asked; to all nodes if it asked as nobody, for then it has no
/// address to be told at (RFC 4861, section 7.2.4).
pub fn answer(own_mac: MacAddr, address: Ipv6Addr, to_mac: MacAddr, to_ip: Ipv6Addr) -> Vec<u8> {
    if to_ip.is_unspecified() {
        return announcement(own_mac, address);
    }
    advertisement_of(own_mac, address, (to_mac, to_ip), true)
}

/// The unsolicited advertisement of RFC 4861, section 7.2.6, with Override, to all nodes.
pub fn announcement(own_mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    advertisement_of(own_mac, address, (multicast_mac(ALL_NODES), ALL_NODES), false)
}

fn advertisement_of(
    own_mac: MacAddr,
    address: Ipv6Addr,
    to: (MacAddr, Ipv6Addr),
    solicited: bool,
) -> Vec<u8> {
    let flags = NeighborAdvertisementHeader { router: false, solicited, r#override: true };
    let option = Some((TARGET_LINK_LAYER, own_mac));
    frame((own_mac, address), to, body(TYPE_NEIGHBOR_ADVERTISEMENT, flags.to_bytes(), address, option))
}

/// An ICMPv6 message whose checksum is still zero.
fn body(icmp_type: u8, flags: [u8; 4], target: Ipv6Addr, option: Option<(u8, MacAddr)>) -> Vec<u8> {
    let mut body = vec![icmp_type, 0, 0, 0];
    body.extend(flags);
    body.extend(target.octets());
    if let Some((kind, mac)) = option {
        // The length of an option counts units of 8 bytes.
        body.extend([kind, 1]);
        body.extend(mac.0);
    }
    body
}

fn frame(from: (MacAddr, Ipv6Addr), to: (MacAddr, Ipv6Addr), mut body: Vec<u8>) -> Vec<u8> {
    // A message made here has 32 bytes at most.
    let length = body.len() as u16;
    let checksum = Sum16BitWords::new()
        .add_16bytes(from.1.octets())
        .add_16bytes(to.1.octets())
        .add_4bytes(u32::from(length).to_be_bytes())
        .add_2bytes([0, ip_number::IPV6_ICMP.0])
        .add_slice(&body)
        .ones_complement();
    // The sum is taken over words in the machine's order of bytes, so it is stored in that order (RFC 1071, section 2).
    body.iter_mut().skip(2).zip(checksum.to_ne_bytes()).for_each(|(to, from)| *to = from);
    let header = Ipv6Header {
        payload_length: length,
        next_header: ip_number::IPV6_ICMP,
        hop_limit: 255,
        source: from.1.octets(),
        destination: to.1.octets(),
        ..Ipv6Header::default()
    };
    let mut frame = ethernet(from.0, to.0, EtherType::IPV6);
    frame.extend(header.to_bytes());
    frame.extend(body);
    frame
}
