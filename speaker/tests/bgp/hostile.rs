// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Peers that break the rules: the reason is in the view, and the session with a router beside it does not notice.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_bgp::{Asn, Capabilities, Families, HoldTime, Message, Open, RouterId, State};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, ROUTER_V4, Wire};
use ferrolb_speaker::bgp::View;

use crate::stage::{Extras, Speaker, Stage, plain, settings};

/// Where the hostile peer listens, since a router has the usual port.
const PORT: u16 = 1790;
const ROUTE: &str = "198.51.100.1/32";

/// What the hostile peer's OPEN says.
fn open(asn: u32, hold: u16) -> Result<Vec<u8>> {
    let open = Open {
        asn: Asn::new(asn).context("an autonomous system")?,
        hold_time: HoldTime::from_secs(hold).context("a hold time")?,
        router_id: RouterId::new("192.0.2.66".parse()?).context("a router id")?,
        capabilities: Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            ..Capabilities::default()
        },
    };
    Ok(Message::Open(open).to_bytes())
}

/// Plays `attack` on every connection that the speaker makes, beside a session with BIRD, until the view shows `expected`.
fn survives(attack: &'static [u8], reads: bool, expected: impl Fn(&View) -> bool) -> Result<()> {
    let node = Neighbour::default();
    let wire = Wire::build()?;
    let router = Daemon::Bird.start(&wire, &node)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let peer = wire.router.start("hostile", move || {
        let listener = TcpListener::bind((ROUTER_V4, PORT))?;
        listener.set_nonblocking(true)?;
        let mut victims = Vec::new();
        while !told.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((victim, _)) => victims.push(hit(victim, attack, reads)?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(10))
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    let mut against = settings(&node)?;
    against.name = "hostile".to_owned();
    against.transport.peer = SocketAddr::new(ROUTER_V4.parse()?, PORT);
    let extras = Extras { beside: Some(against), ..Extras::default() };
    let speaker = Speaker::start(&wire.node, &settings(&node)?, extras, BTreeMap::from([(ROUTE, plain())]))?;
    let stage = Stage { speaker, router, wire };
    stage.router_shows("the route", |table| table.contains_key(ROUTE))?;
    stage.is_up()?;

    let beside = stage.speaker.beside.as_ref().context("a session beside the first")?;
    let shown = Speaker::waits(beside, "effect of the attack", expected);
    stop.store(true, Ordering::Relaxed);
    peer.join().map_err(|_| anyhow::anyhow!("the hostile peer panicked"))??;
    shown?;

    let view = stage.is_up()?;
    ensure!(view.peer.counts.sessions == 1, "the other session went down: {view:#?}");
    ensure!(stage.router.routes()?.contains_key(ROUTE));
    Ok(())
}

/// Keeps the connection open, unless the victim closes it.
fn hit(mut victim: TcpStream, attack: &'static [u8], reads: bool) -> io::Result<thread::JoinHandle<()>> {
    victim.set_nonblocking(false)?;
    Ok(thread::spawn(move || {
        // Whoever is hit may end it at any time.
        if victim.write_all(attack).is_ok() && reads {
            let _end = io::copy(&mut victim, &mut io::sink());
        } else {
            thread::sleep(Duration::from_secs(10));
        }
    }))
}

fn says(view: &View, words: &str) -> bool {
    view.last_error().is_some_and(|error| error.contains(words))
}

#[test]
fn garbage_is_named_as_what_it_is() {
    rights::within(|| {
        let garbage: Vec<u8> =
            (0..4096_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        survives(garbage.leak(), true, |view| {
            says(view, &ferrolb_bgp::Fault::Marker.to_string()) && view.peer.counts.sessions == 0
        })
    });
}

#[test]
fn a_peer_of_another_autonomous_system_is_named() {
    rights::within(|| {
        survives(open(65_009, 9)?.leak(), true, |view| {
            says(view, "65009") && says(view, "65002 is configured")
        })
    });
}

#[test]
fn a_hold_time_of_a_second_is_refused() {
    rights::within(|| {
        let mut message = open(65_002, 9)?;
        // Behind header, version and autonomous system.
        message.splice(22..24, [0, 1]);
        survives(message.leak(), true, |view| says(view, &ferrolb_bgp::Fault::HoldTime(1).to_string()))
    });
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_hold_time() {
    rights::within(|| {
        let mut messages = open(65_002, 3)?;
        messages.extend(Message::Keepalive.to_bytes());
        survives(messages.leak(), false, |view| {
            says(view, "the hold time of 3 s") && view.peer.counts.sessions > 0
        })
    });
}

#[test]
fn a_thousand_broken_updates_are_counted_and_survived() {
    rights::within(|| {
        // ORIGIN of two octets; AS_PATH 65002; NEXT_HOP; then a route: to be taken for withdrawn (RFC 7606, section 7.1).
        let attributes =
            [&[0x40, 1, 2, 0, 0][..], &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea], &[0x40, 3, 4, 192, 0, 2, 2]]
                .concat();
        let mut body = vec![0, 0, 0, attributes.len() as u8];
        body.extend(&attributes);
        body.extend([32, 203, 0, 113, 9]);
        let update = Message::Update(ferrolb_bgp::UpdateBody::new(&body)).to_bytes();
        let mut messages = open(65_002, 240)?;
        messages.extend(Message::Keepalive.to_bytes());
        messages.extend(update.repeat(1000));
        survives(messages.leak(), true, |view| {
            view.peer.counts.attribute_faults == 1000 && view.peer.state == State::Established
        })
    });
}
