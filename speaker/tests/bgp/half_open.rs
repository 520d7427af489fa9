// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions whose other end is gone without a word, or comes again while the old one stands. BIRD beside them does not notice.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_bgp::peer::Role;
use ferrolb_bgp::{Beginning, Ending, Families, GracefulRestart, Message, Restart, RestartTime};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, NODE_V4, Neighbour, Wire};
use ferrolb_speaker::bgp::View;
use socket2::{Domain, Socket, Type};
use tokio::sync::watch;

use crate::hostile::{open_of_one_that_restarts, says};
use crate::stage::{Extras, SOON, Speaker, Stage, plain, settings};

/// Where the peer calls from, beside BIRD.
const CALLER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);
const ROUTE: &str = "198.51.100.1/32";
/// In seconds.
const HOLD: u16 = 6;
/// Code and subcode of a Cease for a connection collision (RFC 4486).
const COLLISION: [u8; 2] = [6, 7];

/// A session with BIRD, and one that waits for the caller; `restart` is what we say of restarts there.
fn waiting(restart: Option<Restart>) -> Result<Stage> {
    let node = Neighbour::default();
    let wire = Wire::build()?;
    wire.router.ip(&format!("addr add {CALLER}/24 dev eth0\n"))?;
    let router = Daemon::Bird.start(&wire, &node)?;
    let mut caller = settings(&node)?;
    caller.name = "caller".to_owned();
    caller.transport.peer = SocketAddr::new(CALLER.into(), 179);
    caller.machine.role = Role::Passive;
    caller.machine.restart = restart;
    let extras = Extras { listens: true, beside: Some(caller), ..Extras::default() };
    let speaker = Speaker::start(&wire.node, &settings(&node)?, extras, BTreeMap::from([(ROUTE, plain())]))?;
    let stage = Stage { speaker, router, wire };
    stage.router_shows("the route", |table| table.contains_key(ROUTE))?;
    Ok(stage)
}

fn beside(stage: &Stage) -> Result<&watch::Receiver<View>> {
    stage.speaker.beside.as_ref().context("a session beside the first")
}

/// BIRD has been in one session all the time.
fn bird_is_unharmed(stage: &Stage) -> Result<()> {
    let view = stage.is_up()?;
    ensure!(view.peer.counts.sessions == 1, "the other session went down: {view:#?}");
    ensure!(stage.router.routes()?.contains_key(ROUTE));
    Ok(())
}

/// The caller connects and says this at once.
fn call(stage: &Stage, words: &[u8]) -> Result<TcpStream> {
    stage.wire.router.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((CALLER, 0)).into())?;
        socket.connect_timeout(&SocketAddr::new(NODE_V4.parse()?, 179).into(), SOON)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(words)?;
        Ok(stream)
    })
}

/// OPEN and KEEPALIVE.
fn greeting(graceful_restart: Option<GracefulRestart>) -> Result<Vec<u8>> {
    let mut words = open_of_one_that_restarts(65_002, HOLD, graceful_restart)?;
    words.extend(Message::Keepalive.to_bytes());
    Ok(words)
}

/// The kinds of these messages, as numbers: 1 is OPEN, 3 is NOTIFICATION.
fn kinds(mut heard: &[u8]) -> Result<Vec<u8>> {
    let mut kinds = Vec::new();
    while let Some(header) = heard.first_chunk::<19>() {
        let [.., high, low, kind] = *header;
        kinds.push(kind);
        heard = heard.get(u16::from_be_bytes([high, low]).into()..).context("half a message")?;
    }
    Ok(kinds)
}

/// Calls until there is a session for the `count`th time.
fn calls_until_let_in(stage: &Stage, words: &[u8], count: u64) -> Result<TcpStream> {
    let (begun, beside) = (Instant::now(), beside(stage)?);
    loop {
        let stream = call(stage, words);
        thread::sleep(Duration::from_millis(500));
        let view = beside.borrow().clone();
        if let Ok(stream) = stream
            && view.is_established()
            && view.peer.counts.sessions == count
        {
            return Ok(stream);
        }
        ensure!(begun.elapsed() < SOON, "it is not let in: {view:#?}");
    }
}

#[test]
fn a_peer_whose_host_vanishes_is_given_up_after_the_hold_time_and_let_in_when_it_is_back() {
    rights::within(|| {
        let stage = waiting(None)?;
        let mut lost = call(&stage, &greeting(None)?)?;
        let beside = beside(&stage)?;
        Speaker::waits(beside, "session", View::is_established)?;
        // It lives for longer than the hold time.
        for _ in 0..2 * HOLD {
            thread::sleep(Duration::from_secs(1));
            lost.write_all(&Message::Keepalive.to_bytes())?;
        }
        ensure!(beside.borrow().is_established(), "{:#?}", beside.borrow());
        // Neither FIN nor RST comes through, and nothing is acknowledged.
        stage.wire.ask(
            "nft",
            &["add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
               add chain inet cut out { type filter hook output priority 0; }; \
               add rule inet cut in ip daddr 192.0.2.66 drop; add rule inet cut out ip saddr 192.0.2.66 drop"],
        )?;
        let cut = Instant::now();
        drop(lost);
        let view = Speaker::waits(beside, "end", |view| !view.is_established())?;
        ensure!(says(&view, "the hold time of 6 s"), "{view:#?}");
        ensure!(cut.elapsed() > Duration::from_secs(3), "silence is no reason before: {:?}", cut.elapsed());
        stage.wire.ask("nft", &["delete table inet cut"])?;
        calls_until_let_in(&stage, &greeting(None)?, 2)?;
        bird_is_unharmed(&stage)
    });
}

#[test]
fn a_peer_that_calls_again_is_turned_away_while_its_old_session_stands_and_let_in_afterwards() {
    rights::within(|| {
        let stage = waiting(None)?;
        let _old = call(&stage, &greeting(None)?)?;
        let beside = beside(&stage)?;
        Speaker::waits(beside, "session", View::is_established)?;
        // It has forgotten the old one, and says nothing there any more.
        let mut answer = Vec::new();
        call(&stage, &[])?.read_to_end(&mut answer)?;
        ensure!(answer.get(18..21) == Some(&[3, COLLISION[0], COLLISION[1]][..]), "{answer:?}");
        ensure!(beside.borrow().peer.counts.sessions == 1, "{:#?}", beside.borrow());

        let view = Speaker::waits(beside, "end", |view| !view.is_established())?;
        ensure!(says(&view, "the hold time of 6 s"), "{view:#?}");
        calls_until_let_in(&stage, &greeting(None)?, 2)?;
        bird_is_unharmed(&stage)
    });
}

#[test]
fn a_peer_that_restarts_and_calls_again_takes_the_place_of_its_old_session_at_once() {
    rights::within(|| {
        let time = RestartTime::from_secs(120).context("a restart time")?;
        let stage = waiting(Some(Restart::new(time, Beginning::Fresh)))?;
        let said = |restarted| GracefulRestart {
            restarted,
            notification: false,
            time,
            families: Families::BOTH,
            forwarding: Families::BOTH,
        };
        let mut old = call(&stage, &greeting(Some(said(false)))?)?;
        let beside = beside(&stage)?;
        Speaker::waits(beside, "session", View::is_established)?;
        let _new = call(&stage, &greeting(Some(said(true)))?)?;
        let again = |view: &View| view.is_established() && view.peer.counts.sessions == 2;
        let view = Speaker::waits(beside, "second session", again)?;
        let ending = view.peer.last_error.as_ref().map(|(_, ending)| ending);
        ensure!(matches!(ending, Some(Ending::Superseded)), "{view:#?}");
        // The old connection is closed. A NOTIFICATION there could end the restart.
        let mut heard = Vec::new();
        old.read_to_end(&mut heard)?;
        let kinds = kinds(&heard)?;
        ensure!(kinds.first() == Some(&1) && !kinds.contains(&3), "{kinds:?}");
        bird_is_unharmed(&stage)
    });
}
