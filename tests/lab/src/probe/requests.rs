// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client that makes a hundred requests a second, each over a TCP connection of its own, to where a [`crate::backend`] answers.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use super::{Pace, Task, hurry};
use crate::Namespace;

/// Between two requests.
const INTERVAL: Duration = Duration::from_millis(10);
/// Looks at what is under way, for each request.
const LOOKS: u32 = 4;
/// A request that is not answered within this is lost. Below the kernel's first retransmission of a SYN (1 s), which would hide it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The running prober.
#[derive(Debug)]
pub struct Requests {
    task: Task<RequestsReport>,
}

/// What it saw.
#[derive(Clone, Debug, Default)]
pub struct RequestsReport {
    /// Requests made.
    pub made: usize,
    /// When those were made that were refused, reset or not answered within 500 ms.
    pub lost: Vec<Instant>,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

/// A request under way.
struct Request {
    begun: Instant,
    stage: Stage,
}

enum Stage {
    Connecting(Socket),
    Asked(TcpStream),
    Over,
}

impl Requests {
    /// Starts to ask `target`.
    ///
    /// # Errors
    /// No socket.
    pub fn start(namespace: &Namespace, target: SocketAddr) -> Result<Self> {
        let task = Task::start(namespace, "requests", move |running, ready| {
            hurry();
            ready.ready();
            let mut report = RequestsReport::default();
            let mut open: Vec<Request> = Vec::new();
            let mut pace = Pace::every(INTERVAL / LOOKS);
            let mut looks = 0_u32;
            while running.go_on() || !open.is_empty() {
                let now = pace.beat();
                if running.go_on() && looks.is_multiple_of(LOOKS) {
                    open.push(Request::begin(target, now)?);
                    report.made += 1;
                }
                looks = looks.wrapping_add(1);
                open.retain_mut(|request| match request.verdict(now) {
                    None => true,
                    Some(true) => {
                        report.slowest = report.slowest.max(now.saturating_duration_since(request.begun));
                        false
                    }
                    Some(false) => {
                        report.lost.push(request.begun);
                        false
                    }
                });
            }
            report.stall = pace.worst();
            Ok(report)
        })?;
        Ok(Self { task })
    }

    /// Stops, waits for what is under way, and reports.
    ///
    /// # Errors
    /// No socket could be opened.
    pub fn finish(self) -> Result<RequestsReport> {
        self.task.finish()
    }
}

impl Request {
    fn begin(target: SocketAddr, begun: Instant) -> Result<Self> {
        let socket =
            Socket::new(Domain::for_address(target), Type::STREAM, None).context("opening a TCP socket")?;
        socket.set_nonblocking(true)?;
        // Closing resets: thousands of requests must not fill the client's ports with TIME-WAIT.
        socket.set_linger(Some(Duration::ZERO))?;
        // EINPROGRESS, or an error at once: the verdict reads either from the socket.
        drop(socket.connect(&target.into()));
        Ok(Self { begun, stage: Stage::Connecting(socket) })
    }

    /// `None` while it is under way; whether it was answered.
    fn verdict(&mut self, now: Instant) -> Option<bool> {
        if now.saturating_duration_since(self.begun) > PATIENCE {
            return Some(false);
        }
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Connecting(socket) if socket.peer_addr().is_ok() => {
                let mut stream = TcpStream::from(socket);
                if stream.write_all(b"GET / HTTP/1.1\r\n\r\n").is_err() {
                    return Some(false);
                }
                self.stage = Stage::Asked(stream);
                None
            }
            Stage::Connecting(socket) => {
                let failed = !matches!(socket.take_error(), Ok(None));
                self.stage = Stage::Connecting(socket);
                failed.then_some(false)
            }
            Stage::Asked(mut stream) => match stream.read(&mut [0; 16]) {
                Ok(length) => Some(length > 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stage = Stage::Asked(stream);
                    None
                }
                Err(_) => Some(false),
            },
            Stage::Over => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::addresses::{POD_TCP, pod_v4};
    use crate::{Lab, backend, rights};

    #[test]
    fn requests_that_nobody_answers_are_lost_and_no_others() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let node = lab.node("n1")?;
            lab.client.ip(&format!("route add 10.244.1.0/24 via {}\n", node.place().ipv4()))?;
            let server = backend::tcp_echo(&node.pod, node, POD_TCP)?;
            let requests = Requests::start(&lab.client, SocketAddr::from((pod_v4(1), POD_TCP)))?;
            thread::sleep(Duration::from_millis(500));
            let end = Instant::now();
            drop(server);
            thread::sleep(Duration::from_millis(300));
            let report = requests.finish()?;
            assert!(report.made > 20 && !report.lost.is_empty(), "{report:?}");
            // A request that was under way when the server ended may be lost as well.
            assert!(report.lost.iter().all(|at| *at + PATIENCE > end), "{report:?}");
            assert!(report.made > report.lost.len() + 20, "most were answered: {report:?}");
            Ok(())
        });
    }
}
