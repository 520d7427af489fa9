// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ethernet frames: those that resolve addresses, by ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861), those of the
//! witness, and those that carry hellos past a filter.

pub mod arp;
pub mod carried;
pub mod ndp;
pub mod tcp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{EtherType, Ethernet2Header, Ethernet2Slice};

use crate::{identity::MacAddr, rejection::Rejection};

/// What was heard on the segment. Sender MACs are those of one station, never a group's or zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// "Who has `target`?"
    ArpRequest {
        /// Sender hardware address of the ARP packet; the Ethernet source may differ (a proxy).
        sender_mac: MacAddr,
        /// Who asks; unspecified in an address probe (RFC 5227).
        sender_ip: Ipv4Addr,
        /// What is asked for.
        target: Ipv4Addr,
        /// Ethernet source.
        src: MacAddr,
        /// Ethernet destination: broadcast, or a station when a neighbour checks an entry that it has.
        dst: MacAddr,
    },
    /// "`sender_ip` is at `sender_mac`."
    ArpReply {
        /// Sender hardware address of the ARP packet; the Ethernet source may differ (a proxy).
        sender_mac: MacAddr,
        /// The address it speaks of.
        sender_ip: Ipv4Addr,
        /// Target hardware address; equal to the sender's in an announcement.
        target_mac: MacAddr,
        /// Target protocol address; equal to the sender's in an announcement.
        target_ip: Ipv4Addr,
        /// Ethernet source.
        src: MacAddr,
        /// Ethernet destination.
        dst: MacAddr,
    },
    /// "Who has `target`?" for IPv6 (RFC 4861, section 4.3).
    NeighborSolicitation {
        /// Ethernet source.
        sender_mac: MacAddr,
        /// Who asks; unspecified during duplicate address detection (RFC 4862).
        source: Ipv6Addr,
        /// Source link-layer address option.
        source_link_layer: Option<MacAddr>,
        /// What is asked for.
        target: Ipv6Addr,
        /// Ethernet destination.
        dst_mac: MacAddr,
        /// IPv6 destination: the target's solicited-node group, or the target itself.
        dst_ip: Ipv6Addr,
    },
    /// "`target` is at `target_link_layer`" (RFC 4861, section 4.4).
    NeighborAdvertisement {
        /// Ethernet source.
        sender_mac: MacAddr,
        /// IPv6 source.
        source: Ipv6Addr,
        /// The address it speaks of.
        target: Ipv6Addr,
        /// Target link-layer address option.
        target_link_layer: Option<MacAddr>,
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what was known.
        override_flag: bool,
    },
}

impl Heard {
    /// The address that somebody asks for. An ARP request of an address for itself is no question but an announcement.
    pub fn asked(&self) -> Option<IpAddr> {
        match *self {
            Self::ArpRequest { sender_ip, target, .. } => (sender_ip != target).then_some(target.into()),
            Self::NeighborSolicitation { target, .. } => Some(target.into()),
            Self::ArpReply { .. } | Self::NeighborAdvertisement { .. } => None,
        }
    }

    /// Who asks, and the station that an answer goes to; `None` if nobody asks, or somebody as nobody (probes).
    pub fn asker(&self) -> Option<(IpAddr, MacAddr)> {
        let (address, mac) = match *self {
            Self::ArpRequest { sender_mac, sender_ip, .. } => (sender_ip.into(), sender_mac),
            Self::NeighborSolicitation { sender_mac, source, source_link_layer, .. } => {
                (source.into(), source_link_layer.unwrap_or(sender_mac))
            }
            Self::ArpReply { .. } | Self::NeighborAdvertisement { .. } => return None,
        };
        let address: IpAddr = address;
        (self.asked().is_some() && !address.is_unspecified()).then_some((address, mac))
    }

    /// The address that the packet says somebody has, and the station said to have it: of whoever asks, answers or
    /// announces. `None` if it says neither (probes).
    pub fn asserted(&self) -> Option<(IpAddr, MacAddr)> {
        match *self {
            Self::ArpRequest { sender_mac, sender_ip, .. } | Self::ArpReply { sender_mac, sender_ip, .. } => {
                (!sender_ip.is_unspecified()).then_some((sender_ip.into(), sender_mac))
            }
            Self::NeighborSolicitation { source, source_link_layer, .. } => {
                source_link_layer.map(|mac| (source.into(), mac))
            }
            // Without the option (legal in an answer to unicast, RFC 4861, section 4.4) the frame's source tells.
            Self::NeighborAdvertisement { sender_mac, target, target_link_layer, .. } => {
                Some((target.into(), target_link_layer.unwrap_or(sender_mac)))
            }
        }
    }
}

/// Reads an Ethernet frame as the kernel delivers it: without checksum, possibly padded. `None` is a frame of no
/// concern here: tagged for a VLAN, another protocol, another kind of ARP or ICMPv6 packet.
///
/// # Errors
/// The first rule it breaks, those of RFC 4861, section 7.1, among them.
pub fn parse(frame: &[u8]) -> Result<Option<Heard>, Rejection> {
    let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(|_| Rejection::Truncated)?;
    let (src, dst) = (MacAddr(ethernet.source()), MacAddr(ethernet.destination()));
    match ethernet.ether_type() {
        EtherType::ARP => arp::parse(station(src)?, dst, ethernet.payload_slice()),
        EtherType::IPV6 => ndp::parse(src, dst, ethernet.payload_slice()),
        _ => Ok(None),
    }
}

/// The answer to a question, sent by whoever has the address and the MAC `own_mac`; `None` if nothing was asked.
pub fn answer(heard: &Heard, own_mac: MacAddr) -> Option<Vec<u8>> {
    heard.asked()?;
    match *heard {
        Heard::ArpRequest { sender_mac, sender_ip, target, .. } => {
            Some(arp::reply(own_mac, target, sender_mac, sender_ip))
        }
        Heard::NeighborSolicitation { sender_mac, source, source_link_layer, target, .. } => {
            let asker = source_link_layer.unwrap_or(sender_mac);
            Some(ndp::answer(own_mac, target, asker, source))
        }
        Heard::ArpReply { .. } | Heard::NeighborAdvertisement { .. } => None,
    }
}

/// The frames that tell the whole segment that `own_mac` now has `address`, in the order of sending.
///
/// IPv4 takes two: receivers differ in which form they heed, and Linux believes a fresh reply only if its target
/// hardware address is the sender's.
pub fn announcement(own_mac: MacAddr, address: IpAddr) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => {
            vec![arp::announcement_request(own_mac, address), arp::announcement_reply(own_mac, address)]
        }
        IpAddr::V6(address) => vec![ndp::announcement(own_mac, address)],
    }
}

fn ethernet(source: MacAddr, destination: MacAddr, ether_type: EtherType) -> Vec<u8> {
    Ethernet2Header { source: source.0, destination: destination.0, ether_type }.to_bytes().to_vec()
}

fn station(mac: MacAddr) -> Result<MacAddr, Rejection> {
    if mac.is_station() { Ok(mac) } else { Err(Rejection::Malformed("hardware address of no station")) }
}

#[cfg(test)]
mod tests;
