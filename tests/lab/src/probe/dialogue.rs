// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A prober's two threads: one that sends, and one that hears what comes back.

use std::sync::Barrier;
use std::thread;

use anyhow::{Result, anyhow};

use super::{Ready, hurry};

/// Runs `ask` here and `listen` beside it, both in a hurry before the prober is `ready`, and answers with what both return.
///
/// # Errors
/// That of either, or the listener panicked.
pub(super) fn ask_and_listen<A, L: Send>(
    ready: Ready,
    ask: impl FnOnce() -> Result<A>,
    listen: impl FnOnce() -> Result<L> + Send,
) -> Result<(A, L)> {
    let both_hurry = Barrier::new(2);
    thread::scope(|scope| {
        let listening = scope.spawn(|| {
            hurry();
            both_hurry.wait();
            listen()
        });
        hurry();
        both_hurry.wait();
        ready.ready();
        let asked = ask();
        let heard = listening.join().map_err(|_| anyhow!("the listener panicked"))?;
        Ok((asked?, heard?))
    })
}
