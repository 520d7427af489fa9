// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A whole engine: any inputs in any order at any time. It never panics, comes to rest after each, and says nothing that
//! cannot be read.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ferrolb_layer2::keys::TAG_LEN;
use ferrolb_layer2::rule::{Rule, break_only};
use ferrolb_layer2::{
    Budget, ClusterId, Digest, Flags, GroupId, GroupIntent, Hello, Incarnation, Input, KeyRing, LinkState,
    MacAddr, NodeId, Output, Segment, SegmentConfig, Slice, Timing, UpTo, frame,
};
use libfuzzer_sys::fuzz_target;

/// Outputs that one input may cause; far more than any does.
const WILD: usize = 2_000;
/// Deadlines that may be due at one moment.
const RESTLESS: usize = 50;

/// What is left of the fuzzer's bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn many(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?) * 2;
        let (many, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(many)
    }
}

fn node(number: u8) -> NodeId {
    NodeId::of("fuzz", &number.to_string())
}

fn vip(number: u8) -> IpAddr {
    match number % 2 {
        0 => Ipv4Addr::new(192, 0, 2, 100 + number % 64).into(),
        _ => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100 + u16::from(number)).into(),
    }
}

fn engine(now: Instant) -> Segment {
    let config = SegmentConfig {
        cluster: ClusterId::of("fuzz"),
        node: node(0),
        incarnation: Incarnation::from_random(1),
        seed: 1,
        keys: keys(),
        timing: Timing::DEFAULT,
        budget: Budget::DEFAULT,
    };
    Segment::new(config, now)
}

fn keys() -> KeyRing {
    KeyRing::simulated(1, None)
}

fn link(up: bool, mac: u8) -> LinkState {
    let net = |text: &str| text.parse().expect("a prefix");
    LinkState {
        up,
        mac: MacAddr([2, 0, 0, 0, 0, mac]),
        addresses: vec![net("192.0.2.1/24"), net("fe80::1/64")],
        gateways: vec![Ipv4Addr::new(192, 0, 2, 2).into()],
    }
}

fn groups(bytes: &[u8]) -> Vec<GroupIntent> {
    let intent = |triple: &[u8]| {
        let [id, ready, candidates] = *triple else { return None };
        Some(GroupIntent {
            id: GroupId((id % 16).into()),
            addresses: vec![vip(id % 16), vip(id % 16 + 16)],
            candidates: (0..4).filter(|n| candidates & (1 << n) != 0).map(node).collect(),
            preferences: Default::default(),
            ready: ready & 1 != 0,
            bound: ready & 2 != 0,
        })
    };
    bytes.chunks_exact(3).filter_map(intent).collect()
}

/// A datagram with the header of our cluster's hellos before these bytes, so that the fuzzer need not find it again and again.
fn hello(content: &[u8]) -> Vec<u8> {
    const HEADER: usize = 15;
    let whole = Hello {
        cluster: ClusterId::of("fuzz"),
        node: node(1),
        incarnation: Incarnation::from_random(2),
        seq: 1,
        interval: Timing::DEFAULT.hello,
        dead: Timing::DEFAULT.dead,
        flags: Flags::default(),
        owned: 0,
        digest: Digest::EMPTY,
        slice: Slice::WHOLE,
        claims: UpTo::first_of([]),
        deltas: UpTo::first_of([]),
        echoes: UpTo::first_of([]),
    };
    let mut datagram = whole.encode(&keys());
    datagram.truncate(HEADER);
    datagram.extend(content);
    datagram.extend([0; TAG_LEN]);
    datagram
}

/// One input made of the next bytes; `None` when none are left.
fn step(segment: &mut Segment, now: &mut Instant, bytes: &mut Bytes<'_>) -> Option<()> {
    match bytes.byte()? % 12 {
        0 | 1 => *now += Duration::from_millis(bytes.byte()?.into()),
        2 => *now += Duration::from_millis(u64::from(bytes.byte()?) * 100),
        3..=5 => {
            let (source, hop_limit) = (bytes.byte()?, 255);
            let received = *now - Duration::from_millis(bytes.byte()?.into());
            let payload = hello(bytes.many()?);
            let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, source));
            segment.handle(*now, Input::Hello { payload: &payload, hop_limit, source, received });
        }
        6 | 7 => {
            let received = *now - Duration::from_millis(bytes.byte()?.into());
            segment.handle(*now, Input::Frame { bytes: bytes.many()?, received });
        }
        8 => {
            let byte = bytes.byte()?;
            segment.handle(*now, Input::Link(link(byte & 1 == 0, byte % 4)));
        }
        9 => segment.handle(*now, Input::Groups(groups(bytes.many()?))),
        10 => {
            let (group, to) = (bytes.byte()?, bytes.byte()?);
            let to = (to % 4 != 3).then(|| node(to % 4));
            segment.handle(*now, Input::HandOver { group: GroupId((group % 16).into()), to });
        }
        _ => match bytes.byte()? % 16 {
            0 => segment.handle(*now, Input::Leave),
            1 => segment.handle(*now, Input::Drain),
            2 => segment.handle(*now, Input::Keys(Box::new(keys()))),
            _ => segment.handle(*now, Input::Timeout),
        },
    }
    settle(segment, *now);
    Some(())
}

fn settle(segment: &mut Segment, now: Instant) {
    let mut outputs = 0;
    for round in 0.. {
        while let Some(output) = segment.poll_output() {
            outputs += 1;
            assert!(outputs < WILD, "runs wild: {output:?}");
            match output {
                Output::Hello { payload, .. } => drop(Hello::decode(&payload, &keys()).expect("it is ours")),
                Output::Frame(bytes) => assert!(matches!(frame::parse(&bytes), Ok(Some(_))), "{bytes:?}"),
                _ => {}
            }
        }
        if segment.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        assert!(round < RESTLESS, "a deadline that is met stays due");
        segment.handle(now, Input::Timeout);
    }
}

fuzz_target!(|data: &[u8]| {
    // No fuzzer guesses a tag: every hello counts as authentic.
    break_only(Some(Rule::Authenticity));
    let mut now = Instant::now() + Duration::from_secs(60);
    let mut segment = engine(now);
    segment.handle(now, Input::Link(link(true, 0)));
    segment.handle(now, Input::Groups(groups(&[0, 1, 3, 1, 1, 7])));
    settle(&mut segment, now);
    let mut bytes = Bytes(data);
    while step(&mut segment, &mut now, &mut bytes).is_some() {}
    let _view = segment.view(now);
});
