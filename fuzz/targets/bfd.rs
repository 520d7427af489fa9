// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A whole BFD engine: any packets, wishes and times in any order. It never panics, comes to rest after each, and says nothing
//! that cannot be read.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ferrolb_bfd::{
    Arrival, Discriminator, Engine, Hops, Input, Interval, Output, Packet, Path, Role, SessionConfig, Timing,
};
use libfuzzer_sys::fuzz_target;

/// Outputs that one input may cause; far more than any does.
const WILD: usize = 50;

/// What is left of the fuzzer's bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn many(&mut self, length: usize) -> &'a [u8] {
        let (many, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        many
    }
}

fn peer(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number % 4).into()
}

fn config(number: u8, role: u8) -> SessionConfig {
    let path = if number.is_multiple_of(4) {
        Path::MultiHop { peer: peer(0), local: peer(1), minimum_ttl: 254 }
    } else {
        Path::SingleHop { peer: peer(number), interface: None }
    };
    let role = if role.is_multiple_of(2) { Role::Active } else { Role::Passive };
    SessionConfig { path, role, timing: Timing::DEFAULT }
}

fn timing(bytes: &mut Bytes<'_>) -> Option<Timing> {
    let tx = Interval::from_millis(u32::from(bytes.byte()?) * 8);
    let rx = Interval::from_millis(u32::from(bytes.byte()?) * 8);
    Timing::new(tx, rx, bytes.byte()?).ok()
}

/// The fuzzer's bytes, with the discriminator of a session in place so that it need not guess it.
fn payload(bytes: &mut Bytes<'_>, session: Option<&Discriminator>) -> Vec<u8> {
    let mut payload = bytes.many(24).to_vec();
    if let (Some(session), Some(place)) = (session, payload.get_mut(8..12)) {
        place.copy_from_slice(&session.number().to_be_bytes());
    }
    payload
}

/// One input made of the next bytes; `None` when none are left.
fn step(
    engine: &mut Engine,
    sessions: &mut Vec<Discriminator>,
    now: &mut Instant,
    bytes: &mut Bytes<'_>,
) -> Option<()> {
    match bytes.byte()? % 10 {
        0 | 1 => *now += Duration::from_millis(bytes.byte()?.into()),
        2 => *now += Duration::from_millis(u64::from(bytes.byte()?) * 100),
        3 => sessions.extend(engine.add(*now, config(bytes.byte()?, bytes.byte()?))),
        4 => {
            let session = sessions.get(usize::from(bytes.byte()?) % 8).copied();
            let wanted = config(bytes.byte()?, bytes.byte()?);
            if let (Some(session), Some(timing)) = (session, timing(bytes)) {
                let _refused = engine.change(*now, session, SessionConfig { timing, ..wanted });
            }
        }
        5 if bytes.byte()? % 8 == 0 => drop(sessions.pop().map(|session| engine.stop(*now, session))),
        _ => {
            let (from, age) = (bytes.byte()?, bytes.byte()?);
            let payload = payload(bytes, sessions.get(usize::from(from) / 4 % 8));
            let arrival = Arrival {
                source: peer(from),
                destination: peer(1),
                interface: None,
                hops: if from % 4 == 0 { Hops::Multi } else { Hops::Single },
                ttl: 255,
                received: *now - Duration::from_millis(age.into()),
            };
            engine.handle(*now, Input::Packet { payload: &payload, arrival });
        }
    }
    settle(engine, *now);
    Some(())
}

fn settle(engine: &mut Engine, now: Instant) {
    for round in 0.. {
        let mut outputs = 0;
        while let Some(output) = engine.poll_output() {
            outputs += 1;
            assert!(outputs < WILD, "runs wild: {output:?}");
            if let Output::Send { payload, .. } = output {
                let _said = Packet::decode(&payload).expect("it is ours");
            }
        }
        if engine.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        assert!(round < 2, "a deadline that is met stays due");
        engine.handle(now, Input::Timeout { heard_until: now });
    }
}

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now() + Duration::from_secs(60);
    let mut engine = Engine::new(1);
    let mut sessions: Vec<_> = (0..3).flat_map(|number| engine.add(now, config(number, number))).collect();
    settle(&mut engine, now);
    let mut bytes = Bytes(data);
    while step(&mut engine, &mut sessions, &mut now, &mut bytes).is_some() {}
    assert!(engine.views().count() <= 8, "at most one for each pair of ends");
});
