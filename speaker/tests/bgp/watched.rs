// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a BFDProfile says is what BFD does, and nothing but the path disturbs it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Wire};

use crate::peers::peer;
use crate::stage::{SOON, comes_up};
use crate::whole::{ADDRESS, Whole, has, shows};

fn control(wire: &Wire) -> String {
    wire.folder().join("bird.ctl").to_string_lossy().into_owned()
}

/// BIRD's line about its BFD session, in words.
fn session(wire: &Wire) -> Result<Vec<String>> {
    let shown = wire.ask("birdc", &["-r", "-s", &control(wire), "show bfd sessions"])?;
    let line = shown.lines().find(|line| line.contains(" Up "));
    let line = line.with_context(|| format!("BFD is not up: {shown}"))?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn bgp_068_bfd_keeps_the_times_of_its_profile_and_new_routes_do_not_disturb_it() {
    const PROFILE: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {name: own},
 spec: {receiveInterval: 200, transmitInterval: 150, detectMultiplier: 4}}
";
    rights::within(|| {
        let wire = Wire::build()?;
        let router = Daemon::Bird.start(&wire, &Neighbour { bfd: true, ..Neighbour::default() })?;
        let spec = "peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s, bfdProfile: own";
        let files = [("address.yaml", ADDRESS), ("own.yaml", PROFILE), ("peer.yaml", &peer(spec))];
        let speaker = Whole::start_with(&wire.node, &files)?;
        shows(&*router, true)?;
        comes_up(&*router)?;
        thread::sleep(Duration::from_secs(3));
        let before = session(&wire)?;
        // What BIRD sends at, as we receive; and how long it waits: four times what we send at.
        ensure!(before.ends_with(&["0.200".to_owned(), "0.600".to_owned()]), "{before:?}");

        for number in 2..=20 {
            let one = ADDRESS.replace("198.51.100.1", &format!("198.51.100.{number}"));
            speaker.write(&format!("address{number}.yaml"), &one)?;
        }
        has(&*router, "198.51.100.20/32", true)?;
        thread::sleep(Duration::from_secs(2));
        let after = session(&wire)?;
        ensure!(before == after, "up since the same moment, at the same times: {before:?}, {after:?}");
        Ok(())
    });
}

/// When BIRD's session with the node began, in its words.
fn since(wire: &Wire) -> Result<String> {
    let shown = wire.ask("birdc", &["-r", "-s", &control(wire), "show protocols node"])?;
    let line = shown.lines().find(|line| line.contains("Established"));
    let line = line.with_context(|| format!("no session: {shown}"))?;
    line.split_whitespace().nth(4).map(str::to_owned).context("a moment")
}

/// Waits until BIRD's BFD session is up with such an interval and timeout, in words.
fn bfd_becomes(wire: &Wire, times: [&str; 2]) -> Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let now = session(wire);
        match now {
            Ok(now) if now.ends_with(&times.map(str::to_owned)) => return Ok(now),
            now => ensure!(begun.elapsed() < SOON, "not {times:?} but {now:?}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn bgp_068_another_bfd_profile_changes_bfd_and_ends_no_session() {
    let own = |spec: &str| {
        format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {{name: own}}, spec: {{{spec}}}}}\n"
        )
    };
    let with = |more: &str| peer(&format!("peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s{more}"));
    rights::within(|| {
        let wire = Wire::build()?;
        let router = Daemon::Bird.start(&wire, &Neighbour { bfd: true, ..Neighbour::default() })?;
        let first = own("receiveInterval: 200, transmitInterval: 150, detectMultiplier: 4");
        let watched = with(", bfdProfile: own");
        let files = [("address.yaml", ADDRESS), ("own.yaml", &*first), ("peer.yaml", &*with(""))];
        let speaker = Whole::start_with(&wire.node, &files)?;
        shows(&*router, true)?;
        let begun = since(&wire)?;
        ensure!(!router.path_is_up()?, "nobody asked for BFD");

        speaker.write("peer.yaml", &watched)?;
        let up = bfd_becomes(&wire, ["0.200", "0.600"])?;
        speaker.tells("that the path is up", |told| told.contains("state: Up"))?;
        let other =
            own("receiveInterval: 400, transmitInterval: 500, detectMultiplier: 5, passiveMode: true");
        speaker.write("own.yaml", &other)?;
        let slower = bfd_becomes(&wire, ["0.400", "2.500"])?;
        ensure!(slower.get(..4) == up.get(..4), "BFD goes on at other times: {up:?}, {slower:?}");
        ensure!(since(&wire)? == begun, "begun {begun}, {}", router.story());

        // The path is dead long before the hold time is over.
        wire.ask(
            "nft",
            &["add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
            add rule inet cut in udp dport 3784 drop"],
        )?;
        speaker.tells("why the session ended", |told| told.contains("lastEnd") && told.contains("BFD"))?;
        wire.ask("nft", &["delete table inet cut"])?;
        bfd_becomes(&wire, ["0.400", "2.500"])?;

        // BIRD ends the session when its neighbour takes BFD away, and begins another one.
        speaker.write("peer.yaml", &with(""))?;
        speaker
            .tells("that nobody watches", |told| told.contains("Established") && !told.contains("bfd:"))?;
        let gone = Instant::now();
        while router.path_is_up()? || !router.story().contains("Established") {
            ensure!(gone.elapsed() < SOON, "{}", router.story());
            thread::sleep(Duration::from_millis(100));
        }
        shows(&*router, true)
    });
}

#[test]
fn bgp_068_bfd_watches_over_several_hops_on_a_port_of_its_own() {
    // BIRD sends with a TTL of 64 where it allows for routers in between.
    const FAR: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {name: far},
 spec: {receiveInterval: 100, transmitInterval: 100, detectMultiplier: 3, minimumTtl: 60}}
";
    rights::within(|| {
        let wire = Wire::build()?;
        let node = Neighbour { multihop: true, bfd: true, hold: 240, ..Neighbour::default() };
        let router = Daemon::Bird.start(&wire, &node)?;
        let spec = "peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 240s, ebgpMultiHop: true, \
                    sourceAddress: 192.0.2.1, bfdProfile: far";
        let files = [("address.yaml", ADDRESS), ("far.yaml", FAR), ("peer.yaml", &peer(spec))];
        let _speaker = Whole::start_with(&wire.node, &files)?;
        shows(&*router, true)?;
        comes_up(&*router)?;
        wire.ask(
            "nft",
            &["add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
               add rule inet cut in udp dport 4784 drop; add rule inet cut in tcp sport 179 drop; \
               add rule inet cut in tcp dport 179 drop"],
        )?;
        // The hold time is four minutes, and nothing comes to the port of a single hop.
        shows(&*router, false)
    });
}
