// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What every test starts from.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use ferrolb_control_plane::{Cluster, Installation, ProxyMode, install};
use ferrolb_lab::backend::ask;
use ferrolb_lab::quickstart;

use crate::patience::{SLOWLY, eventually};

static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program runs: each has a cluster of its own.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ferrolb"))
}

/// Creates what these files of the quickstart hold.
pub(crate) fn create(installation: &Installation, files: &[&str]) -> Result<()> {
    let nodes = u8::try_from(installation.lab().nodes.len())?;
    for (_, text) in quickstart::manifests_for(nodes).iter().filter(|(name, _)| files.contains(name)) {
        installation.kubectl().create(text)?;
    }
    Ok(())
}

/// FerroLB on `nodes` nodes with the quickstart's pool, all programs running.
pub(crate) fn launched(nodes: u8, mode: ProxyMode) -> Result<Installation> {
    let mut installation = Installation::prepare(Cluster::build(nodes, mode)?, binary())?;
    install(installation.kubectl())?;
    create(&installation, &["pool.yaml"])?;
    installation.launch()?;
    Ok(installation)
}

/// The same, with the quickstart's Services and their endpoints too, each with an address that answers.
pub(crate) fn serving(nodes: u8, mode: ProxyMode) -> Result<Installation> {
    let installation = launched(nodes, mode)?;
    create(&installation, &["services.yaml", "endpoints.yaml"])?;
    for service in ["web", "local", "echo"] {
        eventually_served(&installation, service)?;
    }
    Ok(installation)
}

/// Waits until the client has an answer from the address of `service`; returns the pod's node and whom the pod saw.
pub(crate) fn eventually_served(installation: &Installation, service: &str) -> Result<(String, IpAddr)> {
    let served = eventually(&format!("{service} is served"), SLOWLY, || {
        let address = installation.address_of(service, true)?;
        ask(&installation.lab().client, SocketAddr::new(address, 80))
    });
    served.map_err(|error| error.context(installation.logs()))
}

/// The node that the VirtualIP of `service` names, as soon as it names another than `not`.
pub(crate) fn eventually_reported(installation: &Installation, service: &str, not: &str) -> Result<String> {
    let reported = eventually(&format!("the owner of {service} is reported"), SLOWLY, || {
        let owner = installation.reported_owner(installation.address_of(service, true)?)?;
        ensure!(owner != not, "still {owner}");
        Ok(owner)
    });
    reported.map_err(|error| error.context(installation.logs()))
}
