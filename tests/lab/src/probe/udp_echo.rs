// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client that sends one datagram each millisecond from one socket.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::dialogue::ask_and_listen;
use super::{Pace, Ready, Running, Task};
use crate::{Namespace, Place};

/// Between two probes.
const INTERVAL: Duration = Duration::from_millis(1);
/// A probe not answered within this is lost, even if an answer comes later.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// The running prober.
#[derive(Debug)]
pub struct UdpEcho {
    task: Task<UdpEchoReport>,
}

/// What it saw.
#[derive(Clone, Debug)]
pub struct UdpEchoReport {
    /// Probes sent.
    pub sent: usize,
    /// Probes without an answer within 100 ms.
    pub lost: usize,
    /// The longest run of unanswered probes, from the first of them to the next that was answered.
    pub outage: Duration,
    /// When that run began.
    pub outage_began: Option<Instant>,
    /// Probes that the kernel refused to send at all (no neighbour, no route); they count as lost.
    pub refused: usize,
    /// How many probes each node's backend answered.
    pub answered_by: BTreeMap<Place, usize>,
    /// The first answer by each backend.
    pub first_answer_by: BTreeMap<Place, Instant>,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) number: u32,
    pub(super) node: u8,
    pub(super) at: Instant,
}

impl UdpEcho {
    /// Starts to send to `target`, where a [`crate::backend`] answers.
    ///
    /// # Errors
    /// No socket, or no route to `target`.
    pub fn start(namespace: &Namespace, target: SocketAddr) -> Result<Self> {
        let task = Task::start(namespace, "udp-echo", move |running, ready| {
            let any: SocketAddr = if target.is_ipv4() {
                (Ipv4Addr::UNSPECIFIED, 0).into()
            } else {
                (Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let socket = UdpSocket::bind(any).context("opening the prober's socket")?;
            socket.connect(target).with_context(|| format!("connecting to {target}"))?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            run(&socket, &running, ready)
        })?;
        Ok(Self { task })
    }

    /// Stops, waits for stragglers, and reports.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(self) -> Result<UdpEchoReport> {
        self.task.finish()
    }
}

fn run(socket: &UdpSocket, running: &Running, ready: Ready) -> Result<UdpEchoReport> {
    let ask = || {
        let mut pace = Pace::every(INTERVAL);
        let (mut sent, mut refused) = (Vec::with_capacity(1 << 14), 0);
        while running.go_on() {
            let at = pace.beat();
            let number = u32::try_from(sent.len()).context("this prober has run for weeks")?;
            sent.push(at);
            // EHOSTUNREACH while the neighbour is unknown, ECONNREFUSED from an ICMP error: lost, as any other.
            if socket.send(&number.to_be_bytes()).is_err() {
                refused += 1;
            }
        }
        Ok((sent, refused, pace.worst()))
    };
    let ((sent, refused, stall), replies) = ask_and_listen(ready, ask, || Ok(receive(socket, running)))?;
    Ok(UdpEchoReport { stall, refused, ..judge(&sent, &replies) })
}

/// Receives until the prober has been told to finish and stragglers have had their time.
pub(super) fn receive(socket: &UdpSocket, running: &Running) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(1 << 14);
    let mut buffer = [0; 16];
    let mut until = None;
    loop {
        if let Ok(5) = socket.recv(&mut buffer) {
            let [a, b, c, d, node, ..] = buffer;
            replies.push(Reply { number: u32::from_be_bytes([a, b, c, d]), node, at: Instant::now() });
        }
        if !running.go_on() && *until.get_or_insert(Instant::now() + PATIENCE) < Instant::now() {
            return replies;
        }
    }
}

pub(super) fn judge(sent: &[Instant], replies: &[Reply]) -> UdpEchoReport {
    let mut answered = vec![false; sent.len()];
    let mut report = UdpEchoReport {
        sent: sent.len(),
        lost: 0,
        outage: Duration::ZERO,
        outage_began: None,
        refused: 0,
        answered_by: BTreeMap::new(),
        first_answer_by: BTreeMap::new(),
        stall: Duration::ZERO,
    };
    for reply in replies {
        let Ok(number) = usize::try_from(reply.number) else { continue };
        let (Some(at), Some(answered)) = (sent.get(number), answered.get_mut(number)) else { continue };
        if reply.at.saturating_duration_since(*at) <= PATIENCE && !*answered {
            *answered = true;
            *report.answered_by.entry(Place::Node(reply.node)).or_default() += 1;
            report.first_answer_by.entry(Place::Node(reply.node)).or_insert(reply.at);
        }
    }
    let mut began: Option<Instant> = None;
    for (at, answered) in sent.iter().zip(answered) {
        if !answered {
            report.lost += 1;
            began.get_or_insert(*at);
        }
        // A run that is still dark at the end counts up to the last probe.
        if let Some(begin) = began {
            let dark = at.saturating_duration_since(begin).max(INTERVAL);
            if dark > report.outage {
                (report.outage, report.outage_began) = (dark, Some(begin));
            }
        }
        if answered {
            began = None;
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(count: u32) -> Vec<Instant> {
        let begin = Instant::now();
        (0..count).map(|number| begin + INTERVAL * number).collect()
    }

    #[test]
    fn the_longest_dark_run_lasts_until_the_next_answered_probe() {
        let sent = beats(100);
        let replies: Vec<Reply> = (0..100)
            .filter(|number| !(10..30).contains(number) && *number != 50)
            .map(|number| Reply {
                number,
                node: if number < 30 { 1 } else { 2 },
                at: sent[number as usize] + Duration::from_micros(300),
            })
            .collect();
        let report = judge(&sent, &replies);
        assert_eq!((report.sent, report.lost), (100, 21));
        assert_eq!(report.outage, Duration::from_millis(20));
        assert_eq!(report.outage_began, Some(sent[10]));
        assert_eq!(report.answered_by, BTreeMap::from([(Place::Node(1), 10), (Place::Node(2), 69)]));
    }

    #[test]
    fn an_answer_that_comes_too_late_counts_as_none() {
        let sent = beats(3);
        let replies = [Reply { number: 1, node: 1, at: sent[1] + PATIENCE * 2 }];
        assert_eq!(judge(&sent, &replies).lost, 3);
    }

    #[test]
    fn answers_given_twice_or_never_asked_for_change_nothing() {
        let sent = beats(1);
        let reply = Reply { number: 0, node: 1, at: sent[0] };
        let report = judge(&sent, &[reply, reply, Reply { number: 7, ..reply }]);
        assert_eq!((report.lost, report.answered_by[&Place::Node(1)]), (0, 1));
        assert_eq!(report.outage, Duration::ZERO);
    }
}
