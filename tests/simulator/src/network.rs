// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The wire between the ports: what arrives where, when, and how often.

use std::time::{Duration, Instant};

use crate::random::at_most;

/// Where something is plugged in: nodes first, then stations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub usize);

/// Behaviour of the segment.
#[derive(Clone, Debug)]
pub struct Network {
    /// Shortest time that a packet takes.
    pub delay: Duration,
    /// What comes on top at most, chosen anew per packet: with it packets overtake each other.
    pub jitter: Duration,
    /// Part of the packets that arrives twice, 0 to 1.
    pub duplication: f64,
    /// How many ports there are.
    pub ports: usize,
    /// What is wrong with it.
    trouble: Trouble,
    /// By sender and receiver.
    paths: Vec<Path>,
    blocked: usize,
    /// When it was last changed, or blocked anything.
    troubled: Option<Instant>,
    /// When loss, deafness to multicast or lag last changed.
    disturbed: Option<Instant>,
    /// When the last packet arrives, at the latest, that was sent with more lag than there is now.
    straggler: Option<Instant>,
    /// Counts its changes.
    revision: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    loss: f64,
    multicast_loss: f64,
    lag: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Path {
    blocked: bool,
    changed: Option<Instant>,
}

impl Network {
    /// Packets arrive once, after `delay` to `delay + jitter`.
    pub fn new(ports: usize, delay: Duration, jitter: Duration) -> Self {
        Self {
            delay,
            jitter,
            duplication: 0.0,
            ports,
            trouble: Trouble::default(),
            paths: vec![Path::default(); ports * ports],
            blocked: 0,
            troubled: None,
            disturbed: None,
            straggler: None,
            revision: 0,
        }
    }

    /// Longest time that a packet takes.
    pub fn flight(&self) -> Duration {
        self.delay + self.jitter + self.trouble.lag
    }

    /// Lets nothing pass from one port to another, or lets it pass again.
    pub fn block(&mut self, from: Port, to: Port, blocked: bool, now: Instant) {
        let Some(path) = self.paths.get_mut(from.0 * self.ports + to.0) else { return };
        if path.blocked != blocked {
            *path = Path { blocked, changed: Some(now) };
            self.blocked = if blocked { self.blocked + 1 } else { self.blocked.saturating_sub(1) };
        }
        self.change(now);
    }

    /// Loses this part of all packets.
    pub fn lose(&mut self, part: f64, now: Instant) {
        self.disturb(Trouble { loss: part, ..self.trouble }, now);
    }

    /// Loses this part of the datagrams that go to all.
    pub fn muffle(&mut self, part: f64, now: Instant) {
        self.disturb(Trouble { multicast_loss: part, ..self.trouble }, now);
    }

    /// Everything takes so much longer.
    pub fn lag(&mut self, lag: Duration, now: Instant) {
        self.disturb(Trouble { lag, ..self.trouble }, now);
    }

    fn disturb(&mut self, trouble: Trouble, now: Instant) {
        if trouble.lag < self.trouble.lag {
            self.straggler = self.straggler.max(Some(now + self.flight()));
        }
        self.trouble = trouble;
        self.disturbed = Some(now);
        self.change(now);
    }

    fn change(&mut self, now: Instant) {
        self.troubled = Some(now);
        self.revision += 1;
    }

    /// Everything passes again.
    pub fn heal(&mut self, now: Instant) {
        if self.is_sound() {
            return;
        }
        for path in self.paths.iter_mut().filter(|path| path.blocked) {
            *path = Path { blocked: false, changed: Some(now) };
        }
        self.blocked = 0;
        self.disturb(Trouble::default(), now);
    }

    /// When loss, deafness to multicast or lag last changed.
    pub fn disturbed(&self) -> Option<Instant> {
        self.disturbed
    }

    /// When the last packet arrives, at the latest, that was sent with more lag than there is now.
    pub fn straggler(&self) -> Option<Instant> {
        self.straggler
    }

    fn path(&self, from: Port, to: Port) -> Path {
        self.paths.get(from.0 * self.ports + to.0).copied().unwrap_or_default()
    }

    /// Whether packets pass from one port to the other.
    pub fn passes(&self, from: Port, to: Port) -> bool {
        self.blocked == 0 || !self.path(from, to).blocked
    }

    /// Whether nothing has passed from one port to the other since then, or longer.
    pub fn blocked_since(&self, from: Port, to: Port, then: Instant) -> bool {
        let path = self.path(from, to);
        path.blocked && path.changed.is_some_and(|at| at <= then)
    }

    /// Whether packets have passed both ways between two ports for so long.
    pub fn joined_for(&self, a: Port, b: Port, time: Duration, now: Instant) -> bool {
        [self.path(a, b), self.path(b, a)].iter().all(|path| {
            !path.blocked && path.changed.is_none_or(|at| now.saturating_duration_since(at) >= time)
        })
    }

    /// Whether nothing reaches the port, and whether nothing from it reaches any other.
    pub fn cut_off(&self, port: Port) -> (bool, bool) {
        if self.blocked == 0 {
            return (false, false);
        }
        let others = || (0..self.ports).map(Port).filter(|other| *other != port);
        let deaf = others().all(|other| !self.passes(other, port));
        let mute = others().all(|other| !self.passes(port, other));
        (deaf, mute)
    }

    /// How many ways are blocked.
    pub fn blocked(&self) -> usize {
        self.blocked
    }

    /// Part of the packets that gets lost, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.trouble.loss
    }

    /// Part of the datagrams to all that gets lost beyond that, 0 to 1.
    pub fn multicast_loss(&self) -> f64 {
        self.trouble.multicast_loss
    }

    /// Whether packets have not been lost by chance, nor come late, for so long; hellos to all excepted.
    pub fn undisturbed_for(&self, time: Duration, now: Instant) -> bool {
        let quiet = self.trouble.loss == 0.0 && self.trouble.lag.is_zero();
        quiet && self.disturbed.is_none_or(|at| now.saturating_duration_since(at) >= time)
    }

    /// Nothing is blocked, and no more is lost than the protocol must bear without noticing.
    pub fn is_sound(&self) -> bool {
        let Trouble { loss, multicast_loss, lag } = self.trouble;
        self.blocked == 0 && loss <= 0.01 && multicast_loss == 0.0 && lag.is_zero()
    }

    /// How long it has been sound.
    pub fn sound_for(&self, now: Instant) -> Duration {
        match self.troubled {
            _ if !self.is_sound() => Duration::ZERO,
            Some(at) => now.saturating_duration_since(at),
            None => Duration::MAX,
        }
    }

    /// How long it has been as it is, sound or not.
    pub fn unchanged_for(&self, now: Instant) -> Duration {
        self.troubled.map_or(Duration::MAX, |at| now.saturating_duration_since(at))
    }

    /// Changes whenever the network does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How long the packet takes: nothing if it is lost, twice if it is doubled. `to_all`: a datagram to everybody.
    pub fn flights(
        &self,
        (from, to): (Port, Port),
        to_all: bool,
        random: &mut fastrand::Rng,
    ) -> impl Iterator<Item = Duration> + use<> {
        let Trouble { loss, multicast_loss, lag } = self.trouble;
        let lost = !self.passes(from, to)
            || (loss > 0.0 && random.f64() < loss)
            || (to_all && multicast_loss > 0.0 && random.f64() < multicast_loss);
        let doubled = !lost && self.duplication > 0.0 && random.f64() < self.duplication;
        let mut flight = |flies: bool| flies.then(|| self.delay + lag + at_most(self.jitter, random));
        [flight(!lost), flight(doubled)].into_iter().flatten()
    }
}
