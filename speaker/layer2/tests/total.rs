// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The engine takes whatever comes, in any order, at any time: it never panics, never stands still and never runs wild.

#![cfg(test)]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    Budget, Claim, ClusterId, Delta, Digest, Echo, Flags, GroupId, GroupIntent, Hello, Incarnation, Input,
    KeyRing, LinkState, MacAddr, NodeId, Output, Segment, SegmentConfig, Slice, Term, Timing, UpTo,
    frame::{arp, ndp},
};
use proptest::prelude::*;

/// One input, as data.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Hello {
        from: u8,
        incarnation: u64,
        seq: u64,
        echo: Option<(u64, u16)>,
        flags: u8,
        claims: Vec<(u8, u8)>,
        deltas: Vec<(u8, u8, u8)>,
        age: u64,
    },
    Garbage(Vec<u8>),
    Frame {
        kind: u8,
        station: u8,
        address: u8,
        age: u64,
    },
    Link {
        up: bool,
        mac: u8,
    },
    Groups(Vec<(u8, bool, u8)>),
    HandOver {
        group: u8,
        to: Option<u8>,
    },
    Drain,
    Leave,
    Timeout,
}

fn node(number: u8) -> NodeId {
    NodeId::of("total", &number.to_string())
}

fn keys() -> KeyRing {
    KeyRing::default_for("total")
}

fn step() -> impl Strategy<Value = Step> {
    let claims = prop::collection::vec((0u8..6, 0u8..5), 0..6);
    let deltas = prop::collection::vec((0u8..5, 0u8..6, 0u8..5), 0..4);
    let hello = (
        0u8..4,
        1u64..3,
        0u64..40,
        prop::option::of((0u64..60, 0u16..400)),
        any::<u8>(),
        claims,
        deltas,
        0u64..400,
    );
    let hello = hello.prop_map(|(from, incarnation, seq, echo, flags, claims, deltas, age)| Step::Hello {
        from,
        incarnation,
        seq,
        echo,
        flags,
        claims,
        deltas,
        age,
    });
    prop_oneof![
        8 => (0u64..400).prop_map(Step::Wait),
        12 => hello,
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Garbage),
        6 => (0u8..8, 0u8..6, 0u8..10, 0u64..300).prop_map(|(kind, station, address, age)| Step::Frame { kind, station, address, age }),
        1 => (any::<bool>(), 0u8..2).prop_map(|(up, mac)| Step::Link { up, mac }),
        2 => prop::collection::vec((0u8..6, any::<bool>(), any::<u8>()), 0..6).prop_map(Step::Groups),
        1 => (0u8..7, prop::option::of(0u8..4)).prop_map(|(group, to)| Step::HandOver { group, to }),
        1 => Just(Step::Drain),
        1 => (0u8..10).prop_map(|n| if n == 0 { Step::Leave } else { Step::Timeout }),
        8 => Just(Step::Timeout),
    ]
}

fn vip(number: u8) -> IpAddr {
    match number % 2 {
        0 => Ipv4Addr::new(192, 0, 2, 100 + number).into(),
        _ => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100 + u16::from(number)).into(),
    }
}

fn claim((group, term): (u8, u8)) -> Claim {
    // Now and then the highest term there is.
    Claim { group: GroupId(group.into()), term: Term(if term == 4 { u64::MAX } else { term.into() }) }
}

fn frame(kind: u8, station: u8, address: u8) -> Vec<u8> {
    let mac = MacAddr([2, 0, 0, 0, 1, station]);
    let (v4, v6) =
        (Ipv4Addr::new(192, 0, 2, station), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, station.into()));
    match (kind, vip(address)) {
        (0, IpAddr::V4(vip)) => arp::request(mac, v4, vip),
        (1, IpAddr::V4(vip)) => arp::announcement_request(mac, vip),
        (2, IpAddr::V4(vip)) => arp::announcement_reply(mac, vip),
        (3, IpAddr::V4(vip)) => arp::probe(mac, vip),
        (4, IpAddr::V4(_)) => arp::reply(mac, v4, our_mac(0), Ipv4Addr::new(192, 0, 2, 1)),
        (0 | 1, IpAddr::V6(vip)) => ndp::solicitation_for(mac, v6, vip),
        (2 | 3, IpAddr::V6(vip)) => ndp::announcement(mac, vip),
        (4, IpAddr::V6(_)) => ndp::answer(mac, v6, our_mac(0), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        _ => vec![kind; usize::from(address) * 8],
    }
}

fn our_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// Gives one step in; afterwards the engine must be at rest until a later moment, after few rounds.
fn play(segment: &mut Segment, now: &mut Instant, step: Step) {
    match step {
        Step::Wait(time) => *now += Duration::from_millis(time),
        Step::Hello { from, incarnation, seq, echo, flags, claims, deltas, age } => {
            let us = |(seq, age): (u64, u16)| Echo {
                incarnation: Incarnation::from_random(1),
                seq,
                age: Duration::from_millis(age.into()),
            };
            let claims: Vec<Claim> = claims.into_iter().map(claim).collect();
            let delta = |(kind, group, term)| match kind {
                0 => Delta::Claim(claim((group, term))),
                1 => Delta::Resign(claim((group, term))),
                2 => Delta::HandOver { claim: claim((group, term)), to: node(term % 2) },
                kind => {
                    Delta::Relayed { claim: claim((group, term)), owner: node(term % 4), stands: kind == 3 }
                }
            };
            let hello = Hello {
                cluster: ClusterId::of("total"),
                node: node(from),
                incarnation: Incarnation::from_random(incarnation),
                seq,
                interval: Timing::DEFAULT.hello,
                dead: Timing::DEFAULT.dead * u32::from(flags >> 6),
                flags: Flags {
                    draining: flags & 1 != 0,
                    listening: flags & 2 != 0,
                    leaving: flags & 0x3c == 4,
                    ask: flags & 8 != 0,
                    aside: flags & 128 != 0,
                    shaky: flags & 32 != 0,
                },
                owned: 3,
                digest: if flags & 16 != 0 { claims.iter().copied().collect() } else { Digest::EMPTY },
                slice: Slice::new(0, u16::from(flags >> 5) + 1).unwrap(),
                claims: UpTo::first_of(claims),
                deltas: UpTo::first_of(deltas.into_iter().map(delta)),
                echoes: UpTo::first_of(echo.map(us)),
            };
            let payload = hello.encode(&keys());
            let source = Ipv4Addr::new(192, 0, 2, 10 + from).into();
            let received = now.checked_sub(Duration::from_millis(age)).unwrap();
            segment.handle(*now, Input::Hello { payload: &payload, hop_limit: 255, source, received });
        }
        Step::Garbage(bytes) => {
            let source = Ipv4Addr::LOCALHOST.into();
            segment.handle(*now, Input::Hello { payload: &bytes, hop_limit: 255, source, received: *now });
            segment.handle(*now, Input::Frame { bytes: &bytes, received: *now });
        }
        Step::Frame { kind, station, address, age } => {
            let received = now.checked_sub(Duration::from_millis(age)).unwrap();
            segment.handle(*now, Input::Frame { bytes: &frame(kind, station, address), received });
        }
        Step::Link { up, mac } => {
            let addresses = vec!["192.0.2.1/24".parse().unwrap(), "fe80::1/64".parse().unwrap()];
            let gateways = vec![Ipv4Addr::new(192, 0, 2, 2).into()];
            segment.handle(*now, Input::Link(LinkState { up, mac: our_mac(mac), addresses, gateways }));
        }
        Step::Groups(groups) => {
            let intent = |(id, ready, candidates): (u8, bool, u8)| GroupIntent {
                id: GroupId(id.into()),
                addresses: vec![vip(id), vip(id + 6)],
                candidates: (0..4).filter(|n| candidates & (1 << n) != 0).map(node).collect(),
                preferences: Default::default(),
                ready,
                bound: id % 2 == 0,
            };
            segment.handle(*now, Input::Groups(groups.into_iter().map(intent).collect()));
        }
        Step::HandOver { group, to } => {
            segment.handle(*now, Input::HandOver { group: GroupId(group.into()), to: to.map(node) });
        }
        Step::Drain => segment.handle(*now, Input::Drain),
        Step::Leave => segment.handle(*now, Input::Leave),
        Step::Timeout => segment.handle(*now, Input::Timeout),
    }
    settle(segment, *now);
}

/// Does what is due now; that must come to an end soon.
fn settle(segment: &mut Segment, now: Instant) {
    let mut outputs = 0;
    for round in 0.. {
        while let Some(output) = segment.poll_output() {
            outputs += 1;
            assert!(outputs < 500, "runs wild: {output:?}");
            if let Output::Hello { payload, .. } = output {
                Hello::decode(&payload, &keys()).unwrap();
            }
        }
        if segment.next_deadline().is_none_or(|at| at > now) {
            break;
        }
        assert!(round < 20, "a deadline that is met stays due");
        segment.handle(now, Input::Timeout);
    }
    let _view = segment.view(now);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_sequence_of_inputs_leaves_a_working_engine(steps in prop::collection::vec(step(), 1..120)) {
        let mut now = Instant::now() + Duration::from_secs(10);
        let config = SegmentConfig {
            cluster: ClusterId::of("total"),
            node: node(0),
            incarnation: Incarnation::from_random(1),
            seed: 1,
            keys: keys(),
            timing: Timing::DEFAULT,
            budget: Budget::DEFAULT,
        };
        let mut segment = Segment::new(config, now);
        play(&mut segment, &mut now, Step::Link { up: true, mac: 0 });
        for step in steps {
            play(&mut segment, &mut now, step);
        }
    }
}
