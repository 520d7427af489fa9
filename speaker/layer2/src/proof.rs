// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two-way proof: a node claims only while something shows that others hear it. Whoever cannot send, or cannot hear, would
//! otherwise take everything and draw clients to where nobody answers.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::timing::{ASKS, Timing};

/// Stations of the segment that are remembered.
const NEIGHBOURS: usize = 16;
/// How many of them are probed at a time, beside the gateways.
const PROBED_AT_ONCE: usize = 4;
/// An answer that takes longer is no answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Between two probes of stations heard for the first time.
const NEWCOMER_GAP: Duration = Duration::from_millis(5);
/// Pace of probes that no claim waits for.
const LEISURELY: Duration = Duration::from_secs(1);

/// What is known of others hearing us.
#[derive(Debug)]
pub(crate) struct Proof {
    timing: Timing,
    /// When others surely heard us for the last time: when we sent the hello that was echoed, or the probe that was answered.
    newest: Option<Instant>,
    /// It proves that we are heard until then: asked several times with every packet.
    until: Option<Instant>,
    /// Stations heard in ARP and neighbour discovery, the latest last.
    neighbours: VecDeque<IpAddr>,
    /// Where to go on among them.
    turn: usize,
    /// Probes without an answer so far, each with the time of the first that its answer may belong to.
    asked: BTreeMap<IpAddr, Instant>,
    /// Rounds of probes since they were last begun.
    rounds: u8,
    newcomer_probed: Option<Instant>,
}

/// How much depends on the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// There is nothing that could be done with it.
    None,
    /// Announcements wait for it.
    Leisurely,
    /// A claim waits for it, or may in a moment.
    Urgent,
}

impl Proof {
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            newest: None,
            until: None,
            neighbours: VecDeque::new(),
            turn: 0,
            asked: BTreeMap::new(),
            rounds: 0,
            newcomer_probed: None,
        }
    }

    /// Goes on with these times.
    pub(crate) fn follow(&mut self, timing: Timing) {
        self.timing = timing;
        self.until = self.newest.map(|at| at + timing.dead);
    }

    /// Whether a sign came within our dead interval.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now <= until)
    }

    fn sign(&mut self, at: Instant) {
        if self.newest.is_none_or(|newest| newest < at) {
            self.newest = Some(at);
            self.until = Some(at + self.timing.dead);
        }
    }

    /// When others surely heard us for the last time.
    pub(crate) fn newest(&self) -> Option<Instant> {
        self.newest
    }

    /// A peer echoed a hello of ours that we sent at `at`: then we were heard.
    pub(crate) fn echoed(&mut self, at: Instant) {
        self.sign(at);
    }

    /// A station says that it has `address`, to us; whether that answers a probe of ours.
    pub(crate) fn answered(&mut self, address: IpAddr, at: Instant) -> bool {
        // While we stood still it may have lain in our buffer, and we asked anew before we read it: that is not answered yet.
        let asked = self.asked.get(&address).copied().filter(|asked| *asked <= at);
        let Some(asked) = asked else { return false };
        self.asked.remove(&address);
        let in_time = at.saturating_duration_since(asked) <= ANSWER_WITHIN;
        if in_time {
            self.sign(asked);
        }
        in_time
    }

    /// We probe the address now.
    pub(crate) fn asking(&mut self, address: IpAddr, now: Instant) {
        self.asked.retain(|_, at| now.saturating_duration_since(*at) <= ANSWER_WITHIN);
        // Which of several probes is answered nobody can tell: surely not one before the first. But some stations answer seldom,
        // at once when they do: counted from a probe that they left out, the answer would prove nothing any more.
        let first = self.asked.entry(address).or_insert(now);
        if now.saturating_duration_since(*first) > self.timing.dead {
            *first = now;
        }
    }

    /// Remembers a station of the segment; whether it should be probed at once, because it is new and a claim waits.
    pub(crate) fn neighbour(&mut self, address: IpAddr, waiting: bool, now: Instant) -> bool {
        let known = self.neighbours.iter().rposition(|known| *known == address);
        if let Some(position) = known {
            self.neighbours.remove(position);
        } else if self.neighbours.len() >= NEIGHBOURS {
            self.neighbours.pop_front();
        }
        self.neighbours.push_back(address);
        let paced = self.newcomer_probed.is_some_and(|at| now.saturating_duration_since(at) < NEWCOMER_GAP);
        let probe = waiting && known.is_none() && !paced;
        if probe {
            self.newcomer_probed = Some(now);
        }
        probe
    }

    /// The next round of probes: the gateways, and some of the stations, the latest first.
    pub(crate) fn next_round(&mut self, gateways: &[IpAddr]) -> Vec<IpAddr> {
        self.rounds = self.rounds.saturating_add(1);
        let many = self.neighbours.len().max(1);
        let some = self.neighbours.iter().rev().cycle().skip(self.turn % many);
        let some = some.take(PROBED_AT_ONCE.min(self.neighbours.len()));
        let targets = gateways.iter().chain(some).copied().collect();
        self.turn = (self.turn + PROBED_AT_ONCE) % many;
        targets
    }

    /// How long until the next round.
    pub(crate) fn pace(&self, need: Need) -> Duration {
        match need {
            _ if self.rounds < ASKS => self.timing.ask_gap,
            Need::Urgent => self.timing.hello,
            Need::Leisurely | Need::None => LEISURELY,
        }
    }

    /// No more rounds for now; the next begin fast again, with the latest station.
    pub(crate) fn rest(&mut self) {
        self.rounds = 0;
        self.turn = 0;
    }

    /// The link went down: what was known of the segment may be of another one.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.timing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn an_echo_or_an_answer_proves_for_one_dead_interval() {
        let now = Instant::now();
        let mut proof = Proof::new(Timing::DEFAULT);
        assert!(!proof.holds(now));
        proof.echoed(now);
        assert!(proof.holds(now + Timing::DEFAULT.dead));
        assert!(!proof.holds(now + Timing::DEFAULT.dead + Duration::from_millis(1)));
        let later = now + Duration::from_secs(5);
        proof.asking(station(1), later);
        assert!(proof.answered(station(1), later));
        assert!(proof.holds(later));
    }

    #[test]
    fn an_answer_proves_that_the_first_question_was_heard_that_it_may_belong_to() {
        let now = Instant::now();
        let mut proof = Proof::new(Timing::DEFAULT);
        let asked = [0, 25, 75].map(|ms| now + Duration::from_millis(ms));
        asked.into_iter().for_each(|at| proof.asking(station(1), at));
        assert!(proof.answered(station(1), now + Duration::from_millis(90)));
        assert_eq!(proof.newest(), Some(now));
        proof.asking(station(1), asked[2]);
        assert!(proof.answered(station(1), now + Duration::from_millis(91)));
        assert_eq!(proof.newest(), Some(asked[2]));
    }

    #[test]
    fn a_station_that_leaves_out_questions_proves_something_when_it_answers_one_at_once() {
        let (start, soon) = (Instant::now(), Duration::from_millis(1));
        for left_out in 0..14 {
            let mut proof = Proof::new(Timing::DEFAULT);
            let at = |n: u32| start + Timing::DEFAULT.hello * n;
            (0..=left_out).for_each(|n| proof.asking(station(1), at(n)));
            assert!(proof.answered(station(1), at(left_out) + soon));
            assert!(proof.holds(at(left_out) + soon), "{left_out} left out");
        }
    }

    #[test]
    fn an_answer_that_came_before_the_question_proves_nothing_and_the_question_stays_open() {
        let now = Instant::now();
        let asked = now + Duration::from_millis(300);
        let mut proof = Proof::new(Timing::DEFAULT);
        proof.asking(station(1), now);
        // It stood still, and asks anew before it reads what arrived meanwhile.
        proof.asking(station(1), asked);
        assert!(!proof.answered(station(1), now + Duration::from_millis(1)));
        assert!(!proof.holds(asked));
        assert!(proof.answered(station(1), asked + Duration::from_millis(1)));
        assert_eq!(proof.newest(), Some(asked));
    }

    #[test]
    fn what_nobody_asked_for_proves_nothing() {
        let now = Instant::now();
        let mut proof = Proof::new(Timing::DEFAULT);
        assert!(!proof.answered(station(1), now));
        proof.asking(station(1), now);
        assert!(!proof.answered(station(2), now));
        assert!(!proof.answered(station(1), now + Duration::from_secs(2)), "too late");
        assert!(!proof.holds(now));
    }

    #[test]
    fn sixteen_stations_are_remembered_and_all_are_probed_in_turn() {
        let now = Instant::now();
        let mut proof = Proof::new(Timing::DEFAULT);
        (1..=20).for_each(|n| assert!(!proof.neighbour(station(n), false, now)));
        proof.neighbour(station(5), false, now);
        let first = proof.next_round(&[station(254)]);
        assert_eq!(first, [254, 5, 20, 19, 18].map(station));
        let mut probed: Vec<IpAddr> = first;
        (0..3).for_each(|_| probed.extend(proof.next_round(&[])));
        assert_eq!(probed.len(), 17);
        assert!((5..=20).all(|n| probed.contains(&station(n))));
    }

    #[test]
    fn a_new_station_is_probed_at_once_when_a_claim_waits_but_a_flood_of_them_is_not() {
        let now = Instant::now();
        let mut proof = Proof::new(Timing::DEFAULT);
        assert!(proof.neighbour(station(1), true, now));
        assert!(!proof.neighbour(station(1), true, now + NEWCOMER_GAP));
        let probed = (2..=200).filter(|n| proof.neighbour(station(*n), true, now + NEWCOMER_GAP)).count();
        assert_eq!(probed, 1);
    }

    #[test]
    fn three_rounds_are_fast_and_the_rest_as_the_need_is() {
        let mut proof = Proof::new(Timing::DEFAULT);
        let paces: Vec<u128> = (0..4)
            .map(|_| {
                proof.next_round(&[]);
                proof.pace(Need::Urgent).as_millis()
            })
            .collect();
        assert_eq!(paces, [25, 25, 75, 75]);
        assert_eq!(proof.pace(Need::Leisurely), Duration::from_secs(1));
    }
}
