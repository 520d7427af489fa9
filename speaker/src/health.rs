// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Health checks of FloatingIPs: whether what an address leads to is well on this very node.
//!
//! [`HealthCheck`] says what is asked and how often, [`Course`](course::Course) is the pure machine that turns answers into
//! a [`Verdict`] by `rise` and `fall`, and the driver runs a task for each check. A check is known by what it asks: two
//! FloatingIPs that ask the same question share it. An address whose check does not pass is not carried here.

mod course;
mod driver;
mod exec;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_config::snapshot::{HealthCheck, Probe};

pub use course::Verdict;
pub(crate) use driver::start;

/// The checks that run on this node.
pub type Checks = BTreeSet<Arc<HealthCheck>>;

/// What the checks have come to.
pub type Health = BTreeMap<Arc<HealthCheck>, Verdict>;

/// Why `checks` keep an address away from this node; `None`: all of them pass.
pub(crate) fn obstacle(health: &Health, checks: &[Arc<HealthCheck>]) -> Option<String> {
    checks.iter().find_map(|check| match health.get(check) {
        Some(Verdict::Passing) => None,
        Some(Verdict::Failing { since, error }) => {
            Some(format!("{} fails since {since}: {error}", name(&check.probe)))
        }
        Some(Verdict::Unknown) | None => Some(format!("{} was not asked yet", name(&check.probe))),
    })
}

/// What people know a check by.
fn name(probe: &Probe) -> String {
    match probe {
        Probe::Http { port, path, .. } => format!("HTTP GET of port {port}, {path}"),
        Probe::Tcp { port } => format!("TCP port {port}"),
        // Arguments may hold what is not for every eye.
        Probe::Exec { command } => format!("command {}", command.first().map_or("", String::as_str)),
    }
}
