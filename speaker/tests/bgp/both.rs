// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A Service that is announced on its segment and to a router: either goes on when the other comes or goes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ferrolb_lab::probe::{NewClients, NewClientsReport};
use ferrolb_lab::router::{Daemon, Neighbour, Wire};
use ferrolb_lab::{Place, rights};

use crate::stage::SOON;
use crate::stopping::{keeps, until};
use crate::whole::{ADDRESS, GROUND, PEER, Whole, shows};

const LAYER2: &str = "{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: lan}, spec: {addressPools: [lan]}}";
const ROUTED: &str = "{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: lan}, spec: {addressPools: [lan]}}";
/// No answer for so long is more than a busy machine.
const DARK: Duration = Duration::from_secs(1);

/// Asks for the address on the segment, while `then` goes on.
fn asking(wire: &Wire, then: impl FnOnce() -> Result<()>) -> Result<NewClientsReport> {
    let asking = NewClients::start(&wire.router, "198.51.100.1".parse()?)?;
    then()?;
    asking.finish()
}

fn is_answered(wire: &Wire) -> Result<bool> {
    let pause = || {
        thread::sleep(Duration::from_millis(500));
        Ok(())
    };
    Ok(!asking(wire, pause)?.answers.is_empty())
}

/// The address is answered for all the time, while `then` goes on.
fn stays_answered(wire: &Wire, then: impl FnOnce() -> Result<()>) -> Result<()> {
    let seen = asking(wire, then)?;
    let dark = seen.longest_dark();
    ensure!(dark < DARK + seen.stall, "nobody answered for {dark:?}, own stall {:?}", seen.stall);
    Ok(())
}

#[test]
fn l2_016_bgp_089_layer_2_and_bgp_each_go_on_without_the_other() {
    rights::within(|| {
        let wire = Wire::build()?;
        wire.node.ip(&format!("addr add {}/24 dev eth0\n", Place::Node(1).ipv4()))?;
        wire.router.ip(&format!("addr add {}/24 dev eth0\n", Place::Newcomer.ipv4()))?;
        let router = Daemon::Bird.start(&wire, &Neighbour::default())?;
        let ground: Vec<&str> =
            GROUND.split("---").filter(|document| !document.contains("BGPAdvertisement")).collect();
        let ground = ground.join("---");
        let files = [
            ("ground.yaml", &*ground),
            ("address.yaml", ADDRESS),
            ("peer.yaml", PEER),
            ("layer2.yaml", LAYER2),
        ];
        let speaker = Whole::start_with(&wire.node, &files)?;
        let begun = Instant::now();
        while !is_answered(&wire)? || !router.story().contains("Established") {
            ensure!(begun.elapsed() < SOON, "nobody answers, or there is no session: {}", router.story());
        }
        ensure!(!keeps(&*router)?, "no advertisement says to tell routers");

        stays_answered(&wire, || {
            speaker.write("routed.yaml", ROUTED)?;
            shows(&*router, true)
        })?;
        let routed = || keeps(&*router);
        speaker.remove("layer2.yaml")?;
        until("the end of answers", &*router, routed, || Ok(!is_answered(&wire)?))?;
        speaker.write("layer2.yaml", LAYER2)?;
        until("answers again", &*router, routed, || is_answered(&wire))?;
        stays_answered(&wire, || {
            speaker.remove("routed.yaml")?;
            shows(&*router, false)
        })?;
        ensure!(is_answered(&wire)?, "layer 2 goes on");
        ensure!(router.story().contains("Established"), "the session goes on: {}", router.story());
        Ok(())
    });
}
