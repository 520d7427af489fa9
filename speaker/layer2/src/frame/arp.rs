// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! ARP for IPv4 over Ethernet (RFC 826), with the probes and announcements of RFC 5227.

use std::net::Ipv4Addr;

use etherparse::{ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType};

use super::{Heard, ethernet, station};
use crate::{identity::MacAddr, rejection::Rejection};

pub(super) fn parse(src: MacAddr, dst: MacAddr, packet: &[u8]) -> Result<Option<Heard>, Rejection> {
    let packet = ArpPacketSlice::from_slice(packet).map_err(|_| Rejection::Truncated)?;
    if packet.hw_addr_type() != ArpHardwareId::ETHERNET {
        return Err(Rejection::Malformed("ARP for other hardware than Ethernet"));
    }
    if packet.proto_addr_type() != EtherType::IPV4 {
        return Err(Rejection::Malformed("ARP for another protocol than IPv4"));
    }
    let sender_mac = station(MacAddr(hardware(packet.sender_hw_addr())?))?;
    let target_mac = MacAddr(hardware(packet.target_hw_addr())?);
    let sender_ip = protocol(packet.sender_protocol_addr())?;
    let target_ip = protocol(packet.target_protocol_addr())?;
    if sender_ip.is_multicast() || sender_ip.is_broadcast() {
        return Err(Rejection::Malformed("ARP sender address of a group"));
    }
    match packet.operation() {
        ArpOperation::REQUEST => {
            Ok(Some(Heard::ArpRequest { sender_mac, sender_ip, target: target_ip, src, dst }))
        }
        ArpOperation::REPLY if sender_ip.is_unspecified() => {
            Err(Rejection::Malformed("ARP reply for no address"))
        }
        ArpOperation::REPLY => {
            Ok(Some(Heard::ArpReply { sender_mac, sender_ip, target_mac, target_ip, src, dst }))
        }
        _ => Ok(None),
    }
}

/// "Who has `target`?", from a node that has `own_ip`; broadcast.
pub fn request(own_mac: MacAddr, own_ip: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let ask = packet(ArpOperation::REQUEST, (own_mac, own_ip), (MacAddr::ZERO, target));
    frame(own_mac, MacAddr::BROADCAST, &ask)
}

/// "Does anybody have `target`?", from nobody: it changes no neighbour's table (RFC 5227, section 2.1.1); broadcast.
pub fn probe(own_mac: MacAddr, target: Ipv4Addr) -> Vec<u8> {
    request(own_mac, Ipv4Addr::UNSPECIFIED, target)
}

/// "`address` is at `own_mac`", to the station that asked.
pub fn reply(own_mac: MacAddr, address: Ipv4Addr, to_mac: MacAddr, to_ip: Ipv4Addr) -> Vec<u8> {
    frame(own_mac, to_mac, &packet(ArpOperation::REPLY, (own_mac, address), (to_mac, to_ip)))
}

/// The announcement of RFC 5227, section 2.3: a request for the address by the address; broadcast.
pub fn announcement_request(own_mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    request(own_mac, address, address)
}

/// The announcement as a reply to oneself: with any other target hardware address Linux holds a reply for unasked and
/// keeps an entry that it learned within the last second; broadcast.
pub fn announcement_reply(own_mac: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let own = (own_mac, address);
    frame(own_mac, MacAddr::BROADCAST, &packet(ArpOperation::REPLY, own, own))
}

fn packet(
    operation: ArpOperation,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
) -> ArpEthIpv4Packet {
    ArpEthIpv4Packet {
        operation,
        sender_mac: sender.0.0,
        sender_ipv4: sender.1.octets(),
        target_mac: target.0.0,
        target_ipv4: target.1.octets(),
    }
}

fn frame(source: MacAddr, destination: MacAddr, packet: &ArpEthIpv4Packet) -> Vec<u8> {
    let mut frame = ethernet(source, destination, EtherType::ARP);
    frame.extend(packet.to_bytes());
    frame
}

fn hardware(address: &[u8]) -> Result<[u8; 6], Rejection> {
    address.try_into().map_err(|_| Rejection::Malformed("ARP hardware address not of 6 bytes"))
}

fn protocol(address: &[u8]) -> Result<Ipv4Addr, Rejection> {
    let octets: [u8; 4] =
        address.try_into().map_err(|_| Rejection::Malformed("ARP protocol address not of 4 bytes"))?;
    Ok(octets.into())
}
