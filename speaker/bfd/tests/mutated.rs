// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A million packets that somebody tampered with: the engine never panics, comes to rest after each, says at most as much as it
//! hears, and keeps nothing.

#![cfg(test)]

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use ferrolb_bfd::{
    Arrival, Discriminator, Engine, Hops, Input, Output, Packet, Path, Role, SessionConfig, Timing,
    packet::LEN,
};

const PACKETS: u32 = 1_000_000;
const PEERS: u8 = 4;

fn peer(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

/// Sessions over one hop, but the first over several; the second is passive.
fn config(number: u8) -> SessionConfig {
    let path = match number {
        0 => Path::MultiHop { peer: peer(0), local: peer(100), minimum_ttl: 250 },
        _ => Path::SingleHop { peer: peer(number), interface: NonZeroU32::new(number.into()) },
    };
    let role = if number == 1 { Role::Passive } else { Role::Active };
    SessionConfig { path, role, timing: Timing::DEFAULT }
}

/// A packet that would be accepted, before somebody tampers with it.
fn plausible(random: &mut fastrand::Rng, sessions: &[Discriminator]) -> [u8; LEN] {
    let mut octets = [0; LEN];
    octets[0] = 0x20 | random.u8(0..9);
    octets[1] = random.u8(..) & !0x05;
    octets[2] = random.u8(1..6);
    octets[3] = 24;
    octets[7] = random.u8(1..3);
    if random.u8(0..4) != 0 {
        let session = sessions[random.usize(0..sessions.len())];
        octets[8..12].copy_from_slice(&session.number().to_be_bytes());
    }
    for word in [12, 16] {
        let micros = match random.u8(0..8) {
            0 => 0,
            1 => u32::MAX,
            2 => 1,
            _ => random.u32(1..2_000_000),
        };
        octets[word..word + 4].copy_from_slice(&micros.to_be_bytes());
    }
    octets
}

#[test]
fn a_million_mutated_packets_do_no_harm() {
    let mut random = fastrand::Rng::with_seed(42);
    let mut now = Instant::now() + Duration::from_secs(60);
    let mut engine = Engine::new(1);
    let mut sessions: Vec<_> = (0..PEERS).map(|number| engine.add(now, config(number)).unwrap()).collect();
    while engine.poll_output().is_some() {}
    let mut accepted = 0;
    let mut buffer = [0; 64];
    for _ in 0..PACKETS {
        buffer[..LEN].copy_from_slice(&plausible(&mut random, &sessions));
        for _ in 0..random.u8(0..3) {
            buffer[random.usize(0..LEN)] = random.u8(..);
        }
        let length = if random.u8(0..16) == 0 { random.usize(0..buffer.len()) } else { LEN };
        let number = random.u8(0..PEERS);
        let arrival = Arrival {
            source: peer(number),
            destination: peer(100),
            interface: NonZeroU32::new(number.into()),
            hops: if number == 0 { Hops::Multi } else { Hops::Single },
            ttl: if random.u8(0..16) == 0 { random.u8(..) } else { 255 },
            received: now - Duration::from_millis(random.u64(0..50)),
        };
        now += Duration::from_micros(random.u64(0..20_000));
        engine.handle(now, Input::Packet { payload: &buffer[..length], arrival });
        let mut said = 0;
        while let Some(output) = engine.poll_output() {
            if let Output::Send { payload, .. } = output {
                said += 1;
                assert!(Packet::decode(&payload).is_ok());
            }
        }
        assert!(said <= 2, "what changed, and an answer: {said}");
        accepted += u32::from(said > 0);
        for round in 0.. {
            if engine.next_deadline().is_none_or(|at| at > now) {
                break;
            }
            assert!(round < 2, "a deadline that is met stays due");
            engine.handle(now, Input::Timeout { heard_until: now });
            while engine.poll_output().is_some() {}
        }
        if random.u32(0..5000) == 0 {
            let number = random.u8(0..PEERS);
            let session = &mut sessions[usize::from(number)];
            engine.stop(now, *session).unwrap();
            *session = engine.add(now, config(number)).unwrap();
            while engine.poll_output().is_some() {}
        }
    }
    assert!(accepted > PACKETS / 20, "the test reaches the sessions: {accepted}");
    let discarded: u64 = engine.discards().iter().map(|(_, count)| count).sum();
    assert!(discarded > u64::from(PACKETS) / 20, "and the rules: {discarded}");
}
