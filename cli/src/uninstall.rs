// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb uninstall`: lets go of what would otherwise wait for a controller that is no more.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use ferrolb_controller::{LetGo, let_go};

use crate::origin::ClusterArguments;

/// Lets go of the VirtualIPs, and says what was done and what remains. The exit code is 1 when some are still held.
///
/// # Errors
/// The cluster cannot be used, or standard output cannot be written.
pub fn now(arguments: ClusterArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let outcome = runtime.context("starting the runtime")?.block_on(let_go(arguments.into()))?;
    io::stdout().lock().write_all(told(&outcome).as_bytes())?;
    Ok(if outcome.held.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was done and what remains.
fn told(LetGo { records, cleared, held }: &LetGo) -> String {
    let done = format!("{cleared} of {records} VirtualIPs let go of.\n");
    if !held.is_empty() {
        let held = held.iter().map(|(name, why)| format!("  {name}: {why}\n"));
        return done + "Still held, so do not delete anything yet:\n" + &held.collect::<String>();
    }
    done + "No VirtualIP is held any more. Services keep the addresses that they show.\n\
            What remains goes with: kubectl delete -k deploy/base (or the overlay that is installed)\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_still_held_is_named_and_nothing_is_to_be_deleted_then() {
        let held = BTreeMap::from([("192.0.2.1".to_owned(), "a controller still holds it".to_owned())]);
        assert_eq!(
            told(&LetGo { records: 2, cleared: 1, held }),
            "1 of 2 VirtualIPs let go of.\nStill held, so do not delete anything yet:\n  \
             192.0.2.1: a controller still holds it\n"
        );
        assert!(told(&LetGo { records: 2, cleared: 2, held: BTreeMap::new() }).contains("kubectl delete -k"));
    }
}
