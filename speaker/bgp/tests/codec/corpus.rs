// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Messages of many kinds, and sessions to read them in.

use std::{collections::BTreeMap, net::Ipv6Addr, sync::Arc};

use ferrolb_bgp::{
    Asn, Attributes, Capabilities, Code, Community, ExtendedCommunity, Families, Family, GracefulRestart,
    HoldTime, LargeCommunity, Message, Negotiated, NextHop, Notification, Open, Origin, RestartTime, RibOut,
    RouteRefresh, RouterId, Routes, UpdateBody,
};

/// What today's routers can do.
pub(crate) fn modern() -> Capabilities {
    Capabilities {
        multiprotocol: Some(Families::BOTH),
        four_octet_as: true,
        route_refresh: true,
        enhanced_route_refresh: true,
        extended_message: false,
        extended_next_hop: true,
        graceful_restart: Some(GracefulRestart {
            restarted: false,
            notification: true,
            time: RestartTime::from_secs(120).unwrap(),
            families: Families::BOTH,
            forwarding: Families::BOTH,
        }),
        ..Capabilities::default()
    }
}

pub(crate) fn open(asn: u32, capabilities: Capabilities) -> Open {
    Open {
        asn: Asn::new(asn).unwrap(),
        hold_time: HoldTime::from_secs(90).unwrap(),
        router_id: RouterId::new([10, 77, 0, 1].into()).unwrap(),
        capabilities,
    }
}

fn session(ours: u32, theirs: u32, capabilities: Capabilities) -> Negotiated {
    Negotiated::new(&open(ours, modern()), &open(theirs, capabilities))
}

/// With another autonomous system, within ours, with long messages, and with a router of old.
pub(crate) fn sessions() -> [Negotiated; 4] {
    let external = session(65_001, 65_002, modern());
    let extended = Negotiated { extended_message: true, ..external.clone() };
    [
        external,
        session(65_001, 65_001, modern()),
        extended,
        session(4_200_000_001, 65_002, Capabilities::default()),
    ]
}

/// Attributes of many kinds.
pub(crate) fn palette() -> Vec<Arc<Attributes>> {
    let plain = Attributes::new(NextHop::V4([10, 77, 0, 1].into()));
    let global = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let six = Attributes::new(NextHop::V6 { global, link_local: None });
    let rich = Attributes {
        origin: Origin::Incomplete,
        med: Some(7),
        local_pref: Some(200),
        communities: [Community::NO_EXPORT, Community::GRACEFUL_SHUTDOWN, Community::new(65_000, 100)].into(),
        extended_communities: [ExtendedCommunity([0, 2, 0xfd, 0xe9, 0, 0, 0, 1])].into(),
        large_communities: [LargeCommunity { global: 123, data1: 456, data2: 7_890 }].into(),
        ..plain.clone()
    };
    let many = Attributes { communities: (0..100).map(Community).collect(), ..six.clone() };
    let unnumbered = NextHop::V6 { global, link_local: Some(link_local) };
    let rich_six = Attributes { next_hop: unnumbered, ..rich.clone() };
    [plain, six, rich, rich_six, many].into_iter().map(Arc::new).collect()
}

/// Every message that a peer of this session is sent, with one set of attributes after the other.
pub(crate) fn updates(session: &Negotiated) -> Vec<Vec<u8>> {
    let mut rib = RibOut::new(session.clone());
    let mut messages = Vec::new();
    for attributes in palette() {
        let texts = ["192.0.2.1/32", "198.51.100.0/25", "10.0.0.0/8", "2001:db8::1/128", "2001:db8:1::/48"];
        let routes: Routes =
            texts.iter().map(|text| (text.parse().unwrap(), Arc::clone(&attributes))).collect();
        rib.set_desired(Arc::new(routes));
        messages.extend(all_of(&mut rib));
    }
    rib.set_desired(Arc::new(BTreeMap::new()));
    messages.extend(all_of(&mut rib));
    messages
}

/// All messages that wait.
pub(crate) fn all_of(rib: &mut RibOut) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let mut message = Vec::new();
        rib.next_message(&mut message).then_some(message)
    })
    .collect()
}

/// One UPDATE with every attribute that is checked, as a route reflector of AS 65001 may send it.
#[rustfmt::skip]
pub(crate) fn everything_at_once() -> Vec<u8> {
    let attributes: Vec<u8> = [
        &[0x80, 14, 44, 0, 2, 1, 32][..],
        &[0xfd; 16], &[0xfe; 16], &[0, 48, 0x20, 1, 0xd, 0xb8, 0, 1],
        &[0x80, 15, 8, 0, 2, 1, 32, 0x20, 1, 0xd, 0xb9],
        &[0x40, 1, 1, 2],
        &[0x40, 2, 20, 2, 2, 0, 0, 0xfd, 0xea, 0xfa, 0x56, 0xea, 1, 2, 2, 0, 0, 0, 1, 0, 0, 0, 2],
        &[0x40, 3, 4, 10, 77, 0, 2],
        &[0x80, 4, 4, 0, 0, 0, 5],
        &[0x40, 5, 4, 0, 0, 0, 100],
        &[0x40, 6, 0],
        &[0xc0, 7, 8, 0, 0, 0xfd, 0xea, 10, 0, 0, 1],
        &[0xc0, 8, 8, 0xff, 0xff, 0xff, 1, 0xfd, 0xe8, 0, 1],
        &[0x80, 9, 4, 10, 0, 0, 9],
        &[0x80, 10, 8, 10, 0, 0, 7, 10, 0, 0, 8],
        &[0xd0, 16, 0, 8, 0, 2, 0xfd, 0xe9, 0, 0, 0, 1],
        &[0xc0, 25, 20], &[7; 20],
        &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
        &[0xe0, 99, 3, 1, 2, 3],
    ]
    .concat();
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    let body = [&[0, 2, 8, 172][..], &length, &attributes, &[24, 192, 0, 2, 8, 10]].concat();
    Message::Update(UpdateBody::new(&body)).to_bytes()
}

/// Messages of every type.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let opens = [
        open(65_001, modern()),
        open(4_200_000_001, Capabilities { extended_message: true, ..modern() }),
        open(65_002, Capabilities::default()),
    ];
    let notifications = [
        Notification::shutdown("drain"),
        Notification::new(Code::HOLD_TIMER_EXPIRED),
        Notification::reset("x").hard(),
    ];
    let refreshes = [RouteRefresh::Request(Family::Ipv4Unicast), RouteRefresh::End(Family::Ipv6Unicast)];
    let small = opens.map(Message::Open).into_iter();
    let small =
        small.chain(notifications.map(Message::Notification)).chain(refreshes.map(Message::RouteRefresh));
    let small = small.chain([Message::Keepalive]).map(|message| message.to_bytes());
    let updates = sessions().into_iter().flat_map(|session| updates(&session));
    small.chain(updates).chain([everything_at_once()]).collect()
}
