// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors
//! Leaving in order when the user presses Ctrl-C: destructors do not run when a signal ends a process.

use std::process;
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::leftovers;

/// From now on SIGINT and SIGTERM remove every lab that this process has built and then end it. Call it before any other thread is
/// started: a thread with the signals unblocked would take them.
///
/// # Errors
/// The signals cannot be blocked or the waiting thread not started.
pub fn remove_labs_when_told_to_stop() -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block().context("blocking SIGINT and SIGTERM")?;
    let waiting = move || {
        let code = signals.wait().map_or(1, |signal| 128 + signal as i32);
        let own = process::id();
        if let Err(error) = leftovers::remove(|lab| lab.made_by(own)) {
            eprintln!("lab: {error:#}");
        }
        process::exit(code);
    };
    thread::Builder::new().name("interrupt".to_owned()).spawn(waiting).context("waiting for signals")?;
    Ok(())
}
