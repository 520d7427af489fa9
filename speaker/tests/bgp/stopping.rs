// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How a whole speaker takes leave of routers, and how it goes on with other settings.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_bfd::State;
use ferrolb_bgp::{Beginning, Restart, RestartTime};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Router, Wire};
use ferrolb_speaker::bgp::PeerSettings;

use crate::stage::{Extras, SOON, Speaker, Stage, plain, settings};
use crate::whole::{ADDRESS, GROUND, PEER, ROUTE, Whole, shows};

/// GRACEFUL_SHUTDOWN (RFC 8326), as routers show it.
const OTHERS: &str = "65535:0";
const WATCHED: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {name: close},
 spec: {receiveInterval: 100, transmitInterval: 100, detectMultiplier: 3}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: router},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s, bfdProfile: close}}
";

/// BIRD, and a speaker that announces [`ROUTE`] to it.
fn announcing(peer: &str, node: &Neighbour) -> Result<(Wire, Box<dyn Router>, Whole)> {
    let wire = Wire::build()?;
    let router = Daemon::Bird.start(&wire, node)?;
    let speaker = Whole::start(&wire.node)?;
    speaker.write("address.yaml", ADDRESS)?;
    speaker.write("peer.yaml", peer)?;
    shows(&*router, true)?;
    Ok((wire, router, speaker))
}

/// Waits until `happened`, and fails if `holds` does not hold at any time before.
pub fn until(
    what: &str,
    router: &dyn Router,
    holds: impl Fn() -> Result<bool>,
    happened: impl Fn() -> Result<bool>,
) -> Result<()> {
    let begun = Instant::now();
    while !happened()? {
        ensure!(holds()?, "what should hold until {what} did not: {}", router.story());
        ensure!(begun.elapsed() < SOON, "no {what}: {}", router.story());
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(holds()?, "what should hold when {what} did not: {}", router.story());
    Ok(())
}

/// Whether the route asks for others to be preferred; `None` without the route.
fn asks(router: &dyn Router) -> Result<Option<bool>> {
    Ok(router.routes()?.get(ROUTE).map(|route| route.communities.contains(OTHERS)))
}

pub fn keeps(router: &dyn Router) -> Result<bool> {
    Ok(router.routes()?.contains_key(ROUTE))
}

#[test]
fn bgp_015_a_drained_node_asks_for_others_then_withdraws_and_stays_in_session() {
    rights::within(|| {
        let (_wire, router, speaker) = announcing(PEER, &Neighbour::default())?;
        ensure!(asks(&*router)? == Some(false), "nothing is asked for before");
        let drained = GROUND
            .replace("metadata: {name: n1}", "metadata: {name: n1, annotations: {ferrolb.io/drain: 'true'}}");
        ensure!(drained != GROUND, "the node is in the manifests");
        speaker.write("ground.yaml", &drained)?;
        until("asking for others", &*router, || keeps(&*router), || Ok(asks(&*router)? == Some(true)))?;
        let asked = Instant::now();
        shows(&*router, false)?;
        // Ten seconds of grace; what the router showed late is not held against us.
        ensure!(asked.elapsed() > Duration::from_secs(8), "withdrawn after {:?}", asked.elapsed());
        ensure!(router.story().contains("Established"), "the session goes on: {}", router.story());

        speaker.write("ground.yaml", GROUND)?;
        shows(&*router, true)?;
        ensure!(asks(&*router)? == Some(false), "nothing is asked for any more");
        Ok(())
    });
}

#[test]
fn bgp_015_a_speaker_that_ends_asks_for_others_before_it_withdraws_and_says_why() {
    rights::within(|| {
        let (_wire, router, mut speaker) = announcing(PEER, &Neighbour::default())?;
        speaker.ask_to_stop();
        until("asking for others", &*router, || keeps(&*router), || Ok(asks(&*router)? == Some(true)))?;
        shows(&*router, false)?;
        speaker.stop()?;
        let story = router.story();
        ensure!(story.contains("Administrative shutdown"), "the router is told: {story}");
        ensure!(story.contains("the speaker of node n1 ends"), "and why: {story}");
        Ok(())
    });
}

#[test]
fn with_graceful_restart_a_stop_is_silent_and_the_next_speaker_finds_its_route() {
    rights::within(|| {
        let graceful = PEER.replace("holdTime: 9s", "holdTime: 9s, enableGracefulRestart: true");
        let node = Neighbour { graceful_restart: true, ..Neighbour::default() };
        let (wire, router, mut speaker) = announcing(&graceful, &node)?;
        speaker.stop()?;
        let until_then = Instant::now() + Duration::from_secs(2);
        until(
            "two seconds without a speaker",
            &*router,
            || keeps(&*router),
            || Ok(Instant::now() > until_then),
        )?;
        ensure!(!router.story().contains("Established"), "nobody speaks: {}", router.story());

        // It knows nothing of the one before; all is there when it starts.
        let _next = Whole::start_with(&wire.node, &[("address.yaml", ADDRESS), ("peer.yaml", &graceful)])?;
        let established = || Ok(router.story().contains("Established"));
        until("the next session", &*router, || keeps(&*router), established)?;
        let later = Instant::now() + Duration::from_secs(3);
        until("the end of the restart", &*router, || keeps(&*router), || Ok(Instant::now() > later))
    });
}

#[test]
fn a_peer_that_changes_keeps_its_routes_where_graceful_restart_was_agreed_on() {
    rights::within(|| {
        let graceful = PEER.replace("holdTime: 9s", "holdTime: 9s, enableGracefulRestart: true");
        let node = Neighbour { graceful_restart: true, ..Neighbour::default() };
        let (_wire, router, speaker) = announcing(&graceful, &node)?;
        speaker.write("peer.yaml", &graceful.replace("holdTime: 9s", "holdTime: 6s"))?;
        let changed = || Ok(holds_for(&*router, 6));
        until("the session with another hold time", &*router, || keeps(&*router), changed)?;
        let later = Instant::now() + Duration::from_secs(2);
        until("two seconds later", &*router, || keeps(&*router), || Ok(Instant::now() > later))
    });
}

#[test]
fn a_peer_that_changes_is_watched_by_bfd_all_the_time() {
    rights::within(|| {
        let node = Neighbour { bfd: true, ..Neighbour::default() };
        let (wire, router, speaker) = announcing(WATCHED, &node)?;
        let path = || -> Result<String> {
            let control = wire.folder().join("bird.ctl");
            wire.ask("birdc", &["-r", "-s", &control.to_string_lossy(), "show bfd sessions"])
        };
        let up = || Ok(path()?.contains(" Up "));
        until("the path up", &*router, || Ok(true), up)?;
        speaker.write("peer.yaml", &WATCHED.replace("holdTime: 9s", "holdTime: 6s"))?;
        // A router that watches only while there is a session begins that anew too.
        until("the session with another hold time", &*router, || Ok(true), || Ok(holds_for(&*router, 6)))?;
        until("the path up again", &*router, || Ok(true), up)?;
        let later = Instant::now() + Duration::from_secs(4);
        until("four seconds later", &*router, up, || Ok(Instant::now() > later))?;
        shows(&*router, true)?;

        // Other times too.
        let slower =
            WATCHED.replace("Interval: 100", "Interval: 200").replace("holdTime: 9s", "holdTime: 6s");
        speaker.write("peer.yaml", &slower)?;
        let slow = || {
            let shown = path()?;
            let Some(row) = shown.lines().find(|line| line.contains(" Up ")) else { return Ok(false) };
            let interval: f64 = row.split_whitespace().nth(4).context("no interval")?.parse()?;
            Ok(interval > 0.15)
        };
        until("the longer interval", &*router, || Ok(true), slow)
    });
}

#[test]
fn frr_keeps_the_routes_of_a_killed_speaker_and_drops_those_of_a_dead_node() {
    rights::within(|| {
        let node = Neighbour { graceful_restart: true, bfd: true, hold: 240, ..Neighbour::default() };
        let with = |beginning| -> Result<PeerSettings> {
            let mut settings = settings(&node)?;
            let time = RestartTime::from_secs(80).context("a restart time")?;
            settings.machine.restart = Some(Restart::new(time, beginning));
            Ok(settings)
        };
        let routes = || BTreeMap::from([(ROUTE, plain())]);
        let mut stage = Stage::with(Daemon::Frr, &node, &with(Beginning::Fresh)?)?;
        stage.speaker.wish(routes())?;
        stage.path_is("up", |path| path.state == State::Up)?;
        stage.is_up()?;
        stage.router_shows("the route", |table| table.contains_key(ROUTE))?;

        // BFD falls silent with the speaker, after three times 100 ms.
        stage.speaker.die()?;
        let later = Instant::now() + Duration::from_secs(3);
        let router = &*stage.router;
        until("three seconds without a speaker", router, || keeps(router), || Ok(Instant::now() > later))?;
        let settings = with(Beginning::Restarted)?;
        stage.speaker = Speaker::start(&stage.wire.node, &settings, Extras::of(&node), routes())?;
        stage.path_is("up again", |path| path.state == State::Up)?;
        stage.is_up()?;
        ensure!(keeps(&*stage.router)?, "the restart lost the route: {}", stage.router.story());

        // Nothing comes from the node any more. The hold time is four minutes.
        let dark = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
                    add rule inet cut in iif eth0 drop";
        stage.wire.ask("nft", &[dark])?;
        stage.router_shows("no route of a dead node", |table| !table.contains_key(ROUTE)).map(drop)
    });
}

/// Whether there is a session with this hold time in seconds.
fn holds_for(router: &dyn Router, seconds: u16) -> bool {
    let story = router.story();
    let timer = story.lines().find(|line| line.trim_start().starts_with("Hold timer:"));
    timer.is_some_and(|line| line.trim_end().ends_with(&format!("/{seconds}")))
}
