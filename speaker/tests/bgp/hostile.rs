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
use ferrolb_bgp::{
    Asn, Capabilities, Ending, Families, GracefulRestart, HoldTime, Message, Open, PeerAs, Refusal, RouterId,
    State,
};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, ROUTER_V4, Wire};
use ferrolb_speaker::bgp::{Announcement, PeerSettings, View};
use ferrolb_speaker::kernel::router_socket::Reach;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::watch;

use crate::stage::{Extras, Speaker, Stage, plain, settings};

/// Where the hostile peer listens, since a router has the usual port.
const PORT: u16 = 1790;
const ROUTE: &str = "198.51.100.1/32";

/// How the hostile peer goes on after its attack.
#[derive(Clone, Copy)]
enum Manner {
    /// It reads whatever comes.
    Reads,
    /// It does nothing.
    Silent,
    /// It says that it is there, and takes nothing.
    NeverReads,
}

/// What the hostile peer's OPEN says.
fn open(asn: u32, hold: u16) -> Result<Vec<u8>> {
    open_of_one_that_restarts(asn, hold, None)
}

/// The same with what it says of restarts.
pub fn open_of_one_that_restarts(
    asn: u32,
    hold: u16,
    graceful_restart: Option<GracefulRestart>,
) -> Result<Vec<u8>> {
    let open = Open {
        asn: Asn::new(asn).context("an autonomous system")?,
        hold_time: HoldTime::from_secs(hold).context("a hold time")?,
        router_id: RouterId::new("192.0.2.66".parse()?).context("a router id")?,
        capabilities: Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            graceful_restart,
            ..Capabilities::default()
        },
    };
    Ok(Message::Open(open).to_bytes())
}

/// Plays `attack` on every connection that the speaker makes, beside a session with BIRD, until the view shows `expected`.
fn survives(attack: &'static [u8], manner: Manner, expected: impl Fn(&View) -> bool) -> Result<()> {
    survives_as(
        |_| Ok(()),
        attack,
        manner,
        |stage, beside| {
            Speaker::waits(beside, "effect of the attack", &expected)?;
            stage.is_up().map(drop)
        },
    )
}

/// The same with other settings for the hostile peer, until `then` has seen enough of both sessions.
fn survives_as(
    adapt: impl Fn(&mut PeerSettings) -> Result<()>,
    attack: &'static [u8],
    manner: Manner,
    then: impl Fn(&Stage, &watch::Receiver<View>) -> Result<()>,
) -> Result<()> {
    let node = Neighbour::default();
    let wire = Wire::build()?;
    let router = Daemon::Bird.start(&wire, &node)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let peer = wire.router.start("hostile", move || {
        let listener = TcpListener::bind((ROUTER_V4, PORT))?;
        // What is not read waits at the victim.
        setsockopt(&listener, sockopt::RcvBuf, &4096)?;
        listener.set_nonblocking(true)?;
        let mut victims = Vec::new();
        while !told.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((victim, _)) => victims.push(hit(victim, attack, manner)?),
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
    adapt(&mut against)?;
    let extras = Extras { beside: Some(against), ..Extras::default() };
    let speaker = Speaker::start(&wire.node, &settings(&node)?, extras, BTreeMap::from([(ROUTE, plain())]))?;
    let stage = Stage { speaker, router, wire };
    stage.router_shows("the route", |table| table.contains_key(ROUTE))?;
    stage.is_up()?;

    let beside = stage.speaker.beside.as_ref().context("a session beside the first")?;
    let shown = then(&stage, beside);
    stop.store(true, Ordering::Relaxed);
    peer.join().map_err(|_| anyhow::anyhow!("the hostile peer panicked"))??;
    shown?;

    let view = stage.is_up()?;
    ensure!(view.peer.counts.sessions == 1, "the other session went down: {view:#?}");
    ensure!(stage.router.routes()?.contains_key(ROUTE));
    Ok(())
}

/// Keeps the connection open, unless the victim closes it.
fn hit(mut victim: TcpStream, attack: &'static [u8], manner: Manner) -> io::Result<thread::JoinHandle<()>> {
    victim.set_nonblocking(false)?;
    Ok(thread::spawn(move || {
        // Whoever is hit may end it at any time.
        if victim.write_all(attack).is_err() {
            return;
        }
        match manner {
            Manner::Reads => drop(io::copy(&mut victim, &mut io::sink())),
            Manner::Silent => thread::sleep(Duration::from_secs(10)),
            Manner::NeverReads => {
                while victim.write_all(&Message::Keepalive.to_bytes()).is_ok() {
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }))
}

pub fn says(view: &View, words: &str) -> bool {
    view.last_error().is_some_and(|error| error.contains(words))
}

#[test]
fn garbage_is_named_as_what_it_is() {
    rights::within(|| {
        let garbage: Vec<u8> =
            (0..4096_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        survives(garbage.leak(), Manner::Reads, |view| {
            says(view, &ferrolb_bgp::Fault::Marker.to_string()) && view.peer.counts.sessions == 0
        })
    });
}

#[test]
fn a_peer_of_another_autonomous_system_is_named() {
    rights::within(|| {
        survives(open(65_009, 9)?.leak(), Manner::Reads, |view| {
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
        survives(message.leak(), Manner::Reads, |view| {
            says(view, &ferrolb_bgp::Fault::HoldTime(1).to_string())
        })
    });
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_hold_time() {
    rights::within(|| {
        let mut messages = open(65_002, 3)?;
        messages.extend(Message::Keepalive.to_bytes());
        survives(messages.leak(), Manner::Silent, |view| {
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
        survives(messages.leak(), Manner::Reads, |view| {
            view.peer.counts.attribute_faults == 1000 && view.peer.state == State::Established
        })
    });
}

#[test]
fn a_peer_with_our_own_router_id_is_refused_within_our_autonomous_system() {
    rights::within(|| {
        let mut twin = open(65_001, 9)?;
        // Behind header, version, autonomous system and hold time: what the speaker itself is called.
        twin.splice(24..28, [192, 0, 2, 1]);
        let internal = |settings: &mut PeerSettings| {
            settings.machine.peer_as = PeerAs::Internal;
            settings.transport.reach = Reach::Anywhere;
            Ok(())
        };
        survives_as(internal, twin.leak(), Manner::Reads, |_, beside| {
            let refused = |view: &View| says(view, "192.0.2.1") && view.peer.counts.sessions == 0;
            let view = Speaker::waits(beside, "refusal", refused)?;
            let ending = view.peer.last_error.as_ref().map(|(_, ending)| ending.clone());
            ensure!(matches!(ending, Some(Ending::Refused(Refusal::RouterId(_)))), "{view:#?}");
            Ok(())
        })
    });
}

#[test]
fn a_peer_that_never_reads_holds_up_nobody_and_fills_no_queue() {
    const MANY: u32 = 20_000;
    rights::within(|| {
        let mut messages = open(65_002, 240)?;
        messages.extend(Message::Keepalive.to_bytes());
        survives_as(
            |_| Ok(()),
            messages.leak(),
            Manner::NeverReads,
            |stage, beside| {
                // Each route has a message of its own.
                let prefixes: Vec<String> = (0..MANY)
                    .map(|number| format!("10.{}.{}.{}/32", number >> 16, number >> 8 & 255, number & 255))
                    .chain([ROUTE.to_owned()])
                    .collect();
                let wish = |round: u32| {
                    let said = |number: usize| Announcement { med: Some(number as u32 + round), ..plain() };
                    let routes = prefixes.iter().enumerate();
                    stage
                        .speaker
                        .wish(routes.map(|(number, prefix)| (prefix.as_str(), said(number))).collect())
                };
                let all_sent = |view: &View| view.routes.sent == prefixes.len() && view.is_up_to_date();
                wish(0)?;
                stage.speaker.sees("every route at the router beside", all_sent)?;
                let stuck = |view: &View| view.is_established() && view.routes.waiting > 0;
                let mut told = Speaker::waits(beside, "routes that wait", stuck)?.routes.messages;
                // What the kernel takes comes to an end.
                loop {
                    thread::sleep(Duration::from_secs(1));
                    let now = beside.borrow().routes.messages;
                    if now == told {
                        break;
                    }
                    told = now;
                }
                for round in 1..=5 {
                    let before = stage.speaker.view.borrow().routes.messages;
                    wish(round * MANY)?;
                    stage.speaker.sees("the change at the router beside", |view| {
                        all_sent(view) && view.routes.messages >= before + u64::from(MANY)
                    })?;
                }
                let view = beside.borrow().clone();
                ensure!(view.routes.messages == told, "what it does not take is not made: {:?}", view.routes);
                ensure!(stuck(&view) && view.routes.waiting <= prefixes.len(), "{:?}", view.routes);
                Ok(())
            },
        )
    });
}
