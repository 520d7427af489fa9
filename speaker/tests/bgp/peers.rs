// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a BGPPeer says, and what becomes of its session when it says something else. BIRD is its router; ExaBGP, spoken to over IPv6
//! beside it, must not notice.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Over, Router, Wire};

use crate::stage::SOON;
use crate::whole::{ADDRESS, ROUTE, Whole, shows};

/// A BGPPeer of BIRD's.
pub fn peer(spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: router}},\n \
         spec: {{myASN: 65001, connectTime: 2s, {spec}}}}}\n"
    )
}

const PLAIN: &str = "peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s";
const BESIDE: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: beside},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: '2001:db8:77::2', holdTime: 9s, connectTime: 2s, families: [IPv4]}}
";

fn secret(password: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: key}}, type: kubernetes.io/basic-auth, stringData: {{password: {password}}}}}\n"
    )
}

/// BIRD, and a speaker whose BGPPeer says `spec`.
fn with_bird(node: &Neighbour, spec: &str) -> Result<(Wire, Box<dyn Router>, Whole)> {
    let wire = Wire::build()?;
    let router = Daemon::Bird.start(&wire, node)?;
    let speaker = Whole::start_with(&wire.node, &[("address.yaml", ADDRESS), ("peer.yaml", &peer(spec))])?;
    Ok((wire, router, speaker))
}

/// A speaker with two routers, and what the second is like at the end.
struct Two {
    speaker: Whole,
    bird: Box<dyn Router>,
    beside: Box<dyn Router>,
    _wire: Wire,
}

impl Two {
    fn start(node: &Neighbour) -> Result<Self> {
        let wire = Wire::build()?;
        let bird = Daemon::Bird.start(&wire, node)?;
        let beside = Daemon::ExaBgp.start(&wire, &Neighbour { over: Over::V6, ..Neighbour::default() })?;
        let speaker = Whole::start_with(&wire.node, &[("address.yaml", ADDRESS), ("beside.yaml", BESIDE)])?;
        shows(&*beside, true)?;
        Ok(Self { speaker, bird, beside, _wire: wire })
    }

    /// The session beside went on all the time.
    fn beside_is_unharmed(&self) -> Result<()> {
        let story = self.beside.story();
        ensure!(story.contains("\"up\"") && !story.contains("\"down\""), "{story}");
        ensure!(self.beside.routes()?.contains_key(ROUTE));
        Ok(())
    }
}

/// Waits until the router says this of its session.
fn says(router: &dyn Router, words: &str) -> Result<()> {
    let begun = Instant::now();
    while !router.story().contains(words) {
        ensure!(begun.elapsed() < SOON, "no {words:?} in {}", router.story());
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn bgp_060_sessions_of_every_kind_come_up() {
    rights::within(|| {
        let password = || Some("of-both".to_owned());
        let kinds = [
            (
                Neighbour { node_as: 65_002, ..Neighbour::default() },
                "myASN: 65002, peerASN: 65002, peerAddress: 192.0.2.2",
            ),
            (
                Neighbour { node_as: 4_200_000_000, over: Over::V6, port: 180, ..Neighbour::default() },
                "myASN: 4200000000, peerASN: 65002, peerAddress: '2001:db8:77::2', peerPort: 180, families: [IPv4]",
            ),
            (
                Neighbour { port: 180, password: password(), ..Neighbour::default() },
                "myASN: 65001, peerASN: 65002, peerAddress: 192.0.2.2, peerPort: 180, ebgpMultiHop: true, passwordSecret: {name: key}",
            ),
            (
                Neighbour { node_as: 65_002, over: Over::V6, password: password(), ..Neighbour::default() },
                "myASN: 65002, peerASN: 65002, peerAddress: '2001:db8:77::2', families: [IPv4], passwordSecret: {name: key}",
            ),
        ];
        for (node, spec) in kinds {
            let wire = Wire::build()?;
            let router = Daemon::Bird.start(&wire, &node)?;
            let peer = peer(spec).replacen("myASN: 65001, ", "", 1);
            let files = [("address.yaml", ADDRESS), ("key.yaml", &secret("of-both")), ("peer.yaml", &peer)];
            let _speaker = Whole::start_with(&wire.node, &files)?;
            shows(&*router, true).with_context(|| spec.to_owned())?;
        }
        Ok(())
    });
}

#[test]
fn bgp_061_bgp_062_a_password_comes_from_a_secret_and_changes_with_it() {
    rights::within(|| {
        let two = Two::start(&Neighbour { password: Some("first".to_owned()), ..Neighbour::default() })?;
        let signed = peer(&format!("{PLAIN}, passwordSecret: {{name: key}}"));
        two.speaker.write("peer.yaml", &signed)?;
        two.speaker.tells("the missing Secret", |told| told.contains("no Secret key"))?;
        two.speaker.write("key.yaml", &secret("first"))?;
        shows(&*two.bird, true)?;
        two.speaker.write("key.yaml", &secret("second"))?;
        shows(&*two.bird, false)?;
        two.speaker.write("key.yaml", &secret("first"))?;
        shows(&*two.bird, true)?;
        two.speaker.write("peer.yaml", &peer(PLAIN))?;
        shows(&*two.bird, false)?;
        two.beside_is_unharmed()
    });
}

#[test]
fn bgp_064_the_router_id_of_a_peer_is_what_the_router_sees() {
    rights::within(|| {
        let (_wire, router, _speaker) =
            with_bird(&Neighbour::default(), &format!("{PLAIN}, routerID: 10.10.10.1"))?;
        shows(&*router, true)?;
        says(&*router, "10.10.10.1")
    });
}

#[test]
fn bgp_066_a_router_that_was_away_is_back_within_the_connect_time() {
    rights::within(|| {
        let node = Neighbour::default();
        let (wire, router, speaker) = with_bird(&node, PLAIN)?;
        shows(&*router, true)?;
        drop(router);
        speaker.tells("the loss", |told| told.contains("Connecting"))?;
        // Long enough for pauses that grow beyond what was asked for.
        thread::sleep(Duration::from_secs(12));
        let router = Daemon::Bird.start(&wire, &node)?;
        let begun = Instant::now();
        shows(&*router, true)?;
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(10), "two seconds were asked for, and it took {took:?}");
        Ok(())
    });
}

#[test]
fn bgp_069_a_dynamic_asn_lets_in_the_right_kind_alone() {
    rights::within(|| {
        let dynamic = |kind: &str| peer(&format!("dynamicASN: {kind}, peerAddress: 192.0.2.2, holdTime: 9s"));
        let (_wire, router, speaker) =
            with_bird(&Neighbour::default(), "dynamicASN: internal, peerAddress: 192.0.2.2, holdTime: 9s")?;
        speaker.tells("the other kind", |told| told.contains("65002") && told.contains("internal"))?;
        ensure!(!router.routes()?.contains_key(ROUTE));
        speaker.write("peer.yaml", &dynamic("external"))?;
        shows(&*router, true)
    });
}

#[test]
fn bgp_070_a_local_asn_stands_in_place_of_ours() {
    rights::within(|| {
        let node = Neighbour { node_as: 64_520, ..Neighbour::default() };
        let (_wire, router, _speaker) = with_bird(&node, &format!("{PLAIN}, localASN: 64520"))?;
        shows(&*router, true)?;
        let table = router.routes()?;
        let route = table.get(ROUTE).context("the route")?;
        ensure!(route.as_path == [64_520], "it is not prepended: {route:?}");
        Ok(())
    });
}

#[test]
fn bgp_076_routes_of_a_router_enter_no_table() {
    rights::within(|| {
        const OFFERED: &str = "172.16.1.1/32";
        let node = Neighbour { offers: Some(OFFERED), ..Neighbour::default() };
        let (wire, router, _speaker) = with_bird(&node, PLAIN)?;
        shows(&*router, true)?;
        let begun = Instant::now();
        while !router.story().contains("1 exported") {
            ensure!(begun.elapsed() < SOON, "it was not offered: {}", router.story());
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(500));
        let table = wire.node.run(|| {
            let shown = std::process::Command::new("ip").args(["route", "show", "table", "all"]).output()?;
            Ok(String::from_utf8_lossy(&shown.stdout).into_owned())
        })?;
        ensure!(table.contains("192.0.2.0/24") && !table.contains("172.16.1.1"), "{table}");
        Ok(())
    });
}

#[test]
fn bgp_052_bgp_077_bgp_078_peers_come_and_go_one_by_one() {
    rights::within(|| {
        let two = Two::start(&Neighbour::default())?;
        two.speaker.write("peer.yaml", &peer(PLAIN))?;
        shows(&*two.bird, true)?;
        // The same again, and another object for the same router.
        two.speaker.write("peer.yaml", &format!("\n{}", peer(PLAIN)))?;
        two.speaker.write("twin.yaml", &peer(PLAIN).replace("name: router", "name: twin"))?;
        thread::sleep(Duration::from_secs(2));
        ensure!(two.bird.routes()?.contains_key(ROUTE), "{}", two.bird.story());
        two.speaker.remove("twin.yaml")?;
        two.speaker.remove("peer.yaml")?;
        shows(&*two.bird, false)?;
        two.beside_is_unharmed()
    });
}

#[test]
fn bgp_083_another_time_number_or_address_is_followed() {
    rights::within(|| {
        let two = Two::start(&Neighbour::default())?;
        let say = |spec: &str| two.speaker.write("peer.yaml", &peer(spec));
        say(PLAIN)?;
        shows(&*two.bird, true)?;
        say("peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 6s")?;
        two.speaker.tells("a shorter hold time", |told| told.contains("holdSeconds: 6"))?;
        say("peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 6s, enableGracefulRestart: true")?;
        two.speaker.tells("graceful restart", |told| told.contains("graceful restart"))?;
        shows(&*two.bird, true)?;
        for wrong in [
            "peerASN: 65003, peerAddress: 192.0.2.2",
            "peerASN: 65002, peerAddress: 192.0.2.77",
            "peerASN: 65002, peerAddress: 192.0.2.2, peerPort: 1791",
        ] {
            say(wrong)?;
            shows(&*two.bird, false).context(wrong)?;
            say(PLAIN)?;
            shows(&*two.bird, true).context(wrong)?;
        }
        two.beside_is_unharmed()
    });
}

#[test]
fn bgp_082_a_session_speaks_from_the_address_that_it_is_told() {
    rights::within(|| {
        let wire = Wire::build()?;
        wire.node.ip("addr del 192.0.2.1/24 dev eth0\naddr add 192.0.2.9/24 dev eth0\naddr add 192.0.2.1/24 dev eth0\n")?;
        let router = Daemon::Bird.start(&wire, &Neighbour::default())?;
        let from = peer(&format!("{PLAIN}, sourceAddress: 192.0.2.1"));
        let speaker = Whole::start_with(&wire.node, &[("address.yaml", ADDRESS), ("peer.yaml", &from)])?;
        shows(&*router, true)?;
        speaker.write("peer.yaml", &peer(PLAIN))?;
        shows(&*router, false)?;
        thread::sleep(Duration::from_secs(3));
        ensure!(!router.routes()?.contains_key(ROUTE), "the kernel's choice is not known to the router");
        Ok(())
    });
}

#[test]
fn bgp_086_the_hold_time_is_90_seconds_unless_somebody_wants_another() {
    rights::within(|| {
        let node = Neighbour { hold: 240, ..Neighbour::default() };
        let (_wire, router, speaker) = with_bird(&node, "peerASN: 65002, peerAddress: 192.0.2.2")?;
        shows(&*router, true)?;
        speaker.tells("the hold time", |told| told.contains("holdSeconds: 90"))?;
        Ok(())
    });
}
