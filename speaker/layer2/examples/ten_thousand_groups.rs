// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Measures for how long ten thousand groups keep an engine busy at a time: three engines on a wire without loss, of which
//! one falls silent and another is drained. The longest call of each is told, by what was asked of it.
//!
//! `cargo run --release -p ferrolb-layer2 --example ten_thousand_groups`

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    Budget, ClusterId, Destination, Event, GroupId, GroupIntent, Incarnation, Input, KeyRing, LinkState,
    MacAddr, NodeId, Output, Segment, SegmentConfig, Timing,
};

const GROUPS: u32 = 10_000;
const NODES: [u8; 3] = [1, 2, 3];

fn main() {
    let mut wire = Wire::new();
    wire.run(Duration::from_secs(3));
    wire.tell("listened, and claimed what nobody had");
    wire.all(|| Input::Groups(groups(true)));
    wire.run(Duration::from_secs(1));
    wire.tell("given the same groups again");
    wire.engines.remove(&1);
    wire.run(Duration::from_secs(1));
    wire.tell("one of three fell silent");
    wire.call(2, "drain", Input::Drain);
    wire.run(Duration::from_secs(3));
    wire.tell("one of two was drained");
}

/// Engines that hear each other at once, in virtual time.
struct Wire {
    now: Instant,
    begun: Instant,
    engines: BTreeMap<u8, Segment>,
    sent: VecDeque<(u8, Vec<u8>)>,
    longest: BTreeMap<&'static str, Duration>,
    claims: BTreeMap<u8, (usize, Duration)>,
}

impl Wire {
    fn new() -> Self {
        let now = Instant::now();
        let engines = NODES.map(|node| (node, Segment::new(config(node), now))).into();
        let (longest, claims) = (BTreeMap::new(), BTreeMap::new());
        let mut wire = Self { now, begun: now, engines, sent: VecDeque::new(), longest, claims };
        for node in NODES {
            let addresses = vec!["198.18.255.1/16".parse().unwrap_or_default()];
            let link =
                LinkState { up: true, mac: MacAddr([2, 0, 0, 0, 0, node]), addresses, gateways: Vec::new() };
            wire.call(node, "link", Input::Link(link));
            wire.call(node, "groups", Input::Groups(groups(true)));
        }
        wire
    }

    fn all(&mut self, input: impl Fn() -> Input<'static>) {
        for node in self.engines.keys().copied().collect::<Vec<_>>() {
            self.call(node, "groups", input());
        }
    }

    fn call(&mut self, node: u8, what: &'static str, input: Input<'_>) {
        let Some(engine) = self.engines.get_mut(&node) else { return };
        let begin = Instant::now();
        engine.handle(self.now, input);
        let mut outputs = Vec::new();
        while let Some(output) = engine.poll_output() {
            outputs.push(output);
        }
        let took = begin.elapsed();
        let longest = self.longest.entry(what).or_default();
        *longest = took.max(*longest);
        for output in outputs {
            match output {
                Output::Hello { to: Destination::Multicast, payload } => self.sent.push_back((node, payload)),
                Output::Event(Event::Claimed { .. }) => {
                    let claims = self.claims.entry(node).or_default();
                    *claims = (claims.0 + 1, self.now.duration_since(self.begun));
                }
                _ => {}
            }
        }
    }

    /// Delivers what was sent, in the order in which it was.
    fn deliver(&mut self) {
        while let Some((from, payload)) = self.sent.pop_front() {
            let source = IpAddr::V4(Ipv4Addr::new(198, 18, 255, from));
            for node in NODES.into_iter().filter(|node| *node != from) {
                let (payload, received) = (&payload, self.now);
                self.call(node, "hello", Input::Hello { payload, hop_limit: 255, source, received });
            }
        }
    }

    fn run(&mut self, span: Duration) {
        self.begun = self.now;
        let end = self.now + span;
        while let Some(next) = self.engines.values().filter_map(Segment::next_deadline).min()
            && next <= end
        {
            self.now = self.now.max(next);
            for node in NODES {
                let due = self.engines.get(&node).and_then(Segment::next_deadline);
                if due.is_some_and(|due| due <= self.now) {
                    self.call(node, "deadline", Input::Timeout);
                }
            }
            self.deliver();
        }
        self.now = end;
    }

    fn tell(&mut self, when: &str) {
        println!("{when}:");
        for (what, took) in std::mem::take(&mut self.longest) {
            println!("  {what:9} at most {:8.2} ms", took.as_secs_f64() * 1000.0);
        }
        for (node, (count, last)) in std::mem::take(&mut self.claims) {
            println!("  node {node} claimed {count}, the last after {} ms", last.as_millis());
        }
        let begin = Instant::now();
        let views: usize = self.engines.values().map(|engine| engine.view(self.now).groups.len()).sum();
        println!("  {views} groups viewed in {:.2} ms", begin.elapsed().as_secs_f64() * 1000.0);
    }
}

fn config(node: u8) -> SegmentConfig {
    SegmentConfig {
        cluster: ClusterId::of("measured"),
        node: id(node),
        incarnation: Incarnation::from_random(u64::from(node)),
        seed: u64::from(node),
        keys: KeyRing::default_for("measured"),
        timing: Timing::DEFAULT,
        budget: Budget::DEFAULT,
    }
}

fn id(node: u8) -> NodeId {
    NodeId::of("measured", &format!("n{node}"))
}

fn groups(ready: bool) -> Vec<GroupIntent> {
    let preferences = Arc::default();
    let mut groups: Vec<GroupIntent> = (1..=GROUPS)
        .map(|number| {
            let address = IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number));
            GroupIntent {
                id: GroupId::of(&address.to_string()),
                addresses: vec![address],
                candidates: NODES.map(id).into(),
                preferences: Arc::clone(&preferences),
                ready,
                bound: false,
            }
        })
        .collect();
    groups.sort_by_key(|group| group.id);
    groups
}
