// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What an update of the DaemonSet does, one node after the other: no kubelet runs here, so the test replaces the speakers as one does.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_control_plane::{Installation, Kubectl, ProxyMode, ended_well};
use ferrolb_lab::probe::{Connects, NewClients, UdpEcho};
use ferrolb_lab::quickstart;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::TOLERATED_TWO_ANSWERS;
use serde_json::{Value, json};

use crate::patience::{SLOWLY, SOON, eventually};
use crate::start::{alone, eventually_reported, launched, serving};

/// Where a speaker in a cluster says whether it is ready.
const PROBES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7473);
/// A prober that slept for longer than this cannot tell whose loss it was.
const AWAKE: Duration = Duration::from_millis(20);
/// The longest that new clients, who ask each 10 ms, may be without an answer beyond the prober's own sleep.
const DARK: Duration = Duration::from_millis(100);

/// `spec.updateStrategy.rollingUpdate` of the DaemonSet.
#[derive(Clone, Copy, Debug)]
enum Strategy {
    /// `maxUnavailable: 1`: the old speaker ends, then the new one starts.
    OneAway,
    /// `maxSurge: 1`: the new one starts, and once something says that it is ready the old one ends.
    Surge,
}

/// Whether the readiness probe of the kubelet would succeed on `node`.
fn is_ready(installation: &Installation, node: &str) -> Result<()> {
    installation.lab().node(node)?.namespace.run(|| {
        let mut stream = TcpStream::connect_timeout(&PROBES, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.split(' ').nth(1) == Some("200"), "{answer}");
        Ok(())
    })
}

fn replace(installation: &mut Installation, node: &str, strategy: Strategy) -> Result<()> {
    let ready = |installation: &Installation| {
        eventually("the speaker is ready", SLOWLY, || is_ready(installation, node))
    };
    match strategy {
        Strategy::OneAway => {
            installation.stop_speaker(node)?;
            installation.start_speaker(node)?;
        }
        Strategy::Surge => {
            let mut old = installation.release_speaker(node)?;
            installation.start_speaker(node)?;
            // Both have the node's network, so the old one answers for both.
            ready(installation)?;
            let beside = || {
                let log = old.log();
                ensure!(log.contains("waiting for its end"), "{log}");
                Ok(())
            };
            eventually("the new speaker waits", SLOWLY, beside)?;
            ended_well(&mut old)?;
        }
    }
    ready(installation)
}

fn term(kubectl: &Kubectl, address: IpAddr) -> Result<u64> {
    let found: Value = kubectl.get(&["virtualip", &address.to_string()])?;
    let term = found.pointer("/status/layer2/0/term").and_then(Value::as_u64);
    term.with_context(|| format!("{address} is reported as {:?}", found.get("status")))
}

/// Nothing is lost, and each address moves only off nodes that are updated: at most once for each.
fn an_update_loses_nothing(strategy: Strategy) -> Result<()> {
    let _turn = alone();
    let mut installation = serving(3, ProxyMode::NFTables)?;
    let address = installation.address_of("echo", true)?;
    eventually_reported(&installation, "echo", "")?;
    let before = term(installation.kubectl(), address)?;
    let lab = installation.lab();
    let cached = UdpEcho::start(&lab.client, SocketAddr::new(address, quickstart::ECHO_UDP))?;
    let connects = Connects::start(&lab.client, SocketAddr::new(address, quickstart::ECHO_TCP))?;
    let new = NewClients::start(&lab.newcomer, address)?;
    thread::sleep(SOON / 6);
    for node in ["n1", "n2", "n3"] {
        replace(&mut installation, node, strategy)?;
    }
    thread::sleep(SOON);
    let (cached, connects, new) = (cached.finish()?, connects.finish()?, new.finish()?);
    let logs = installation.logs();
    let owner = eventually_reported(&installation, "echo", "")?;
    let place = installation.lab().node(&owner)?.place();
    eventually("the last owner is the reported one", SLOWLY, || {
        ensure!(new.last_answerer() == Some(place.mac()), "{:?}, not {owner}", new.last_answerer());
        Ok(())
    })?;
    let moves = term(installation.kubectl(), address)? - before;
    eprintln!(
        "{strategy:?}: {moves} moves; {} of {} probes and {} of {} connects failed; new clients dark {:?}, two answered {:?}; own \
         stall {:?}",
        cached.lost,
        cached.sent,
        connects.failed,
        connects.attempts,
        new.longest_dark(),
        new.two_answered(),
        cached.stall.max(new.stall)
    );
    assert!(cached.lost == 0 || cached.stall > AWAKE, "{cached:?}\n{logs}");
    assert!(connects.failed == 0 || connects.stall > AWAKE, "{connects:?}\n{logs}");
    assert!(new.longest_dark() < DARK + new.stall, "new clients: {:?}\n{logs}", new.longest_dark());
    assert!(new.two_answered() < TOLERATED_TWO_ANSWERS, "two answered for {:?}\n{logs}", new.two_answered());
    assert!((1..=3).contains(&moves), "{moves} moves\n{logs}");
    Ok(())
}

#[test]
fn an_update_of_one_speaker_after_the_other_loses_no_probe_and_moves_an_address_once_a_node_at_most() {
    within(|| an_update_loses_nothing(Strategy::OneAway));
}

#[test]
fn an_update_by_surge_loses_no_probe_either_and_the_new_speaker_waits_for_the_old_one() {
    within(|| an_update_loses_nothing(Strategy::Surge));
}

/// Why the manifests do not surge: of a port that a pod of the node's network declares no second pod finds the node free.
#[test]
fn a_second_speaker_would_find_no_node_whose_port_is_free() {
    within(|| {
        let _turn = alone();
        let installation = launched(1, ProxyMode::NFTables)?;
        let kubectl = installation.kubectl();
        let daemon_set: Value = kubectl.get(&["daemonset", "ferrolb-speaker", "-n", "ferrolb-system"])?;
        let update = daemon_set.pointer("/spec/updateStrategy/rollingUpdate").context("a strategy")?;
        assert_eq!(*update, json!({"maxUnavailable": 1, "maxSurge": 0}));
        let template = daemon_set.pointer("/spec/template/spec").context("a template")?;
        let metadata = json!({"name": "surge", "namespace": "ferrolb-system"});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template});
        let dry = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let pod: Value = serde_json::from_str(&kubectl.feed(&dry, &pod.to_string())?.text)?;
        let port = pod.pointer("/spec/containers/0/ports/0/hostPort");
        assert_eq!(port, Some(&PROBES.port().into()), "the API server makes it the node's");
        Ok(())
    });
}
