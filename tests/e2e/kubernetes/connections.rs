// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What becomes of open TCP connections that kube-proxy leads on. docs/kubernetes.md says what these tests assert.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use ferrolb_control_plane::{Account, Installation, ProxyMode};
use ferrolb_lab::probe::{Connections, ConnectionsReport};
use ferrolb_lab::rights::within;

use crate::patience::{SLOWLY, SOON, eventually};
use crate::start::{alone, binary, eventually_reported, eventually_served, serving};

const OPEN: usize = 30;
const PORT: u16 = 80;

/// What happens to the node that carries the address.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// `ferrolb move`, as a drain and an update do.
    Move,
    /// SIGKILL to its speaker.
    Kill,
    /// Its cable is pulled.
    Crash,
}

/// Connections to `service` through the event, which is undone afterwards.
fn through(installation: &mut Installation, service: &str, event: Event) -> Result<ConnectionsReport> {
    let address = installation.address_of(service, true)?;
    let owner = eventually_reported(installation, service, "")?;
    eventually_served(installation, service)?;
    // A client that was left alone after a kill is served by the node that it knows, not by the owner.
    installation.lab().client.ip(&format!("neigh flush dev eth0 to {address}\n"))?;
    let target = SocketAddr::new(address, PORT);
    let connections = Connections::start(&installation.lab().client, target, OPEN)?;
    thread::sleep(SOON / 6);
    match event {
        Event::Move => {
            let plane = installation.cluster().plane();
            let mut command = Command::new(binary());
            command.args(["move", &address.to_string(), "--kubeconfig"]);
            command.arg(plane.kubeconfig(&Account::admin())?);
            let namespace = plane.namespace().context("the control plane is a station of the lab")?;
            installation.lab().output(namespace, command)?;
        }
        Event::Kill => installation.speaker(&owner)?.kill()?,
        Event::Crash => installation.lab().cut(installation.lab().node(&owner)?)?,
    }
    thread::sleep(SOON + SOON);
    let report = connections.finish()?;
    eprintln!("{service}, {event:?} of {owner}: {report:?}");
    assert_eq!(report.opened, OPEN);
    match event {
        Event::Move => {}
        Event::Kill => {
            installation.start_speaker(&owner)?;
            thread::sleep(SOON);
        }
        Event::Crash => installation.lab().plug(installation.lab().node(&owner)?)?,
    }
    eventually("it is served again", SLOWLY, || eventually_served(installation, service))?;
    Ok(report)
}

fn connections_end_with_a_move_and_outlive_a_dead_speaker(mode: ProxyMode) -> Result<()> {
    let _turn = alone();
    let mut installation = serving(3, mode)?;
    for service in ["web", "local"] {
        let moved = through(&mut installation, service, Event::Move)?;
        assert_eq!((moved.reset, moved.stalled), (OPEN, 0), "{moved:?}\n{}", installation.logs());
        let killed = through(&mut installation, service, Event::Kill)?;
        assert_eq!((killed.reset, killed.stalled), (0, 0), "{killed:?}\n{}", installation.logs());
        let crashed = through(&mut installation, service, Event::Crash)?;
        assert_eq!(crashed.reset + crashed.stalled, OPEN, "{crashed:?}\n{}", installation.logs());
    }
    Ok(())
}

#[test]
fn connections_end_with_a_move_and_outlive_a_dead_speaker_with_nftables() {
    within(|| connections_end_with_a_move_and_outlive_a_dead_speaker(ProxyMode::NFTables));
}

#[test]
fn connections_end_with_a_move_and_outlive_a_dead_speaker_with_iptables() {
    within(|| connections_end_with_a_move_and_outlive_a_dead_speaker(ProxyMode::IPTables));
}
