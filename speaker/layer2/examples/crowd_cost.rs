// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Measures what the engine makes of one hello among a thousand nodes, each of which owns a group and echoes four others; and what
//! the HMAC alone takes, which anybody must compute who believes nothing unsigned.
//!
//! `cargo run --release -p ferrolb-layer2 --example crowd_cost`

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    Budget, Claim, ClusterId, Digest, ECHOES_AMONG_MANY, Echo, Flags, GroupId, GroupIntent, Hello,
    Incarnation, Input, KeyRing, LinkState, MacAddr, NodeId, Output, Segment, SegmentConfig, Slice, Term,
    Timing, UpTo, keys::TAG_LEN,
};
use ring::hmac;

const NODES: u8 = 250;
const GROUPS_OF_NODES: u8 = 4;
const ROUNDS: u64 = 200;
const INTERVAL: Duration = Duration::from_millis(100);

fn main() {
    let keys = KeyRing::default_for("measured");
    let mut now = Instant::now();
    let mut segment = real_node(&keys, now);
    let mut crowd: Vec<Hello> = (0..GROUPS_OF_NODES)
        .flat_map(|high| (0..NODES).map(move |low| member(&format!("c{high}-{low}"))))
        .collect();
    let mut heard = None;
    let mut last = Vec::new();
    let (mut spent, mut hellos) = (Duration::ZERO, 0u32);
    for round in 1..=ROUNDS {
        let payloads: Vec<Vec<u8>> =
            (0..crowd.len()).map(|index| speak(&mut crowd, index, round, heard, &keys)).collect();
        last = payloads.last().cloned().unwrap_or_default();
        for (payload, number) in payloads.iter().zip(0u32..) {
            let [_, _, high, low] = number.to_be_bytes();
            let input = Input::Hello {
                payload,
                hop_limit: 255,
                source: IpAddr::V4(Ipv4Addr::new(192, 0, high, low)),
                received: now,
            };
            now += INTERVAL / 1000;
            let begin = Instant::now();
            if segment.next_deadline().is_some_and(|at| at <= now) {
                segment.handle(now, Input::Timeout);
            }
            segment.handle(now, input);
            // The first rounds are those in which everybody is new.
            if round > ROUNDS / 2 {
                spent += begin.elapsed();
                hellos += 1;
            }
            while let Some(output) = segment.poll_output() {
                if let Output::Hello { payload, .. } = output
                    && let Ok(hello) = Hello::decode(&payload, &keys)
                {
                    heard = Some((hello.incarnation, hello.seq));
                }
            }
        }
    }
    let alive = segment.view(now).peers.len();
    let begin = Instant::now();
    let signed = last.len().saturating_sub(TAG_LEN);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    for _ in 0..hellos {
        black_box(hmac::sign(&key, black_box(last.get(..signed).unwrap_or_default())));
    }
    let (tag, each) = (begin.elapsed() / hellos.max(1), spent / hellos.max(1));
    let bytes = last.len();
    println!("{each:?} per hello of {bytes} bytes, {tag:?} of them for its tag; {alive} nodes heard");
}

fn real_node(keys: &KeyRing, now: Instant) -> Segment {
    let config = SegmentConfig {
        cluster: ClusterId::of("measured"),
        node: NodeId::of("measured", "real"),
        incarnation: Incarnation::from_random(1),
        seed: 1,
        keys: keys.clone(),
        timing: Timing::DEFAULT,
        budget: Budget::per_second(NonZeroU32::MIN),
    };
    let mut segment = Segment::new(config, now);
    let addresses = "192.0.2.1/16".parse().into_iter().collect();
    let link = LinkState { up: true, mac: MacAddr([2, 0, 0, 0, 0, 1]), addresses, gateways: Vec::new() };
    segment.handle(now, Input::Link(link));
    let groups = (0..GROUPS_OF_NODES).flat_map(|high| (0..NODES).map(move |low| (high, low)));
    let groups = groups.map(|(high, low)| GroupIntent {
        id: GroupId::of(&format!("c{high}-{low}")),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(198, 18, high, low))],
        candidates: [NodeId::of("measured", "real"), NodeId::of("measured", &format!("c{high}-{low}"))]
            .into(),
        preferences: Arc::default(),
        ready: true,
        bound: false,
    });
    segment.handle(now, Input::Groups(groups.collect()));
    segment
}

fn member(name: &str) -> Hello {
    let claim = Claim { group: GroupId::of(name), term: Term(1) };
    Hello {
        cluster: ClusterId::of("measured"),
        node: NodeId::of("measured", name),
        incarnation: Incarnation::from_random(7),
        seq: 0,
        interval: INTERVAL,
        dead: INTERVAL * 7 / 2,
        flags: Flags::default(),
        owned: 1,
        digest: Digest::from_iter([claim]),
        slice: Slice::WHOLE,
        claims: UpTo::first_of([claim]),
        deltas: UpTo::new(),
        echoes: UpTo::new(),
    }
}

fn speak(
    crowd: &mut [Hello],
    index: usize,
    seq: u64,
    heard: Option<(Incarnation, u64)>,
    keys: &KeyRing,
) -> Vec<u8> {
    let echo = |(incarnation, seq)| Echo { incarnation, seq, age: Duration::from_millis(20) };
    let many = crowd.len();
    let others = (1..ECHOES_AMONG_MANY).filter_map(|back| crowd.get((index + many - back) % many));
    let others = others.map(|hello| (hello.incarnation, hello.seq));
    let echoes = UpTo::first_of(heard.into_iter().chain(others).map(echo));
    let Some(hello) = crowd.get_mut(index) else { return Vec::new() };
    hello.seq = seq;
    hello.echoes = echoes;
    hello.encode(keys)
}
