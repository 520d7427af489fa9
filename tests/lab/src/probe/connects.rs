// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client that opens a new TCP connection each 20 ms.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use super::{Pace, Task};
use crate::Namespace;

/// Between two attempts.
const INTERVAL: Duration = Duration::from_millis(20);
/// An attempt not accepted within this has failed. Below the kernel's first retransmission of a SYN (1 s), which would hide the loss.
const PATIENCE: Duration = Duration::from_millis(500);

/// The running prober.
#[derive(Debug)]
pub struct Connects {
    task: Task<ConnectsReport>,
}

/// What it saw.
#[derive(Clone, Debug, Default)]
pub struct ConnectsReport {
    /// Connections attempted.
    pub attempts: usize,
    /// Attempts refused, reset or not accepted within 500 ms.
    pub failed: usize,
    /// From the start of the first to the start of the last attempt of the longest run of failures, and one interval.
    pub outage: Duration,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

struct Attempt {
    socket: Socket,
    begun: Instant,
    slot: usize,
}

impl Connects {
    /// Starts to connect to `target`.
    ///
    /// # Errors
    /// No socket.
    pub fn start(namespace: &Namespace, target: SocketAddr) -> Result<Self> {
        let task = Task::start(namespace, "connects", move |running, ready| {
            ready.ready();
            let mut outcomes: Vec<(Instant, Option<bool>)> = Vec::new();
            let mut open: Vec<Attempt> = Vec::new();
            // Four looks per attempt: an accepted connection is noticed within 5 ms.
            let mut pace = Pace::every(INTERVAL / 4);
            let mut looks = 0_u32;
            while running.go_on() || !open.is_empty() {
                let now = pace.beat();
                if running.go_on() && looks.is_multiple_of(4) {
                    open.push(Attempt { socket: begin(target)?, begun: now, slot: outcomes.len() });
                    outcomes.push((now, None));
                }
                looks = looks.wrapping_add(1);
                open.retain(|attempt| {
                    let verdict = attempt.verdict(now);
                    if let (Some(verdict), Some(outcome)) = (verdict, outcomes.get_mut(attempt.slot)) {
                        outcome.1 = Some(verdict);
                    }
                    verdict.is_none()
                });
            }
            Ok(judge(&outcomes, pace.worst()))
        })?;
        Ok(Self { task })
    }

    /// Stops, waits for what is under way, and reports.
    ///
    /// # Errors
    /// No socket could be opened.
    pub fn finish(self) -> Result<ConnectsReport> {
        self.task.finish()
    }
}

fn begin(target: SocketAddr) -> Result<Socket> {
    let socket =
        Socket::new(Domain::for_address(target), Type::STREAM, None).context("opening a TCP socket")?;
    socket.set_nonblocking(true)?;
    // Closing resets: thousands of probes must not fill the client's ports with TIME-WAIT.
    socket.set_linger(Some(Duration::ZERO))?;
    // EINPROGRESS, or an error at once: the verdict below reads either from the socket.
    drop(socket.connect(&target.into()));
    Ok(socket)
}

impl Attempt {
    /// `None` while it is under way.
    fn verdict(&self, now: Instant) -> Option<bool> {
        if self.socket.peer_addr().is_ok() {
            return Some(true);
        }
        let failed = !matches!(self.socket.take_error(), Ok(None));
        (failed || now.saturating_duration_since(self.begun) > PATIENCE).then_some(false)
    }
}

fn judge(outcomes: &[(Instant, Option<bool>)], stall: Duration) -> ConnectsReport {
    let mut report = ConnectsReport { attempts: outcomes.len(), stall, ..ConnectsReport::default() };
    let mut began: Option<Instant> = None;
    for (at, outcome) in outcomes {
        if *outcome == Some(true) {
            began = None;
            continue;
        }
        report.failed += 1;
        let begin = *began.get_or_insert(*at);
        report.outage = report.outage.max(at.saturating_duration_since(begin) + INTERVAL);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_of_failures_is_the_outage() {
        let begin = Instant::now();
        let outcomes: Vec<_> = (0..20_u32)
            .map(|number| (begin + INTERVAL * number, Some(!(5..10).contains(&number) && number != 15)))
            .collect();
        let report = judge(&outcomes, Duration::ZERO);
        assert_eq!((report.attempts, report.failed), (20, 6));
        assert_eq!(report.outage, INTERVAL * 5);
    }
}
