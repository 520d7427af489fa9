// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a BFDProfile says is what BFD does, and nothing but the path disturbs it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Wire};

use crate::peers::peer;
use crate::stage::comes_up;
use crate::whole::{ADDRESS, Whole, has, shows};

/// BIRD's line about its BFD session, in words.
fn session(wire: &Wire) -> Result<Vec<String>> {
    let control = wire.folder().join("bird.ctl");
    let shown = wire.ask("birdc", &["-r", "-s", &control.to_string_lossy(), "show bfd sessions"])?;
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
