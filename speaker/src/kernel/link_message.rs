// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What rtnetlink's messages (RFC 3549) mean for the table of interfaces: pure.
#![expect(clippy::disallowed_types, reason = "one of the three files that speak rtnetlink")]

use std::net::IpAddr;

use ferrolb_layer2::MacAddr;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::{Change, DefaultRoute, Device, NextHop};

/// What a kernel message means for the table; none when it does not concern it. `replace` says whether a route takes
/// the place of the one before.
pub(super) fn change(message: &RouteNetlinkMessage, replace: bool) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(link) => device(link).map(Change::Device),
        // A port that leaves its bridge is told as a deletion of family AF_BRIDGE: the interface lives on.
        RouteNetlinkMessage::DelLink(link) => (link.header.interface_family == AddressFamily::Unspec)
            .then_some(Change::DeviceGone(link.header.index)),
        RouteNetlinkMessage::NewAddress(message) => {
            let net = address(message)?;
            Some(if is_usable(message) {
                Change::Address(message.header.index, net)
            } else {
                Change::AddressGone(message.header.index, net)
            })
        }
        RouteNetlinkMessage::DelAddress(message) => {
            Some(Change::AddressGone(message.header.index, address(message)?))
        }
        RouteNetlinkMessage::NewRoute(message) => {
            let (route, hops) = default_route(message)?;
            Some(Change::Gateways { route, hops, replace })
        }
        RouteNetlinkMessage::DelRoute(message) => {
            let (route, hops) = default_route(message)?;
            Some(Change::GatewaysGone { route, hops })
        }
        _ => None,
    }
}

fn device(message: &LinkMessage) -> Option<Device> {
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut name = None;
    let mut mac = None;
    let mut master = None;
    let mut kind = None;
    let mut complete = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.clone()),
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr),
            LinkAttribute::Controller(index) if *index != 0 => master = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::OperState(_) => complete = true,
            _ => {}
        }
    }
    // Wireless events come as link messages that hold little but the name.
    if !complete {
        return None;
    }
    let flags = message.header.flags;
    let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    Some(Device {
        index: message.header.index,
        name: name?,
        mac: mac.filter(|mac| ethernet && mac.is_station()),
        enabled: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        resolves_neighbours: !flags.contains(LinkFlags::Noarp),
        master,
        kind,
    })
}

/// The interface's own address; on a point-to-point interface the other attribute is the peer's.
fn address(message: &AddressMessage) -> Option<IpNet> {
    let mut own = None;
    let mut local = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(address) => own = Some(*address),
            AddressAttribute::Local(address) => local = Some(*address),
            _ => {}
        }
    }
    IpNet::new(local.or(own)?, message.header.prefix_len).ok()
}

fn is_usable(message: &AddressMessage) -> bool {
    let flags = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Flags(flags) => Some(*flags),
            _ => None,
        })
        .unwrap_or(AddressFlags::from_bits_retain(u32::from(message.header.flags.bits())));
    let tentative = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    !tentative && !flags.intersects(AddressFlags::Deprecated | AddressFlags::Dadfailed)
}

fn default_route(message: &RouteMessage) -> Option<(DefaultRoute, Vec<NextHop>)> {
    let header = &message.header;
    if header.destination_prefix_length != 0
        || header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
    {
        return None;
    }
    let ipv6 = match header.address_family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return None,
    };
    let mut metric = 0;
    let mut interface = None;
    let mut hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::MultiPath(paths) => hops.extend(
                paths.iter().filter_map(|path| Some((path.interface_index, gateway(&path.attributes)?))),
            ),
            _ => {}
        }
    }
    if let (Some(interface), Some(gateway)) = (interface, gateway(&message.attributes)) {
        hops.push((interface, gateway));
    }
    Some((DefaultRoute { ipv6, metric }, hops))
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address))
        | RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}
