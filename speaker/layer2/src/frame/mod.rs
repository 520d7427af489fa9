// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ethernet frames that resolve addresses: ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::identity::MacAddr;

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
