// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The session machine takes whatever comes, in any order, at any time: it never panics, never stands still and never runs wild.

#![cfg(test)]

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use ferrolb_bgp::{
    Asn, Beginning, Capabilities, Code, ConnectionId, Families, Family, Fault, GracefulRestart, HoldTime,
    Message, Notification, Open, Peer, PeerAs, PeerConfig, Restart, RestartTime, RouteRefresh, RouterId,
    State, Stop, UpdateBody,
    peer::{Event, Input, Output, Role},
};
use proptest::prelude::*;

/// One input, as data. Connections are named by the order in which they came to be.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ready,
    Accept,
    Connected(usize),
    ConnectFailed(usize),
    Open { connection: usize, asn: u32, id: u8, hold: u16, restarts: bool },
    Message(usize, u8),
    Fault(usize),
    Closed(usize),
    Writer(usize, bool),
    RoutesSent(usize),
    BfdDown,
    Reset,
    Stop(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let open = (0usize..4, 1u32..4, 1u8..4, 0u16..12, any::<bool>());
    prop_oneof![
        8 => (0u64..40_000).prop_map(Step::Wait),
        2 => Just(Step::Ready),
        4 => Just(Step::Accept),
        8 => (0usize..4).prop_map(Step::Connected),
        1 => (0usize..4).prop_map(Step::ConnectFailed),
        8 => open.prop_map(|(connection, asn, id, hold, restarts)| Step::Open { connection, asn, id, hold, restarts }),
        10 => (0usize..4, 0u8..8).prop_map(|(connection, kind)| Step::Message(connection, kind)),
        1 => (0usize..4).prop_map(Step::Fault),
        1 => (0usize..4).prop_map(Step::Closed),
        1 => (0usize..4, any::<bool>()).prop_map(|(connection, stuck)| Step::Writer(connection, stuck)),
        1 => (0usize..4).prop_map(Step::RoutesSent),
        1 => Just(Step::BfdDown),
        1 => Just(Step::Reset),
        1 => (0u8..3).prop_map(Step::Stop),
    ]
}

fn config(role: Role) -> PeerConfig {
    PeerConfig {
        local_as: Asn::new(1).unwrap(),
        peer_as: PeerAs::External,
        router_id: RouterId::new([10, 0, 0, 2].into()).unwrap(),
        hold_time: HoldTime::from_secs(9).unwrap(),
        keepalive: None,
        role,
        retry: Duration::from_secs(5),
        capabilities: Capabilities::default(),
        restart: Some(Restart::new(RestartTime::MAX, Beginning::Fresh)),
    }
}

/// The machine with all that a driver would know of it.
struct Play {
    peer: Peer,
    now: Instant,
    /// The latest connections, the newest last.
    known: Vec<ConnectionId>,
    open: Vec<ConnectionId>,
    up: bool,
}

impl Play {
    fn named(&self, back: usize) -> Option<ConnectionId> {
        self.known.iter().rev().nth(back).copied()
    }

    fn give(&mut self, input: Input<'_>) {
        self.peer.handle(self.now, input);
        self.settle();
    }

    fn give_of(&mut self, back: usize, input: impl FnOnce(ConnectionId) -> Input<'static>) {
        if let Some(id) = self.named(back) {
            self.give(input(id));
        }
    }

    fn settle(&mut self) {
        for round in 0.. {
            let mut outputs = 0;
            while let Some(output) = self.peer.poll_output() {
                outputs += 1;
                assert!(outputs < 20, "runs wild: {output:?}");
                self.obey(output);
            }
            assert_eq!(self.up, self.peer.state() == State::Established, "every change is told");
            assert_eq!(self.up, self.peer.view().established.is_some());
            if self.peer.next_deadline().is_none_or(|at| at > self.now) {
                return;
            }
            assert!(round < 10, "a deadline that is met stays due");
            self.peer.handle(self.now, Input::Timeout);
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Connect(id) => {
                self.known.push(id);
                self.open.push(id);
            }
            Output::Send(id, message) => {
                assert!(self.open.contains(&id), "{message:?} to a connection that ended");
                assert!(message.to_bytes().len() <= 4096);
            }
            Output::Close(id) => {
                let place = self.open.iter().position(|other| *other == id).expect("closed once");
                self.open.remove(place);
            }
            Output::Event(Event::Established(..)) => {
                assert!(!self.up, "one session at a time");
                self.up = true;
            }
            Output::Event(Event::Down(_)) => {
                assert!(self.up, "the end of a session that was");
                self.up = false;
            }
            Output::Event(Event::Stopped) => assert!(self.open.is_empty(), "nothing is left"),
            Output::Event(_) => {}
        }
        assert!(self.open.len() <= 3, "two connections and an attempt");
    }
}

fn message(kind: u8) -> Message<'static> {
    match kind {
        0..=3 => Message::Keepalive,
        4 => Message::Update(UpdateBody::new(&[0, 0, 0, 0])),
        5 => Message::Update(UpdateBody::new(&[0, 7, 1])),
        6 => Message::RouteRefresh(RouteRefresh::Request(Family::Ipv4Unicast)),
        _ => Message::Notification(Notification::new(Code::CEASE)),
    }
}

fn open(asn: u32, id: u8, hold: u16, restarts: bool) -> Message<'static> {
    let restart = GracefulRestart {
        restarted: true,
        notification: true,
        time: RestartTime::MAX,
        families: Families::IPV4,
        forwarding: Families::IPV4,
    };
    let capabilities = Capabilities {
        multiprotocol: Some(Families::BOTH),
        graceful_restart: restarts.then_some(restart),
        ..Capabilities::default()
    };
    Message::Open(Open {
        asn: Asn::new(asn).unwrap(),
        hold_time: HoldTime::from_secs(hold).unwrap_or(HoldTime::DISABLED),
        router_id: RouterId::new([10, 0, 0, id].into()).unwrap(),
        capabilities,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_sequence_of_inputs_leaves_a_working_machine(
        seed: u64,
        passive: bool,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let role = if passive { Role::Passive } else { Role::Active };
        let peer = Peer::new(config(role), seed);
        let mut play = Play { peer, now: Instant::now(), known: Vec::new(), open: Vec::new(), up: false };
        for step in steps {
            match step {
                Step::Wait(time) => {
                    play.now += Duration::from_millis(time);
                    play.settle();
                }
                Step::Ready => play.give(Input::Ready),
                Step::Accept => {
                    if let Ok(id) = play.peer.accept(play.now) {
                        play.known.push(id);
                        play.open.push(id);
                    }
                    play.settle();
                }
                Step::Connected(back) => play.give_of(back, Input::Connected),
                Step::ConnectFailed(back) => {
                    // The driver knows of it first.
                    if let Some(id) = play.named(back).filter(|id| play.peer.state() == State::Connect && play.open == [*id]) {
                        play.open.clear();
                        play.give(Input::ConnectFailed(id, ErrorKind::ConnectionRefused));
                    }
                }
                Step::Open { connection, asn, id, hold, restarts } => {
                    play.give_of(connection, |to| Input::Message(to, open(asn, id, hold, restarts)));
                }
                Step::Message(back, kind) => play.give_of(back, |id| Input::Message(id, message(kind))),
                Step::Fault(back) => play.give_of(back, |id| Input::Fault(id, Fault::Marker)),
                Step::Closed(back) => {
                    play.give_of(back, |id| Input::Closed(id, ErrorKind::ConnectionReset));
                }
                Step::Writer(back, stuck) => {
                    let since = stuck.then_some(play.now);
                    play.give_of(back, |id| Input::Writer(id, since));
                }
                Step::RoutesSent(back) => play.give_of(back, Input::RoutesSent),
                Step::BfdDown => play.give(Input::BfdDown("test".to_owned())),
                Step::Reset => play.give(Input::Reset("test".to_owned())),
                Step::Stop(kind) => play.give(Input::Stop(match kind {
                    0 => Stop::Shutdown("test".to_owned()),
                    1 => Stop::Deconfigured,
                    _ => Stop::Upgrade,
                })),
            }
        }
    }
}
