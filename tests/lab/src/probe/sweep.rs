// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client that knows many addresses and sends to each of them in turn.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::dialogue::ask_and_listen;
use super::udp_echo::{Reply, judge, receive};
use super::{Pace, Ready, Running, Task, UdpEchoReport};
use crate::Namespace;

/// The running prober.
#[derive(Debug)]
pub struct Sweep {
    task: Task<SweepReport>,
}

/// What the client saw of each address.
#[derive(Clone, Debug)]
pub struct SweepReport {
    /// In the order of the targets.
    pub targets: Vec<(IpAddr, UdpEchoReport)>,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

impl Sweep {
    /// Starts to send a datagram to the `port` of each of `targets`, where backends answer, once in `every`, spread evenly.
    ///
    /// # Errors
    /// No target, or no socket.
    pub fn start(namespace: &Namespace, targets: &[Ipv4Addr], port: u16, every: Duration) -> Result<Self> {
        let targets: Vec<SocketAddr> = targets.iter().map(|target| (*target, port).into()).collect();
        let count = u32::try_from(targets.len())?;
        ensure!(count > 0, "there is no address to send to");
        let task = Task::start(namespace, "sweep", move |running, ready| {
            let socket =
                UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("opening the prober's socket")?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            run(&socket, &targets, every / count, &running, ready)
        })?;
        Ok(Self { task })
    }

    /// Stops, waits for stragglers, and reports.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(self) -> Result<SweepReport> {
        self.task.finish()
    }
}

fn run(
    socket: &UdpSocket,
    targets: &[SocketAddr],
    gap: Duration,
    running: &Running,
    ready: Ready,
) -> Result<SweepReport> {
    let ask = || {
        let (mut pace, mut sent) = (Pace::every(gap), Vec::with_capacity(1 << 14));
        for target in targets.iter().cycle() {
            if !running.go_on() {
                break;
            }
            let number = u32::try_from(sent.len()).context("this prober has run for weeks")?;
            sent.push(pace.beat());
            // Refused by the kernel (no neighbour, no route): lost, as any other.
            drop(socket.send_to(&number.to_be_bytes(), target));
        }
        Ok((sent, pace.worst()))
    };
    let ((sent, stall), replies) = ask_and_listen(ready, ask, || Ok(receive(socket, running)))?;
    Ok(SweepReport { targets: by_target(targets, &sent, &replies)?, stall })
}

/// Probe `number` went to target `number % targets`.
fn by_target(
    targets: &[SocketAddr],
    sent: &[Instant],
    replies: &[Reply],
) -> Result<Vec<(IpAddr, UdpEchoReport)>> {
    let count = u32::try_from(targets.len())?;
    let mut its_replies = vec![Vec::new(); targets.len()];
    for reply in replies {
        if let Some(its) = its_replies.get_mut(usize::try_from(reply.number % count)?) {
            its.push(Reply { number: reply.number / count, ..*reply });
        }
    }
    let reports = targets.iter().zip(its_replies).enumerate().map(|(index, (target, replies))| {
        let sent: Vec<Instant> = sent.iter().skip(index).step_by(targets.len()).copied().collect();
        (target.ip(), judge(&sent, &replies))
    });
    Ok(reports.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_and_replies_are_told_apart_by_their_number() {
        let targets: Vec<SocketAddr> =
            ["192.0.2.1:9", "192.0.2.2:9"].map(|text| text.parse().expect("an address")).into();
        let begin = Instant::now();
        let sent: Vec<Instant> = (0..7).map(|number| begin + Duration::from_millis(number)).collect();
        let replies: Vec<Reply> =
            [0, 2, 3, 4, 6].map(|number| Reply { number, node: 1, at: sent[number as usize] }).into();
        let report = by_target(&targets, &sent, &replies).expect("a report");
        let counts: Vec<(usize, usize)> = report.iter().map(|(_, one)| (one.sent, one.lost)).collect();
        assert_eq!(counts, [(4, 0), (3, 2)]);
    }
}
