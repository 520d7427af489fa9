// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When to say again that an address is here: repeats against lost frames, refreshes against forgetful neighbours, a word
//! to each client that asked lately, since some heed no announcement, and a budget so that a failover of thousands of
//! addresses does not drown the segment. Now and then the segment is asked who else has the address.

mod budget;
mod demand;
mod form;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use budget::Bucket;
pub use budget::Budget;
pub use demand::Asker;
use demand::Demand;
use form::Form;

use crate::identity::MacAddr;

/// Pauses between the announcements of an IPv4 address, which thus fall at 0, 0.1, 0.3, 1, 2, 5 and 10 seconds.
const ARP_PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(700),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];
/// Pauses between the announcements of an IPv6 address: at most MAX_NEIGHBOR_ADVERTISEMENT = 3 of them, at least
/// RetransTimer = 1 s apart (RFC 4861, sections 7.2.6 and 10).
const NA_PAUSES: [Duration; 2] = [RETRANS_TIMER; 2];
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// After the repeats, each address is announced once per such time, give or take [`REFRESH_JITTER`] of it.
const REFRESH: Duration = Duration::from_secs(60);
const REFRESH_JITTER: f64 = 0.2;

/// The schedule of announcements of one segment.
///
/// Feed it with [`start`](Self::start) and [`stop`](Self::stop) and with the questions heard
/// ([`asked`](Self::asked)); call [`poll`](Self::poll) at [`next_deadline`](Self::next_deadline) until it returns `None`.
#[derive(Debug)]
pub struct Announcer {
    addresses: BTreeMap<IpAddr, Progress>,
    /// What is not due yet, soonest first.
    waiting: BTreeSet<(Instant, IpAddr)>,
    /// What is due, most urgent first.
    due: BTreeSet<(Urgency, Instant, IpAddr)>,
    demand: Demand,
    bucket: Bucket,
    random: fastrand::Rng,
}

/// Order of sending when the budget is short: what nobody was told yet before what was told in one form only, that before
/// repeats, repeats before refreshes; within these, what clients asked for lately before the rest. So n addresses are
/// announced within n frames, whatever their family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    round: Round,
    unasked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    First,
    SecondForm,
    Repeat,
    Refresh,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// How many announcements were sent since the start.
    sent: usize,
    /// When the last of them was sent, or the last before the start began again.
    last: Option<Instant>,
    /// Which frame of the next one is to be sent.
    form: Form,
    at: Place,
}

/// What is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Utterance {
    /// The frame says that an address is here.
    Announcement(Vec<u8>),
    /// The frame asks who else has an address that is here.
    Probe(Vec<u8>),
}

/// Where an address stands: exactly one entry of the set it names.
#[derive(Clone, Copy, Debug)]
enum Place {
    Waiting(Instant),
    Due(Urgency, Instant),
}

impl Announcer {
    /// A schedule without addresses; `seed` decides the jitter of refreshes.
    pub fn new(budget: Budget, seed: u64, now: Instant) -> Self {
        Self {
            addresses: BTreeMap::new(),
            waiting: BTreeSet::new(),
            due: BTreeSet::new(),
            demand: Demand::new(now),
            bucket: Bucket::new(budget, now),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Announces the address from now on; of an address that is announced already, begins again with the repeats.
    pub fn start(&mut self, address: IpAddr, now: Instant) {
        let last = self.remove(address).and_then(|progress| progress.last);
        let at = match (address, last) {
            (IpAddr::V6(_), Some(last)) => now.max(last + RETRANS_TIMER),
            _ => now,
        };
        self.wait(address, 0, last, at);
    }

    /// Says nothing more of the address, and forgets what was said: a later start is a new event, announced at once,
    /// since another node may have had the address in between.
    pub fn stop(&mut self, address: IpAddr) {
        self.remove(address);
    }

    /// Somebody asked for the address, announced here or not: its announcements go first when the budget is short, and the
    /// one who asked is told in person.
    pub fn asked(&mut self, address: IpAddr, asker: Asker, now: Instant) {
        self.demand.note(address, asker, now);
        let Some(progress) = self.addresses.get_mut(&address) else { return };
        if let Place::Due(urgency, since) = progress.at
            && urgency.unasked
        {
            let asked = Urgency { unasked: false, ..urgency };
            progress.at = Place::Due(asked, since);
            self.due.remove(&(urgency, since, address));
            self.due.insert((asked, since, address));
        }
    }

    /// The next frame to send now, from the station `mac`; `None` when nothing is due or the budget is used up.
    pub fn poll(&mut self, now: Instant, mac: MacAddr) -> Option<Utterance> {
        self.ripen(now);
        if self.due.is_empty() || !self.bucket.take(now) {
            return None;
        }
        loop {
            let (urgency, since, address) = *self.due.first()?;
            let mut progress = self.remove(address)?;
            let in_person = progress.form.looks_for_askers(address, progress.sent);
            let askers = if in_person { self.demand.askers(address, now) } else { Vec::new() };
            let utterance = progress.form.utter(address, mac, &askers);
            if progress.form == Form::ToAll {
                progress.last = Some(now);
            }
            match progress.form.next(address, progress.sent, askers.len()) {
                Some(form) => {
                    let round = form.round(urgency.round);
                    let at = Place::Due(Urgency { round, ..urgency }, since);
                    self.place(address, Progress { form, at, ..progress });
                }
                None => self.rest(progress, address, progress.last.unwrap_or(now)),
            }
            // Who asked may be forgotten meanwhile.
            if utterance.is_some() {
                return utterance;
            }
        }
    }

    /// When [`poll`](Self::poll) will have something; a moment that has passed means now, `None` never.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.due.first().map(|(_, since, _)| *since);
        let waiting = self.waiting.first().map(|(at, _)| *at);
        due.into_iter().chain(waiting).min().map(|at| at.max(self.bucket.ready_at()))
    }

    /// Moves what has come due by `now` from the waiting to the due.
    fn ripen(&mut self, now: Instant) {
        while let Some(&(at, address)) = self.waiting.first()
            && at <= now
        {
            let unasked = !self.demand.recent(address, now);
            let Some(progress) = self.remove(address) else { return };
            let urgency = Urgency { round: round(address, progress.sent), unasked };
            self.place(address, Progress { at: Place::Due(urgency, at), ..progress });
        }
    }

    /// The address was announced at `last`; lets it wait for the next time.
    fn rest(&mut self, progress: Progress, address: IpAddr, last: Instant) {
        let pause = match pauses(address).get(progress.sent) {
            Some(pause) => *pause,
            None => REFRESH.mul_f64(1.0 + REFRESH_JITTER * (2.0 * self.random.f64() - 1.0)),
        };
        self.wait(address, progress.sent.saturating_add(1), Some(last), last + pause);
    }

    fn wait(&mut self, address: IpAddr, sent: usize, last: Option<Instant>, at: Instant) {
        self.place(address, Progress { sent, last, form: Form::ToAll, at: Place::Waiting(at) });
    }

    fn place(&mut self, address: IpAddr, progress: Progress) {
        self.addresses.insert(address, progress);
        match progress.at {
            Place::Waiting(at) => self.waiting.insert((at, address)),
            Place::Due(urgency, since) => self.due.insert((urgency, since, address)),
        };
    }

    fn remove(&mut self, address: IpAddr) -> Option<Progress> {
        let progress = self.addresses.remove(&address)?;
        match progress.at {
            Place::Waiting(at) => self.waiting.remove(&(at, address)),
            Place::Due(urgency, since) => self.due.remove(&(urgency, since, address)),
        };
        Some(progress)
    }
}

fn pauses(address: IpAddr) -> &'static [Duration] {
    match address {
        IpAddr::V4(_) => &ARP_PAUSES,
        IpAddr::V6(_) => &NA_PAUSES,
    }
}

fn round(address: IpAddr, sent: usize) -> Round {
    match sent {
        0 => Round::First,
        repeats if repeats <= pauses(address).len() => Round::Repeat,
        _ => Round::Refresh,
    }
}

#[cfg(test)]
mod tests;
