// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two session machines on a virtual TCP that delays, refuses and breaks connections: they always come to a session when both may,
//! and are never restless.

#![cfg(test)]

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    time::{Duration, Instant},
};

use ferrolb_bgp::{
    Asn, Beginning, Capabilities, ConnectionId, Families, Frame, HoldTime, Message, Peer, PeerAs, PeerConfig,
    Restart, RestartTime, RouterId, State, Stop,
    message::STANDARD_LEN,
    peer::{Event, Input, Output, Role},
};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// What arrives at a side.
#[derive(Debug)]
enum Arrival {
    /// The other side connects by this wire.
    Connect(usize),
    Connected(usize),
    Refused(ConnectionId),
    Bytes(usize, Vec<u8>),
    Closed(usize),
}

/// One TCP connection: how each side calls it, as long as it cares.
#[derive(Debug)]
struct Wire {
    ends: [Option<ConnectionId>; 2],
}

struct World {
    now: Instant,
    peers: [Peer; 2],
    wires: Vec<Wire>,
    flying: BTreeMap<(Instant, u64), (usize, Arrival)>,
    sent: u64,
    delay: [Duration; 2],
    /// Connections are refused until then.
    refuses: [Instant; 2],
    events: [Vec<Event>; 2],
    random: fastrand::Rng,
}

fn config(side: usize, role: Role, hold: u16, ids: [u8; 2], internal: bool) -> PeerConfig {
    let asn = |side: usize| Asn::new(if internal { 65_000 } else { 65_001 + side as u32 }).unwrap();
    PeerConfig {
        local_as: asn(side),
        peer_as: PeerAs::Exactly(asn(1 - side)),
        router_id: RouterId::new([10, 0, 0, ids[side]].into()).unwrap(),
        hold_time: HoldTime::from_secs(hold).unwrap(),
        keepalive: None,
        role,
        retry: MS * 10_000,
        capabilities: Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            ..Capabilities::default()
        },
        restart: (side == 0).then(|| Restart::new(RestartTime::MAX, Beginning::Restarted)),
    }
}

impl World {
    fn new(seed: u64, configs: [PeerConfig; 2], delay: [Duration; 2]) -> Self {
        let now = Instant::now();
        let [left, right] = configs;
        Self {
            now,
            peers: [Peer::new(left, seed), Peer::new(right, seed ^ 1)],
            wires: Vec::new(),
            flying: BTreeMap::new(),
            sent: 0,
            delay,
            refuses: [now; 2],
            events: [Vec::new(), Vec::new()],
            random: fastrand::Rng::with_seed(seed),
        }
    }

    fn give(&mut self, side: usize, input: Input<'_>) {
        self.peers[side].handle(self.now, input);
        self.collect(side);
    }

    /// Everything between two sides stays in order: it takes the same time.
    fn fly(&mut self, from: usize, arrival: Arrival) {
        self.sent += 1;
        self.flying.insert((self.now + self.delay[from], self.sent), (1 - from, arrival));
    }

    fn wire(&self, side: usize, id: ConnectionId) -> Option<usize> {
        self.wires.iter().position(|wire| wire.ends[side] == Some(id))
    }

    fn collect(&mut self, side: usize) {
        for count in 0.. {
            let Some(output) = self.peers[side].poll_output() else { return };
            assert!(count < 20, "runs wild: {output:?}");
            match output {
                Output::Connect(id) => {
                    let mut ends = [None; 2];
                    ends[side] = Some(id);
                    self.wires.push(Wire { ends });
                    self.fly(side, Arrival::Connect(self.wires.len() - 1));
                }
                Output::Send(id, message) => {
                    if let Some(wire) = self.wire(side, id) {
                        self.fly(side, Arrival::Bytes(wire, message.to_bytes()));
                    }
                }
                Output::Close(id) => {
                    if let Some(wire) = self.wire(side, id) {
                        self.wires[wire].ends[side] = None;
                        self.fly(side, Arrival::Closed(wire));
                    }
                }
                Output::Event(event) => self.events[side].push(event),
            }
        }
    }

    fn arrive(&mut self, side: usize, arrival: Arrival) {
        match arrival {
            Arrival::Connect(wire) if self.refuses[side] > self.now => {
                if let Some(id) = self.wires[wire].ends[1 - side] {
                    self.fly(side, Arrival::Refused(id));
                }
            }
            Arrival::Connect(wire) => {
                // The kernel takes the connection; what becomes of it is for the machine to say.
                self.fly(side, Arrival::Connected(wire));
                match self.peers[side].accept(self.now) {
                    Ok(id) => self.wires[wire].ends[side] = Some(id),
                    Err(notification) => {
                        let bytes = Message::Notification(notification).to_bytes();
                        self.fly(side, Arrival::Bytes(wire, bytes));
                        self.fly(side, Arrival::Closed(wire));
                    }
                }
                self.collect(side);
            }
            Arrival::Connected(wire) => {
                if let Some(id) = self.wires[wire].ends[side] {
                    self.give(side, Input::Connected(id));
                }
            }
            Arrival::Refused(id) => self.give(side, Input::ConnectFailed(id, ErrorKind::ConnectionRefused)),
            Arrival::Bytes(wire, bytes) => {
                if let Some(id) = self.wires[wire].ends[side] {
                    let frame = Frame::first_of(&bytes, STANDARD_LEN).unwrap().unwrap();
                    self.give(side, Input::Message(id, Message::decode(frame).unwrap()));
                }
            }
            Arrival::Closed(wire) => {
                if let Some(id) = self.wires[wire].ends[side].take() {
                    self.give(side, Input::Closed(id, ErrorKind::UnexpectedEof));
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrives = self.flying.first_key_value().map(|((at, _), _)| *at);
            let wakes = [0, 1].map(|side| self.peers[side].next_deadline());
            let Some(next) = wakes.into_iter().chain([arrives]).flatten().min().filter(|at| *at <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if arrives == Some(next) {
                if let Some((_, (side, arrival))) = self.flying.pop_first() {
                    self.arrive(side, arrival);
                }
            } else {
                let side = usize::from(wakes[0] != Some(next));
                self.give(side, Input::Timeout);
                let due = self.peers[side].next_deadline().is_some_and(|at| at <= self.now);
                assert!(!due, "a deadline that is met stays due");
            }
        }
    }

    fn established(&self) -> bool {
        self.peers.iter().all(|peer| peer.state() == State::Established)
    }

    fn until_established(&mut self) {
        let end = self.now + MS * 180_000;
        while !self.established() {
            assert!(self.now < end, "no session: {:?}\n{:?}", self.peers[0].view(), self.peers[1].view());
            self.pass(MS * 100);
        }
    }

    /// All that flies and all that is connected is gone, and these sides notice.
    fn break_everything(&mut self, sides: &[usize]) {
        self.flying.clear();
        for wire in 0..self.wires.len() {
            for side in sides {
                if let Some(id) = self.wires[wire].ends[*side].take() {
                    self.give(*side, Input::ConnectFailed(id, ErrorKind::TimedOut));
                    self.give(*side, Input::Closed(id, ErrorKind::ConnectionReset));
                }
            }
            self.wires[wire].ends = [None; 2];
        }
    }
}

fn roles() -> impl Strategy<Value = [Role; 2]> {
    use Role::{Active, Passive};
    prop_oneof![Just([Active, Active]), Just([Active, Passive]), Just([Passive, Active])]
}

fn hold() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), 3..200u16]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn two_sides_come_to_a_session_whatever_happened_before(
        seed: u64,
        roles in roles(),
        holds in (hold(), hold()),
        ids in prop_oneof![Just([1, 2]), Just([2, 1])],
        internal: bool,
        delay in (0u32..500, 0u32..500),
        begins in (0u32..5000, 0u32..5000),
        blows in prop::collection::vec((0u8..6, 0usize..2, 0u32..20_000), 0..12),
    ) {
        let configs = [
            config(0, roles[0], holds.0, ids, internal),
            config(1, roles[1], holds.1, ids, internal),
        ];
        let timed = holds.0 > 0 && holds.1 > 0;
        let mut world = World::new(seed, configs, [MS * delay.0, MS * delay.1]);
        world.pass(MS * begins.0);
        world.give(0, Input::Ready);
        world.pass(MS * begins.1);
        world.give(1, Input::Ready);
        for (kind, side, time) in blows {
            world.pass(MS * time);
            match kind {
                0 => world.break_everything(&[0, 1]),
                // The other side does not notice; only its hold timer will.
                1 if timed => world.break_everything(&[side]),
                2 => world.refuses[side] = world.now + MS * time,
                3 => world.give(side, Input::Reset("test".to_owned())),
                4 => {
                    world.give(side, Input::Stop(Stop::Upgrade));
                    let pause = world.random.u32(0..5000);
                    world.pass(MS * pause);
                    world.give(side, Input::Ready);
                }
                _ => world.give(side, Input::BfdDown("test".to_owned())),
            }
        }
        // Who did not notice the end of a session waits for its hold time.
        world.pass(MS * 230_000);
        world.until_established();
        // And there it stays, over one connection that both mean.
        let sessions = [0, 1].map(|side| world.peers[side].view().counts.sessions);
        world.pass(MS * 600_000);
        prop_assert!(world.established());
        prop_assert_eq!(sessions, [0, 1].map(|side| world.peers[side].view().counts.sessions));
        let shared = world.wires.iter().filter(|wire| wire.ends.iter().all(Option::is_some)).count();
        prop_assert_eq!(shared, 1);
    }
}

#[test]
fn sides_that_begin_at_one_moment_agree_on_one_connection() {
    for ids in [[1, 2], [2, 1]] {
        for seed in 0..100 {
            let configs = [0, 1].map(|side| config(side, Role::Active, 90, ids, false));
            let mut world = World::new(seed, configs, [MS * 5; 2]);
            world.give(0, Input::Ready);
            world.give(1, Input::Ready);
            world.pass(MS * 100);
            assert!(world.established());
            for events in &world.events {
                assert!(matches!(events[..], [Event::Established(..)]), "nothing else is told: {events:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_is_never_accepted_is_tried_at_a_bounded_rate() {
    let mut configs = [0, 1].map(|side| config(side, Role::Active, 90, [1, 2], false));
    configs[1].peer_as = PeerAs::Internal;
    let mut world = World::new(3, configs, [MS; 2]);
    world.give(0, Input::Ready);
    world.give(1, Input::Ready);
    world.pass(MS * 3_600_000);
    let connections = world.wires.len();
    assert!((100..2000).contains(&connections), "{connections} in an hour");
    assert!(world.peers.iter().all(|peer| peer.view().counts.sessions == 0));
}
