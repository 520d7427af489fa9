// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Clients with long-lived TCP connections that exchange a byte each 50 ms.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Pace, Task};
use crate::Namespace;

/// Between two bytes of one connection.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for a connection to open.
const PATIENCE: Duration = Duration::from_secs(3);
/// A connection without an answer for this long stalls.
const STALLED: Duration = Duration::from_secs(1);

/// The running prober.
#[derive(Debug)]
pub struct Connections {
    task: Task<ConnectionsReport>,
}

/// What became of the connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionsReport {
    /// Connections opened.
    pub opened: usize,
    /// Closed by the other side or by the network (`ECONNRESET`, end of stream).
    pub reset: usize,
    /// Open, but without an answer in the last second.
    pub stalled: usize,
    /// The longest time that a surviving connection waited for an answer.
    pub longest_wait: Duration,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

struct Connection {
    stream: TcpStream,
    last_answer: Instant,
    longest_wait: Duration,
    closed: bool,
}

impl Connections {
    /// Opens `count` connections to `target`, where a [`crate::backend`] echoes, and starts to use them.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn start(namespace: &Namespace, target: SocketAddr, count: usize) -> Result<Self> {
        let task = Task::start(namespace, "connections", move |running, ready| {
            let mut connections = Vec::with_capacity(count);
            for number in 1..=count {
                let stream = TcpStream::connect_timeout(&target, PATIENCE).with_context(|| {
                    format!("opening long-lived connection {number} of {count} to {target}")
                })?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let last_answer = Instant::now();
                connections.push(Connection {
                    stream,
                    last_answer,
                    longest_wait: Duration::ZERO,
                    closed: false,
                });
            }
            ready.ready();
            let begun = Instant::now();
            for connection in &mut connections {
                connection.last_answer = begun;
            }
            let mut pace = Pace::every(INTERVAL);
            while running.go_on() {
                let now = pace.beat();
                connections.iter_mut().for_each(|connection| connection.exchange(now));
            }
            Ok(judge(&connections, Instant::now(), pace.worst()))
        })?;
        Ok(Self { task })
    }

    /// Stops and reports.
    ///
    /// # Errors
    /// None so far.
    pub fn finish(self) -> Result<ConnectionsReport> {
        self.task.finish()
    }
}

impl Connection {
    fn exchange(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        let mut buffer = [0; 64];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(_) => {
                self.longest_wait = self.longest_wait.max(now.saturating_duration_since(self.last_answer));
                self.last_answer = now;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.closed = true,
        }
        match self.stream.write(b".") {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.closed = true,
        }
    }
}

fn judge(connections: &[Connection], end: Instant, stall: Duration) -> ConnectionsReport {
    let mut report = ConnectionsReport { opened: connections.len(), stall, ..ConnectionsReport::default() };
    for connection in connections {
        if connection.closed {
            report.reset += 1;
        } else if end.saturating_duration_since(connection.last_answer) > STALLED {
            report.stalled += 1;
        } else {
            report.longest_wait = report.longest_wait.max(connection.longest_wait);
        }
    }
    report
}
