// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The wire between the ports: what arrives where, when, and how often.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

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
    /// Part of the packets that gets lost, 0 to 1.
    pub loss: f64,
    /// Part of the packets that arrives twice, 0 to 1.
    pub duplication: f64,
    /// How many ports there are.
    pub ports: usize,
    blocked: BTreeSet<(Port, Port)>,
    /// When it was last changed, or blocked anything.
    troubled: Option<Instant>,
}

impl Network {
    /// Packets arrive once, after `delay` to `delay + jitter`.
    pub fn new(ports: usize, delay: Duration, jitter: Duration) -> Self {
        Self { delay, jitter, loss: 0.0, duplication: 0.0, ports, blocked: BTreeSet::new(), troubled: None }
    }

    /// Longest time that a packet takes.
    pub fn flight(&self) -> Duration {
        self.delay + self.jitter
    }

    /// Lets nothing pass from one port to another, or lets it pass again.
    pub fn block(&mut self, from: Port, to: Port, blocked: bool, now: Instant) {
        if blocked {
            self.blocked.insert((from, to));
        } else {
            self.blocked.remove(&(from, to));
        }
        self.troubled = Some(now);
    }

    /// Loses this part of all packets.
    pub fn lose(&mut self, part: f64, now: Instant) {
        self.loss = part;
        self.troubled = Some(now);
    }

    /// Everything passes again.
    pub fn heal(&mut self, now: Instant) {
        if !self.is_sound() {
            self.blocked.clear();
            self.loss = 0.0;
            self.troubled = Some(now);
        }
    }

    /// Whether packets pass from one port to the other.
    pub fn passes(&self, from: Port, to: Port) -> bool {
        !self.blocked.contains(&(from, to))
    }

    /// Whether nothing reaches the port, and whether nothing from it reaches any other.
    pub fn cut_off(&self, port: Port) -> (bool, bool) {
        let others = || (0..self.ports).map(Port).filter(|other| *other != port);
        let deaf = others().all(|other| !self.passes(other, port));
        let mute = others().all(|other| !self.passes(port, other));
        (deaf, mute)
    }

    /// Nothing is blocked, and no more is lost than the protocol must bear without noticing.
    pub fn is_sound(&self) -> bool {
        self.blocked.is_empty() && self.loss <= 0.01
    }

    /// How long it has been sound.
    pub fn sound_for(&self, now: Instant) -> Duration {
        match self.troubled {
            _ if !self.is_sound() => Duration::ZERO,
            Some(at) => now.saturating_duration_since(at),
            None => Duration::MAX,
        }
    }

    /// How long the packet takes: nothing if it is lost, twice if it is doubled.
    pub fn flights(&self, from: Port, to: Port, random: &mut fastrand::Rng) -> Vec<Duration> {
        if !self.passes(from, to) || random.f64() < self.loss {
            return Vec::new();
        }
        let copies = if random.f64() < self.duplication { 2 } else { 1 };
        (0..copies).map(|_| self.delay + self.jitter.mul_f64(random.f64())).collect()
    }
}
