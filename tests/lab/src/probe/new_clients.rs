// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Stations that do not know the virtual IP's hardware address yet: a broadcast question each 10 ms, and who answers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::dialogue::ask_and_listen;
use super::{Pace, Task};
use crate::frame::{self, Content};
use crate::packet_socket::{ARP, IPV6, PacketSocket};
use crate::{Mac, Namespace, Place};

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(10);
/// A station that has not answered for this long has stopped answering.
const SILENT: Duration = Duration::from_millis(100);

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When it came.
    pub at: Instant,
    /// The hardware address that it named.
    pub mac: Mac,
}

/// The running prober, for one virtual IP.
#[derive(Debug)]
pub struct NewClients {
    task: Task<NewClientsReport>,
}

/// What newcomers were told.
#[derive(Clone, Debug)]
pub struct NewClientsReport {
    /// When the first and the last question were asked.
    pub span: (Instant, Instant),
    /// The answers in order.
    pub answers: Vec<Answer>,
    /// The prober's own worst lateness.
    pub stall: Duration,
}

impl NewClients {
    /// Starts to ask for `target`, by ARP or neighbour solicitation, from the newcomer's namespace.
    ///
    /// # Errors
    /// No right to open a packet socket.
    pub fn start(namespace: &Namespace, target: IpAddr) -> Result<Self> {
        Self::start_at(namespace, Place::Newcomer, target)
    }

    /// Starts to ask from the station at `place`, whose namespace is `namespace`.
    ///
    /// # Errors
    /// No right to open a packet socket.
    pub fn start_at(namespace: &Namespace, place: Place, target: IpAddr) -> Result<Self> {
        let (ether_type, question) = match target {
            IpAddr::V4(target) => (ARP, frame::arp_question(place.mac(), place.ipv4(), target)),
            IpAddr::V6(target) => (IPV6, frame::solicitation(place.mac(), place.ipv6(), target)),
        };
        let task = Task::start(namespace, "new-clients", move |running, ready| {
            let socket = PacketSocket::open(ether_type, Duration::from_millis(20))?;
            let listener = socket.try_clone()?;
            let ask = || {
                let begin = Instant::now();
                let (mut pace, mut end) = (Pace::every(INTERVAL), begin);
                while running.go_on() {
                    // ENETDOWN while the own port is down: then nobody answers either, which is what the report shows.
                    drop(socket.send(&question));
                    end = pace.beat();
                }
                Ok(((begin, end), pace.worst()))
            };
            let ((span, stall), answers) =
                ask_and_listen(ready, ask, || listen(&listener, place, target, &running))?;
            Ok(NewClientsReport { span, answers, stall })
        })?;
        Ok(Self { task })
    }

    /// Stops and reports.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(self) -> Result<NewClientsReport> {
        self.task.finish()
    }
}

fn listen(
    socket: &PacketSocket,
    place: Place,
    target: IpAddr,
    running: &super::Running,
) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    while running.go_on() {
        let Some(frame) = socket.receive()?.as_deref().and_then(frame::read) else { continue };
        if frame.destination != place.mac() {
            continue;
        }
        let mac = match frame.content {
            Content::Arp(arp) if arp.operation == 2 && IpAddr::V4(arp.sender) == target => arp.sender_mac,
            Content::Advertisement(found) if IpAddr::V6(found.target) == target => found.mac,
            _ => continue,
        };
        answers.push(Answer { at: Instant::now(), mac });
    }
    Ok(answers)
}

impl NewClientsReport {
    /// The longest time without an answer from anybody; a question's own interval at least.
    pub fn longest_dark(&self) -> Duration {
        let (begin, end) = self.span;
        let times = [begin].into_iter().chain(self.answers.iter().map(|answer| answer.at)).chain([end]);
        let later = times.clone().skip(1);
        times.zip(later).map(|(one, next)| next.saturating_duration_since(one)).max().unwrap_or_default()
    }

    /// The longest span in which two stations answered side by side.
    pub fn two_answered(&self) -> Duration {
        let presences: Vec<_> = self.presences().into_iter().collect();
        let mut longest = Duration::ZERO;
        for (index, (_, ones)) in presences.iter().enumerate() {
            for (_, others) in presences.iter().skip(index + 1) {
                for (one, other) in ones.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
                    let both = one.1.min(other.1).saturating_duration_since(one.0.max(other.0));
                    longest = longest.max(both);
                }
            }
        }
        longest
    }

    /// When a station other than `old` first answered after `event`.
    pub fn moved_after(&self, event: Instant, old: Mac) -> Option<Duration> {
        let first = self.answers.iter().find(|answer| answer.at >= event && answer.mac != old)?;
        Some(first.at.saturating_duration_since(event))
    }

    /// Who answered last.
    pub fn last_answerer(&self) -> Option<Mac> {
        self.answers.last().map(|answer| answer.mac)
    }

    /// The stations that answered, with the spans in which they did.
    pub fn presences(&self) -> BTreeMap<Mac, Vec<(Instant, Instant)>> {
        let mut presences: BTreeMap<Mac, Vec<(Instant, Instant)>> = BTreeMap::new();
        for Answer { at, mac } in &self.answers {
            let spans = presences.entry(*mac).or_default();
            match spans.last_mut() {
                Some(last) if at.saturating_duration_since(last.1) <= SILENT => last.1 = *at,
                _ => spans.push((*at, *at)),
            }
        }
        presences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Mac = Mac([1; 6]);
    const TWO: Mac = Mac([2; 6]);

    fn report(answers: &[(u64, Mac)]) -> NewClientsReport {
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        let end = answers.last().map_or(0, |(ms, _)| *ms);
        NewClientsReport {
            span: (begin, after(end)),
            answers: answers.iter().map(|(ms, mac)| Answer { at: after(*ms), mac: *mac }).collect(),
            stall: Duration::ZERO,
        }
    }

    #[test]
    fn a_clean_move_has_a_dark_time_and_nobody_answers_beside_another() {
        let report = report(&[(0, ONE), (10, ONE), (20, ONE), (320, TWO), (330, TWO)]);
        assert_eq!(report.longest_dark(), Duration::from_millis(300));
        assert_eq!(report.two_answered(), Duration::ZERO);
        assert_eq!(report.last_answerer(), Some(TWO));
        let event = report.span.0 + Duration::from_millis(15);
        assert_eq!(report.moved_after(event, ONE), Some(Duration::from_millis(305)));
    }

    #[test]
    fn two_that_answer_at_once_are_counted_from_the_second_to_the_end_of_the_first() {
        let report = report(&[
            (0, ONE),
            (50, ONE),
            (51, TWO),
            (100, ONE),
            (101, TWO),
            (180, TWO),
            (181, ONE),
            (190, TWO),
        ]);
        assert_eq!(report.two_answered(), Duration::from_millis(130));
    }

    #[test]
    fn going_and_coming_back_is_no_second_answerer() {
        let report = report(&[(0, ONE), (300, TWO), (310, TWO), (600, ONE)]);
        assert_eq!(report.two_answered(), Duration::ZERO);
    }
}
