// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb uninstall`: lets go of what would otherwise wait for a controller that is no more.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use ferrolb_controller::let_go;

use crate::origin::ClusterArguments;

/// Lets go of the VirtualIPs, and says what was done and what remains. The exit code is 1 when some are still held.
///
/// # Errors
/// The cluster cannot be used, or standard output cannot be written.
pub fn now(arguments: ClusterArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let outcome = runtime.context("starting the runtime")?.block_on(let_go(arguments.into()))?;
    let mut out = io::stdout().lock();
    let (records, cleared) = (outcome.records, outcome.cleared);
    writeln!(
        out,
        "Of {records} VirtualIPs {cleared} were let go of; the others were free already or are named here."
    )?;
    outcome.held.iter().try_for_each(|(name, why)| writeln!(out, "  {name}: {why}"))?;
    writeln!(
        out,
        "What remains: the Services show their addresses; the objects of FerroLB's kinds are there, and go with\n\
         kubectl delete -k deploy/base, which removes their definitions."
    )?;
    Ok(if outcome.held.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
