// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many addresses asked for in turn, each at an even pace: what newcomers are told about a sample of thousands.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::dialogue::ask_and_listen;
use super::{Answer, NewClientsReport, Pace, Running, Task};
use crate::frame::{self, Content};
use crate::packet_socket::{ARP, PacketSocket};
use crate::{Namespace, Place};

/// Questions are sent in bursts at most so often, so that a slow machine keeps the pace.
const TICK: Duration = Duration::from_millis(1);

/// The running prober.
#[derive(Debug)]
pub struct Survey {
    task: Task<SurveyReport>,
}

/// What newcomers were told about each address.
#[derive(Clone, Debug)]
pub struct SurveyReport {
    span: (Instant, Instant),
    answers: BTreeMap<Ipv4Addr, Vec<Answer>>,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

impl Survey {
    /// Starts to ask by ARP for each of `targets` once in `every`, spread evenly, from the newcomer's namespace.
    ///
    /// # Errors
    /// No target, or no right to open a packet socket.
    pub fn start(namespace: &Namespace, targets: &[Ipv4Addr], every: Duration) -> Result<Self> {
        ensure!(!targets.is_empty(), "there is no address to ask for");
        let place = Place::Newcomer;
        let targets = targets.to_vec();
        let task = Task::start(namespace, "survey", move |running, ready| {
            let socket = PacketSocket::open(ARP, Duration::from_millis(20))?;
            let listener = socket.try_clone()?;
            let question = |target: &Ipv4Addr| frame::arp_question(place.mac(), place.ipv4(), *target);
            let ((span, stall), answers) = ask_and_listen(
                ready,
                || Ok(ask(&socket, &targets.iter().map(question).collect::<Vec<_>>(), every, &running)),
                || listen(&listener, &targets, &running),
            )?;
            Ok(SurveyReport { span, answers, stall })
        })?;
        Ok(Self { task })
    }

    /// Stops and reports.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(self) -> Result<SurveyReport> {
        self.task.finish()
    }
}

fn ask(
    socket: &PacketSocket,
    questions: &[Vec<u8>],
    every: Duration,
    running: &Running,
) -> ((Instant, Instant), Duration) {
    let begin = Instant::now();
    let (mut pace, mut end, mut asked) = (Pace::every(TICK), begin, 0_u32);
    let gap = every / u32::try_from(questions.len()).unwrap_or(u32::MAX).max(1);
    for question in questions.iter().cycle() {
        while running.go_on() && end.saturating_duration_since(begin) < gap * asked {
            end = pace.beat();
        }
        if !running.go_on() {
            break;
        }
        asked = asked.saturating_add(1);
        // As in `NewClients`: while the own port is down nobody answers, which is what the report shows.
        drop(socket.send(question));
    }
    ((begin, end), pace.worst())
}

fn listen(
    socket: &PacketSocket,
    targets: &[Ipv4Addr],
    running: &Running,
) -> Result<BTreeMap<Ipv4Addr, Vec<Answer>>> {
    let mut answers: BTreeMap<Ipv4Addr, Vec<Answer>> =
        targets.iter().map(|target| (*target, Vec::new())).collect();
    while running.go_on() {
        let Some(frame) = socket.receive()?.as_deref().and_then(frame::read) else { continue };
        let Content::Arp(arp) = frame.content else { continue };
        if arp.operation != 2 || frame.destination != Place::Newcomer.mac() {
            continue;
        }
        if let Some(answers) = answers.get_mut(&arp.sender) {
            answers.push(Answer { at: Instant::now(), mac: arp.sender_mac });
        }
    }
    Ok(answers)
}

impl SurveyReport {
    /// What was told about each address.
    pub fn by_address(self) -> impl Iterator<Item = (IpAddr, NewClientsReport)> {
        let (span, stall) = (self.span, self.stall);
        self.answers
            .into_iter()
            .map(move |(address, answers)| (address.into(), NewClientsReport { span, answers, stall }))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Lab, rights};

    #[test]
    fn each_address_is_asked_for_at_its_pace_and_answers_are_kept_apart() {
        rights::within(|| {
            let lab = Lab::build(2)?;
            let absent = Ipv4Addr::new(198, 51, 100, 99);
            let targets = [Place::Node(1).ipv4(), Place::Node(2).ipv4(), absent];
            let survey = Survey::start(&lab.newcomer, &targets, Duration::from_millis(50))?;
            thread::sleep(Duration::from_secs(1));
            let told: Vec<(IpAddr, NewClientsReport)> = survey.finish()?.by_address().collect();
            assert_eq!(told.len(), 3);
            for (address, report) in told {
                let macs: Vec<_> = report.presences().into_keys().collect();
                let place =
                    [1, 2].map(Place::Node).into_iter().find(|place| IpAddr::from(place.ipv4()) == address);
                assert_eq!(macs, place.map(Place::mac).into_iter().collect::<Vec<_>>(), "{address}");
                let count = report.answers.len();
                assert!(place.is_none() || (5..=21).contains(&count), "{address}: {count} answers");
            }
            Ok(())
        });
    }
}
