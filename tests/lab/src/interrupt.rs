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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use nix::sys::signal::SigmaskHow;

    use super::*;
    use crate::{Lab, rights};

    #[test]
    fn processes_of_the_lab_can_be_terminated_although_its_own_threads_block_signals() {
        rights::within(|| {
            let before = SigSet::from(Signal::SIGTERM).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
            let lab = Lab::build(1)?;
            let mut sleep = Command::new("sleep");
            sleep.arg("600");
            let mut sleeper = lab.start("sleeper", None, sleep)?;
            let status = fs::read_to_string(format!("/proc/{}/status", sleeper.pid()))?;
            assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
            sleeper.terminate(std::time::Duration::from_secs(5))?;
            before.thread_set_mask()?;
            Ok(())
        });
    }
}
