// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Doing something at even intervals, and noticing when that failed.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::gettid;

use crate::shell;

/// Wakes its thread at even intervals. After a stall it goes on from now, without a burst.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Instant,
    worst: Duration,
}

impl Pace {
    /// Starts now.
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval, next: Instant::now() + interval, worst: Duration::ZERO }
    }

    /// Sleeps until the next beat and returns the time.
    pub(crate) fn beat(&mut self) -> Instant {
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let late = now.saturating_duration_since(self.next);
        self.worst = self.worst.max(late);
        self.next = if late > self.interval { now } else { self.next } + self.interval;
        now
    }

    /// By how much the latest beat was late.
    pub(crate) fn worst(&self) -> Duration {
        self.worst
    }
}

/// Asks for real-time priority for the calling thread, so that what it measures is the network and not this machine's scheduler. Without
/// the right to it (an unprivileged user namespace) it stays as it is: the stall in the report then tells whether that did harm.
pub(crate) fn hurry() {
    let thread = gettid().to_string();
    let asked = Command::new("chrt")
        .args(["--fifo", "--pid", "10", &thread])
        .env("PATH", shell::search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    drop(asked);
}
