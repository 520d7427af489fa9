// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The process that is believed to be a peer: what it last said, and how silent it is.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Absence, Judgement, Reception, Return};
use crate::{
    hello::{Echo, Flags, Hello},
    identity::Incarnation,
    rule::{self, Rule},
    timing::{ASKS, Timing},
};

/// The believed process.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: u64,
    /// Number of its newest question, or of the hello that made it believed: older questions are not answered.
    asked: u64,
    /// When its newest hello was received.
    pub(crate) heard: Instant,
    /// Silence counts from here: the newest hello, a third party's word, or the end of our own stall.
    pub(super) silent_since: Instant,
    /// Highest sequence number that a third party vouched for.
    pub(super) vouched: u64,
    /// When it last showed that it hears somebody: a hello with a recent echo.
    hears: Instant,
    /// How long it may be silent.
    dead_after: Duration,
    pub(crate) source: IpAddr,
    pub(crate) flags: Flags,
    /// How many groups it holds, by its newest hello.
    pub(crate) owned: u32,
    pub(super) pulse: Pulse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    Alive,
    Suspect { asked: u8, next: Instant },
    Down { since: Instant, absence: Absence },
}

impl Life {
    pub(super) fn begin(hello: &Hello, source: IpAddr, received: Instant, timing: &Timing) -> Self {
        Self {
            incarnation: hello.incarnation,
            seq: hello.seq,
            asked: hello.seq,
            heard: received,
            silent_since: received,
            vouched: 0,
            hears: received,
            dead_after: dead_after(hello.dead, timing),
            source,
            flags: hello.flags,
            owned: hello.owned,
            pulse: Pulse::Alive,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !matches!(self.pulse, Pulse::Down { .. })
    }

    /// Silent for longer, it is dead.
    pub(crate) fn may_be_silent_for(&self) -> Duration {
        self.dead_after
    }

    /// Whether its hellos arrive but have long shown no sign of its hearing anybody.
    fn is_deaf(&self) -> bool {
        self.heard.saturating_duration_since(self.hears) >= self.dead_after
    }

    /// Whether it has been silent for long enough to be asked.
    pub(crate) fn is_suspect(&self) -> bool {
        matches!(self.pulse, Pulse::Suspect { .. })
    }

    pub(super) fn hear(
        &mut self,
        hello: &Hello,
        source: IpAddr,
        received: Instant,
        echoes_us: bool,
        timing: &Timing,
    ) -> Reception {
        let was_up = self.is_up();
        let is_new_question = hello.flags.ask && hello.seq > self.asked;
        if is_new_question {
            self.asked = hello.seq;
        }
        if hello.seq <= self.seq && rule::holds(Rule::Sequence) {
            return if was_up && is_new_question { Reception::Overtaken } else { Reception::Replayed };
        }
        if !was_up && hello.flags.leaving {
            // The repetition of its good-bye.
            self.seq = hello.seq;
            return Reception::Replayed;
        }
        // Late by a little, it is taken at its word; after a long absence its hellos might be recordings of that time.
        let deaf = matches!(self.pulse, Pulse::Down { absence: Absence::Deaf, .. });
        let silence = received.saturating_duration_since(self.silent_since);
        let in_time = !deaf && silence <= self.dead_after * 2;
        self.seq = hello.seq;
        self.heard = self.heard.max(received);
        if !was_up && !echoes_us && !in_time && rule::holds(Rule::Liveness) {
            return Reception::Unbelieved;
        }
        self.source = source;
        self.flags = hello.flags;
        self.pulse = if was_up { self.pulse } else { Pulse::Alive };
        self.speaks(hello.owned, hello.dead, received, timing);
        if was_up {
            self.shows_hearing(hello.echoes.iter().copied(), received);
            Reception::Known
        } else {
            self.hears = self.hears.max(received);
            Reception::Up(Return::Healed)
        }
    }

    /// A hello of it counts.
    pub(super) fn speaks(&mut self, owned: u32, dead: Duration, received: Instant, timing: &Timing) {
        self.owned = owned;
        self.dead_after = dead_after(dead, timing);
        self.sign_of_life(received);
    }

    pub(super) fn shows_hearing(&mut self, mut echoes: impl Iterator<Item = Echo>, received: Instant) {
        if echoes.any(|echo| echo.age <= self.dead_after) {
            self.hears = self.hears.max(received);
        }
    }

    pub(super) fn sign_of_life(&mut self, at: Instant) {
        if at > self.silent_since {
            self.silent_since = at;
            if self.is_suspect() {
                self.pulse = Pulse::Alive;
            }
        }
    }

    pub(super) fn judge(&mut self, now: Instant, in_company: bool, timing: &Timing) -> Judgement {
        let dies = self.silent_since + self.dead_after;
        let suspected = dies.checked_sub(timing.warning()).unwrap_or(dies);
        match self.pulse {
            Pulse::Down { since, .. } if now.saturating_duration_since(since) >= timing.forget => {
                Judgement::Forget
            }
            Pulse::Down { since, .. } => Judgement::Fine { next: since + timing.forget },
            _ if now >= dies || (in_company && self.is_deaf() && rule::holds(Rule::Deafness)) => {
                let deaf = now < dies;
                let absence = if deaf { Absence::Deaf } else { Absence::Silent };
                self.pulse = Pulse::Down { since: now, absence };
                Judgement::Died { next: now + timing.forget, deaf }
            }
            _ if now < suspected => {
                self.pulse = Pulse::Alive;
                Judgement::Fine { next: suspected }
            }
            Pulse::Alive => {
                let next = now + timing.ask_gap;
                self.pulse = Pulse::Suspect { asked: 1, next };
                Judgement::Ask { next: next.min(dies) }
            }
            Pulse::Suspect { asked, next } if asked < ASKS && now >= next => {
                let next = now + timing.ask_gap;
                self.pulse = Pulse::Suspect { asked: asked.saturating_add(1), next };
                Judgement::Ask { next: next.min(dies) }
            }
            Pulse::Suspect { asked, next } if asked < ASKS => Judgement::Fine { next: next.min(dies) },
            Pulse::Suspect { .. } => Judgement::Fine { next: dies },
        }
    }
}

/// A peer with slower times than ours is given the time it announces, within reason.
fn dead_after(announced: Duration, timing: &Timing) -> Duration {
    announced.clamp(timing.dead, timing.dead * 40)
}
