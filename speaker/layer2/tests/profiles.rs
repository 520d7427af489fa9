// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Engines of one profile or of several on one segment, in virtual time: each profile keeps what it promises, and none
//! takes a node of another one for dead.

#![cfg(test)]

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ferrolb_layer2::{
    Budget, Cause, ClusterId, Destination, Event, GroupId, GroupIntent, Incarnation, Input, KeyRing,
    LinkState, MacAddr, NodeId, Output, Segment, SegmentConfig, Timing,
};

const MS: Duration = Duration::from_millis(1);
const FLIGHT: Duration = Duration::from_micros(300);
const GROUP: GroupId = GroupId(7);

fn node(number: u8) -> NodeId {
    NodeId::of("profiles", &format!("n{number}"))
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

/// Engines that hear each other's hellos after [`FLIGHT`], until one crashes.
struct Wire {
    now: Instant,
    engines: BTreeMap<u8, Segment>,
    timings: Vec<Timing>,
    /// When, to whom, from whom, what.
    flying: VecDeque<(Instant, u8, u8, Vec<u8>)>,
    events: Vec<(Instant, u8, Event)>,
}

impl Wire {
    /// Nodes of these times, settled; the first owner is node `first`.
    fn settled(timings: &[Timing], seed: u64, first: u8) -> Self {
        let start = Instant::now();
        let numbers = 1..=u8::try_from(timings.len()).expect("few nodes");
        let engine = |(number, timing): (u8, &Timing)| {
            let config = SegmentConfig {
                cluster: ClusterId::of("profiles"),
                node: node(number),
                incarnation: Incarnation::from_random(seed * 100 + u64::from(number)),
                seed: seed * 100 + u64::from(number),
                keys: KeyRing::default_for("profiles"),
                timing: *timing,
                budget: Budget::DEFAULT,
            };
            (number, Segment::new(config, start))
        };
        let mut wire = Self {
            now: start,
            engines: numbers.clone().zip(timings).map(engine).collect(),
            timings: timings.to_vec(),
            flying: VecDeque::new(),
            events: Vec::new(),
        };
        for number in numbers.clone() {
            let addresses = vec![format!("{}/24", address(number)).parse().expect("a prefix")];
            let mac = MacAddr([2, 0, 0, 0, 0, number]);
            wire.give(number, Input::Link(LinkState { up: true, mac, addresses, gateways: Vec::new() }));
            wire.intend(number, number == first);
        }
        let longest = timings.iter().map(|timing| timing.listen).max().unwrap_or_default();
        wire.run(longest + Duration::from_secs(3));
        numbers.for_each(|number| wire.intend(number, true));
        wire.run(Duration::from_secs(3));
        assert_eq!(wire.owner(), first);
        wire
    }

    fn intend(&mut self, number: u8, ready: bool) {
        let candidates = (1..=u8::try_from(self.timings.len()).expect("few nodes")).map(node).collect();
        let group = GroupIntent {
            id: GROUP,
            addresses: vec![address(100).into()],
            candidates,
            preferences: Default::default(),
            ready,
            bound: false,
        };
        self.give(number, Input::Groups(vec![group]));
    }

    fn give(&mut self, number: u8, input: Input<'_>) {
        let others: Vec<u8> = self.engines.keys().copied().filter(|other| *other != number).collect();
        let Some(engine) = self.engines.get_mut(&number) else { return };
        engine.handle(self.now, input);
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Hello { to, payload } => {
                    let hears = |other: &u8| match to {
                        Destination::Multicast => true,
                        Destination::Unicast(to) => to == IpAddr::V4(address(*other)),
                    };
                    for other in others.iter().filter(|other| hears(other)) {
                        self.flying.push_back((self.now + FLIGHT, *other, number, payload.clone()));
                    }
                }
                Output::Event(event) => self.events.push((self.now, number, event)),
                Output::Frame(_) | Output::Drained => {}
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.flying.front().map(|(at, ..)| *at);
            let deadlines = self.engines.iter().filter_map(|(n, engine)| Some((engine.next_deadline()?, *n)));
            let next = deadlines.min();
            match (arrival, next) {
                (Some(at), next) if at <= end && next.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    if let Some((_, to, from, payload)) = self.flying.pop_front() {
                        let (source, received) = (IpAddr::V4(address(from)), self.now);
                        self.give(to, Input::Hello { payload: &payload, hop_limit: 255, source, received });
                    }
                }
                (_, Some((due, number))) if due <= end => {
                    self.now = self.now.max(due);
                    self.give(number, Input::Timeout);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn owner(&self) -> u8 {
        let owns = |(number, engine): (&u8, &Segment)| {
            let owner = engine.view(self.now).groups.first()?.owner?;
            (owner == node(*number)).then_some(*number)
        };
        let owners: Vec<u8> = self.engines.iter().filter_map(owns).collect();
        assert_eq!(owners.len(), 1, "{owners:?}");
        owners[0]
    }

    /// Takes the owner away, and tells its number and how long until somebody claimed.
    fn crash_owner(&mut self, patience: Duration) -> (u8, Duration) {
        let (victim, cut) = (self.owner(), self.now);
        self.engines.remove(&victim);
        self.run(patience);
        let claims: Vec<_> = self
            .events
            .iter()
            .filter(|(at, _, event)| *at >= cut && matches!(event, Event::Claimed { .. }))
            .collect();
        let [(at, _, Event::Claimed { cause: Cause::Silence(of), .. })] = claims[..] else {
            panic!("one move, because of the silence: {claims:?}")
        };
        assert_eq!(*of, node(victim));
        (victim, at.duration_since(cut))
    }

    fn peers_lost(&self) -> Vec<&(Instant, u8, Event)> {
        self.events.iter().filter(|(_, _, event)| matches!(event, Event::PeerDown(..))).collect()
    }
}

#[test]
fn every_profile_takes_over_within_its_dead_interval_and_not_before_two_hellos_are_missing() {
    for timing in [Timing::DEFAULT, Timing::FAST, Timing::SLOW] {
        let mut worst = Duration::ZERO;
        for seed in 1..=20 {
            let mut wire = Wire::settled(&[timing; 3], seed, 1);
            assert_eq!(wire.peers_lost().len(), 0);
            wire.run(timing.hello * u32::try_from(seed).expect("few") / 20);
            let (_, took) = wire.crash_owner(timing.dead * 3);
            assert!(took > timing.dead - timing.hello - MS * 2, "{took:?} with {timing:?}");
            assert!(took <= timing.dead + MS * 2, "{took:?} with {timing:?}");
            worst = worst.max(took);
        }
        println!("D = {:?}: worst of 20 crashes {worst:?}", timing.dead);
    }
}

#[test]
fn among_more_nodes_than_are_borne_all_slow_down_together_and_nobody_is_taken_for_dead() {
    const NODES: u8 = 15;
    // 15 nodes are to 100 hellos a second what 1,500 are to 10,000.
    let timing = Timing { hellos_borne: 100, ..Timing::DEFAULT };
    let mut wire = Wire::settled(&[timing; NODES as usize], 1, 1);
    wire.run(Duration::from_secs(10));
    assert_eq!(wire.peers_lost().len(), 0, "{:?}", wire.peers_lost());
    let heard = |wire: &Wire| wire.engines[&2].view(wire.now).counters.hellos_heard;
    let before = heard(&wire);
    wire.run(Duration::from_secs(10));
    let rate = (heard(&wire) - before) / 10;
    assert!((85..=105).contains(&rate), "{rate} hellos a second");
    let pace = wire.engines[&2].view(wire.now).slowed.expect("slower than the profile");
    assert_eq!((pace.hello, pace.dead), (MS * 150, MS * 500));
    let (_, took) = wire.crash_owner(Duration::from_secs(2));
    assert!(took > pace.dead - pace.hello - MS * 2 && took <= pace.dead + MS * 40, "{took:?}");
    // Most go, and those that are left are as fast as the profile again.
    let leaving: Vec<u8> = wire.engines.keys().copied().skip(5).collect();
    for number in leaving {
        wire.give(number, Input::Leave);
        wire.engines.remove(&number);
    }
    wire.run(Duration::from_secs(5));
    assert!(wire.engines.values().all(|engine| engine.view(wire.now).slowed.is_none()));
    wire.owner();
}

#[test]
fn nodes_of_different_profiles_never_take_each_other_for_dead() {
    use Timing as T;
    for mix in [
        [T::FAST, T::DEFAULT, T::SLOW],
        [T::FAST, T::FAST, T::SLOW],
        [T::SLOW, T::SLOW, T::FAST],
        [T::DEFAULT, T::DEFAULT, T::FAST],
    ] {
        for seed in 1..=5 {
            let mut wire = Wire::settled(&mix, seed, 1 + u8::try_from(seed % 3).expect("small"));
            wire.run(Duration::from_secs(60));
            assert_eq!(wire.peers_lost().len(), 0, "{:?}", wire.peers_lost());
            wire.owner();
        }
    }
}

#[test]
fn a_node_of_another_profile_is_given_the_time_that_it_announces() {
    let mix = [Timing::FAST, Timing::DEFAULT, Timing::SLOW];
    for seed in 1..=30 {
        let first = 1 + u8::try_from(seed % 3).expect("small");
        let mut wire = Wire::settled(&mix, seed, first);
        let announced = mix[usize::from(first) - 1];
        let (victim, took) = wire.crash_owner(Duration::from_secs(8));
        assert_eq!(victim, first);
        assert!(took + announced.hello + MS * 2 > announced.dead, "n{victim}: {took:?}");
        // Survivors of slower times judge by their own; the only proof that there is here comes with their hellos.
        let slowest = if victim == 3 { announced.dead } else { Timing::SLOW.dead };
        assert!(took <= slowest + Timing::SLOW.hello, "n{victim}: {took:?}");
    }
}
