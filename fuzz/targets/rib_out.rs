// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Adj-RIB-Out: any wishes, any questions, any pace. In the end a peer that reads everything holds what is desired and sendable.

#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ferrolb_bgp::{
    Asn, Attributes, Capabilities, Community, Families, Family, Frame, HoldTime, Message, Negotiated,
    NextHop, Open, RibOut, RouteRefresh, RouterId, Routes,
};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;

/// A peer: what it holds, by the number of its MED, and what has not come again since a repetition began.
#[derive(Default)]
struct Peer {
    held: BTreeMap<IpNet, Option<u32>>,
    stale: BTreeSet<IpNet>,
    ends: usize,
}

fn session(bits: u8) -> Negotiated {
    let open = |asn, capabilities| Open {
        asn: Asn::new(asn).expect("not 0"),
        hold_time: HoldTime::DISABLED,
        router_id: RouterId::new(Ipv4Addr::LOCALHOST).expect("not 0"),
        capabilities,
    };
    let capabilities = Capabilities {
        multiprotocol: (bits & 1 == 0).then_some(Families::BOTH),
        four_octet_as: bits & 2 == 0,
        route_refresh: true,
        enhanced_route_refresh: bits & 4 == 0,
        extended_message: bits & 8 != 0,
        extended_next_hop: bits & 16 == 0,
        ..Capabilities::default()
    };
    let theirs = if bits & 32 == 0 { 65_002 } else { 65_001 };
    Negotiated::new(&open(65_001, capabilities.clone()), &open(theirs, capabilities))
}

fn palette() -> Vec<Arc<Attributes>> {
    let v4 = Attributes::new(NextHop::V4(Ipv4Addr::LOCALHOST));
    let v6 = Attributes::new(NextHop::V6 { global: Ipv6Addr::LOCALHOST, link_local: None });
    let with = |base: &Attributes, med, count| {
        let communities = (0..count).map(Community).collect();
        Arc::new(Attributes { med: Some(med), communities, ..base.clone() })
    };
    vec![
        with(&v4, 0, 0),
        with(&v4, 1, 3),
        with(&v6, 2, 0),
        with(&v6, 3, 980),
        with(&v6, 4, 20_000),
        with(&v4, 0, 0),
    ]
}

fn prefix(number: u8) -> IpNet {
    let bits = number / 16;
    match number % 2 {
        0 => IpNet::new(Ipv4Addr::new(10, 0, number, 0).into(), 32 - bits).expect("in range").trunc(),
        _ => {
            IpNet::new(Ipv6Addr::from(u128::from(number) << 64).into(), 128 - bits).expect("in range").trunc()
        }
    }
}

impl Peer {
    fn read(&mut self, rib: &mut RibOut, session: &Negotiated) -> bool {
        let mut bytes = Vec::new();
        if !rib.next_message(&mut bytes) {
            return false;
        }
        let frame = Frame::first_of(&bytes, session.max_len()).expect("it is ours").expect("it is whole");
        assert_eq!(frame.message().len(), bytes.len());
        match Message::decode(frame).expect("it is ours") {
            Message::Update(body) => {
                let update = body.read(session).expect("it is ours");
                assert!(update.fault().is_none() && update.discarded().is_empty());
                self.ends += usize::from(update.end_of_rib().is_some());
                for gone in update.withdrawn() {
                    self.stale.remove(&gone);
                    assert!(self.held.remove(&gone).is_some(), "{gone} was not there");
                }
                for route in update.announced() {
                    self.stale.remove(&route);
                    self.held.insert(route, update.attributes().med);
                }
            }
            Message::RouteRefresh(RouteRefresh::Begin(family)) => {
                self.stale.extend(self.held.keys().filter(|prefix| Family::of(prefix) == family));
            }
            Message::RouteRefresh(RouteRefresh::End(family)) => {
                let gone: Vec<IpNet> =
                    self.stale.iter().filter(|prefix| Family::of(prefix) == family).copied().collect();
                assert!(gone.is_empty(), "{gone:?} never came again");
            }
            other => panic!("{other:?}"),
        }
        let sent = rib.sent().map(|(prefix, attributes)| (*prefix, attributes.med));
        assert!(sent.eq(self.held.iter().map(|(prefix, med)| (*prefix, *med))));
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, steps)) = data.split_first() else { return };
    let (session, palette) = (session(*bits), palette());
    let (mut rib, mut peer) = (RibOut::new(session.clone()), Peer::default());
    let mut desired = Routes::new();
    for step in steps.chunks(2) {
        let &[what, which] = step else { break };
        match what % 8 {
            0..4 => {
                desired.insert(prefix(which), Arc::clone(&palette[usize::from(what / 8) % palette.len()]));
            }
            4 => {
                desired.remove(&prefix(which));
            }
            5 => rib.set_desired(Arc::new(desired.clone())),
            6 => {
                for _ in 0..which % 8 {
                    peer.read(&mut rib, &session);
                }
            }
            _ => rib.refresh(Family::ALL[usize::from(which) % 2]),
        }
    }
    rib.set_desired(Arc::new(desired.clone()));
    while peer.read(&mut rib, &session) {}
    desired.retain(|prefix, _| !rib.unsendable().contains_key(prefix));
    assert!(desired.iter().map(|(prefix, attributes)| (*prefix, attributes.med)).eq(peer.held));
    assert_eq!((rib.waiting(), peer.ends), (0, session.families.iter().count()));
});
