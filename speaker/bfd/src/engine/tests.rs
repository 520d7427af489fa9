// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which session a packet belongs to, and the life of sessions in the engine.

use std::time::Duration;

use super::*;
use crate::{discard::Kind, packet::LEN, timing::Interval};

const MS: Duration = Duration::from_millis(1);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn link(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn single(peer: &str, interface: u32) -> SessionConfig {
    let path = Path::SingleHop { peer: address(peer), interface: link(interface) };
    SessionConfig { path, role: Role::Active, timing: Timing::DEFAULT }
}

fn multi(peer: &str, local: &str) -> SessionConfig {
    let path = Path::MultiHop { peer: address(peer), local: address(local), minimum_ttl: 250 };
    SessionConfig { path, ..single(peer, 0) }
}

fn arrival(source: &str, interface: u32, now: Instant) -> Arrival {
    Arrival {
        source: address(source),
        destination: address("198.51.100.1"),
        interface: link(interface),
        hops: Hops::Single,
        ttl: 255,
        received: now,
    }
}

/// Down, of session 99, to `your`, every second.
fn down(your: u32) -> [u8; LEN] {
    let your = your.to_be_bytes();
    let mut payload = [0x20, 0x40, 3, 24, 0, 0, 0, 99, 0, 0, 0, 0, 0, 15, 66, 64, 0, 15, 66, 64, 0, 0, 0, 0];
    payload[8..12].copy_from_slice(&your);
    payload
}

fn states(engine: &Engine) -> Vec<State> {
    engine.views().map(|view| view.state).collect()
}

#[test]
fn a_packet_without_number_goes_by_sender_and_interface() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let left = engine.add(now, single("fe80::1", 2)).unwrap();
    let right = engine.add(now, single("fe80::1", 3)).unwrap();
    let anywhere = engine.add(now, single("192.0.2.1", 0)).unwrap();
    let far = engine.add(now, multi("192.0.2.1", "198.51.100.1")).unwrap();
    let state = |engine: &Engine, id| engine.view(id).unwrap().state;

    engine.handle(now, Input::Packet { payload: &down(0), arrival: arrival("fe80::1", 3, now) });
    assert_eq!((state(&engine, left), state(&engine, right)), (State::Down, State::Init));
    let mapped = arrival("::ffff:192.0.2.1", 7, now);
    engine.handle(now, Input::Packet { payload: &down(0), arrival: mapped });
    assert_eq!((state(&engine, anywhere), state(&engine, far)), (State::Init, State::Down));
    let routed = Arrival { hops: Hops::Multi, ttl: 250, ..mapped };
    engine.handle(now, Input::Packet { payload: &down(0), arrival: routed });
    assert_eq!(state(&engine, far), State::Init);
    for stranger in [arrival("fe80::1", 4, now), arrival("192.0.2.9", 2, now)] {
        engine.handle(now, Input::Packet { payload: &down(0), arrival: stranger });
    }
    assert_eq!(engine.discards().get(Kind::UnknownSender), 2);
}

#[test]
fn a_packet_with_a_number_goes_by_that_alone_and_its_time_to_live_is_the_sessions() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let id = engine.add(now, single("192.0.2.1", 2)).unwrap();
    let payload = down(id.number());
    for (ttl, hops, kind) in
        [(254, Hops::Single, Kind::Ttl), (0, Hops::Single, Kind::Ttl), (255, Hops::Multi, Kind::WrongPort)]
    {
        let arrival = Arrival { ttl, hops, ..arrival("192.0.2.1", 2, now) };
        let before = engine.discards().get(kind);
        engine.handle(now, Input::Packet { payload: &payload, arrival });
        assert_eq!(engine.discards().get(kind), before + 1);
    }
    let other = arrival("192.0.2.7", 3, now);
    engine.handle(now, Input::Packet { payload: &down(id.number() ^ 1), arrival: other });
    assert_eq!(engine.discards().get(Kind::UnknownDiscriminator), 1);
    assert_eq!(states(&engine), [State::Down]);
    engine.handle(now, Input::Packet { payload: &payload, arrival: other });
    assert_eq!(
        states(&engine),
        [State::Init],
        "the neighbour's address may have changed (RFC 5880 section 6.3)"
    );
    let counts = engine.view(id).unwrap().counts;
    assert_eq!((counts.received, counts.discarded), (1, 3));
}

#[test]
fn one_session_has_the_same_ends_and_a_new_one_replaces_what_is_being_stopped() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let first = engine.add(now, single("192.0.2.1", 2)).unwrap();
    assert_eq!(engine.add(now, single("::ffff:192.0.2.1", 2)), Err(AddError::SamePath(first)));
    assert_eq!(engine.add(now, single("fe80::1", 0)), Err(AddError::LinkLocal(address("fe80::1"))));
    // The neighbour was heard, so it is told for a while.
    engine.handle(now, Input::Packet { payload: &down(0), arrival: arrival("192.0.2.1", 2, now) });
    engine.stop(now, first).unwrap();
    assert_eq!(states(&engine), [State::AdminDown]);
    let second = engine.add(now, single("192.0.2.1", 2)).unwrap();
    assert_eq!(engine.view(first).map(|view| view.state), None);
    assert_ne!(first, second);
    let gone = Err(UnknownSession(first).into());
    assert_eq!(engine.change(now, first, single("192.0.2.1", 2)), gone);
    assert_eq!(engine.stop(now, first), Err(UnknownSession(first)));
    // Nobody was heard: there is nobody to tell.
    engine.stop(now, second).unwrap();
    assert_eq!(states(&engine), []);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_stopped_session_is_gone_after_a_while() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let id = engine.add(now, single("192.0.2.1", 2)).unwrap();
    engine.handle(now, Input::Packet { payload: &down(0), arrival: arrival("192.0.2.1", 2, now) });
    engine.stop(now, id).unwrap();
    let mut gone = None;
    while let Some(at) = engine.next_deadline() {
        engine.handle(at, Input::Timeout { heard_until: at });
        while let Some(output) = engine.poll_output() {
            if output == (Output::Event { session: id, event: Event::Gone }) {
                gone = Some(at.duration_since(now));
            }
        }
    }
    assert_eq!(gone, Some(MS * 3000));
}

#[test]
fn a_session_goes_on_in_another_role_and_over_more_hops_but_not_between_other_ends() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let wanted = multi("192.0.2.1", "198.51.100.1");
    let id = engine.add(now, wanted).unwrap();
    let far = Arrival { hops: Hops::Multi, ttl: 249, ..arrival("192.0.2.1", 2, now) };
    let hears = |engine: &mut Engine| {
        engine.handle(now, Input::Packet { payload: &down(0), arrival: far });
        engine.view(id).unwrap().state == State::Init
    };
    assert!(!hears(&mut engine), "too far away");
    let path =
        Path::MultiHop { peer: address("192.0.2.1"), local: address("198.51.100.1"), minimum_ttl: 249 };
    engine.change(now, id, SessionConfig { path, role: Role::Passive, ..wanted }).unwrap();
    assert!(hears(&mut engine));
    assert_eq!(engine.view(id).unwrap().role, Role::Passive);
    let elsewhere = multi("192.0.2.2", "198.51.100.1");
    assert_eq!(engine.change(now, id, elsewhere), Err(ChangeError::OtherEnds(id)));
}

#[test]
fn there_is_an_end_to_sessions() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let peer = |number: usize| format!("2001:db8::{number:x}");
    for number in 0..MAX_SESSIONS {
        engine.add(now, single(&peer(number), 2)).unwrap();
    }
    assert_eq!(engine.add(now, single(&peer(MAX_SESSIONS), 2)), Err(AddError::TooMany));
    assert_eq!(engine.views().count(), MAX_SESSIONS);
}

#[test]
fn nobody_is_given_up_before_the_sockets_were_read_up_to_the_deadline() {
    let now = Instant::now();
    let mut engine = Engine::new(1);
    let id = engine.add(now, single("192.0.2.1", 2)).unwrap();
    engine.handle(now, Input::Packet { payload: &down(0), arrival: arrival("192.0.2.1", 2, now) });
    let deadline = now + Interval::SLOW.as_duration() * 3;
    let late = deadline + MS * 20;
    engine.handle(late, Input::Timeout { heard_until: deadline - MS });
    assert_eq!(engine.view(id).unwrap().state, State::Init);
    assert_eq!(engine.next_deadline(), Some(deadline), "still due");
    engine.handle(late, Input::Timeout { heard_until: late });
    assert_eq!(engine.view(id).unwrap().state, State::Down);
    assert!(engine.stalls() >= 1, "and it was late");
}
