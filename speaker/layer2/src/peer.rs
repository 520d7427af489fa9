// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One peer as heard on the segment: which of its processes is believed, and how silent that one is.

mod life;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

pub(crate) use life::Life;
use life::Pulse;

use crate::{
    hello::{Hello, Outline, Quiet},
    identity::{Incarnation, MacAddr},
    rule::{self, Rule},
    timing::Timing,
};

/// A node that speaks in our cluster's name and is not us.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The process believed to be it; silent ones included, until forgotten.
    life: Option<Life>,
    /// A process that speaks for it and has not proved to be live.
    stranger: Option<Stranger>,
    /// When the believed process was last mentioned in an echo of ours.
    pub(crate) echoed: Option<Instant>,
    /// When its kernel last answered a probe of its address.
    pub(crate) host_answered: Option<Instant>,
    /// The station that was last heard to have its address.
    pub(crate) mac: Option<MacAddr>,
}

/// Why a peer is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Nothing was heard of it.
    Silent,
    /// It spoke, but heard nobody.
    Deaf,
    /// It said good-bye.
    Left,
}

/// A process that has not yet shown that it hears us, and so may be a recording.
#[derive(Debug)]
struct Stranger {
    incarnation: Incarnation,
    seq: u64,
    first: Instant,
    heard: Instant,
    /// When it was last mentioned in an echo of ours.
    echoed: Option<Instant>,
}

/// What a hello meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    /// Seen before, or older than what was seen: nothing in it counts.
    Replayed,
    /// A question that a later hello of the same process overtook: it wants its answer, nothing else in it counts.
    Overtaken,
    /// Perhaps a recording: nothing in it counts until it echoes us.
    Unbelieved,
    /// A second process speaks for the node while the first lives; `proved` once that has lasted longer than a restart.
    Duplicate { proved: bool },
    /// From a peer that was up already.
    Known,
    /// The peer is up with this hello.
    Up(Return),
}

/// What a peer that comes up was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// Unknown.
    First,
    /// Up, by another process: what that one claimed is void.
    Replaced,
    /// Absent, perhaps because the segment was split: both halves may have had owners.
    Healed,
    /// Absent likewise, and a new process came back: what the old one claimed is void.
    Reborn,
    /// Gone with a good-bye.
    Rejoined,
}

/// What a look at the clock says about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing to do before this time.
    Fine { next: Instant },
    /// Ask it whether it lives; look again at `next`.
    Ask { next: Instant },
    /// It is dead from now on; `deaf` if it still speaks but shows no sign of hearing anybody.
    Died { next: Instant, deaf: bool },
    /// Drop all memory of it.
    Forget,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self { life: None, stranger: None, echoed: None, host_answered: None, mac: None }
    }

    /// The believed process if it is up.
    pub(crate) fn alive(&self) -> Option<&Life> {
        self.life.as_ref().filter(|life| life.is_up())
    }

    /// Since when it has been down because nothing was heard of it.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        match self.life.as_ref()?.pulse {
            Pulse::Down { since, absence: Absence::Silent } => Some(since),
            Pulse::Down { absence: Absence::Deaf | Absence::Left, .. }
            | Pulse::Alive
            | Pulse::Suspect { .. } => None,
        }
    }

    /// The believed process, up or down, and what was heard of it last.
    pub(crate) fn to_echo(&self) -> Option<(Incarnation, u64, Instant)> {
        self.life.as_ref().map(|life| (life.incarnation, life.seq, life.heard))
    }

    /// The process that waits to be believed, and what was heard of it last.
    pub(crate) fn stranger_to_echo(&self) -> Option<(Incarnation, u64, Instant)> {
        self.stranger.as_ref().map(|stranger| (stranger.incarnation, stranger.seq, stranger.heard))
    }

    /// When the process that waits to be believed was last mentioned in an echo of ours.
    pub(crate) fn stranger_echoed(&self) -> Option<Instant> {
        self.stranger.as_ref()?.echoed
    }

    /// It is mentioned now.
    pub(crate) fn echo_stranger(&mut self, now: Instant) {
        if let Some(stranger) = &mut self.stranger {
            stranger.echoed = Some(now);
        }
    }

    /// The process that is believed, and the one that waits for it.
    pub(crate) fn processes(&self) -> [Option<Incarnation>; 2] {
        let believed = self.life.as_ref().map(|life| life.incarnation);
        [believed, self.stranger.as_ref().map(|stranger| stranger.incarnation)]
    }

    /// Whether a process that was heard just now waits to be believed.
    pub(crate) fn has_fresh_stranger(&self) -> bool {
        self.stranger.is_some()
    }

    /// Where the believed process speaks from.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.life.as_ref().map(|life| life.source)
    }

    /// When the node last showed that its kernel runs: by an answer to a probe, or by a hello of a process that is up (after
    /// a restart, the new one's).
    pub(crate) fn host_sign(&self) -> Option<Instant> {
        self.host_answered.max(self.alive().map(|life| life.heard))
    }

    /// Takes in a hello. `echoes_us`: it echoes one that we sent within the last dead interval.
    pub(crate) fn hear(
        &mut self,
        hello: &Hello,
        source: IpAddr,
        received: Instant,
        echoes_us: bool,
        timing: &Timing,
    ) -> Reception {
        match &mut self.life {
            Some(life) if life.incarnation == hello.incarnation => {
                let reception = life.hear(hello, source, received, echoes_us, timing);
                if self
                    .stranger
                    .as_ref()
                    .is_some_and(|s| received.saturating_duration_since(s.heard) > timing.listen)
                {
                    self.stranger = None;
                }
                reception
            }
            _ => self.hear_stranger(hello, source, received, echoes_us, timing),
        }
    }

    /// Whether the hello, so far as its lists do not tell otherwise, says no more than that the believed process lives on: it is
    /// not suspected, and says of itself what it said before.
    pub(crate) fn expects(&self, outline: &Outline<'_>, source: IpAddr) -> bool {
        let expects = |life: &Life| {
            life.incarnation == outline.incarnation
                && life.pulse == Pulse::Alive
                && outline.seq > life.seq
                && life.source == source
                && life.flags == outline.flags
                && !outline.flags.ask
                && !outline.flags.leaving
        };
        self.stranger.is_none() && self.life.as_ref().is_some_and(expects)
    }

    /// Takes in a hello that was expected.
    pub(crate) fn go_on(
        &mut self,
        outline: &Outline<'_>,
        quiet: Quiet<'_>,
        received: Instant,
        timing: &Timing,
    ) {
        if let Some(life) = &mut self.life {
            life.seq = outline.seq;
            life.heard = life.heard.max(received);
            life.speaks(outline.owned, outline.dead, received, timing);
            life.shows_hearing(quiet.echoes(), received);
        }
    }

    fn hear_stranger(
        &mut self,
        hello: &Hello,
        source: IpAddr,
        received: Instant,
        echoes_us: bool,
        timing: &Timing,
    ) -> Reception {
        let (first, echoed) = match &self.stranger {
            Some(s) if s.incarnation == hello.incarnation && hello.seq <= s.seq => {
                return Reception::Replayed;
            }
            Some(s) if s.incarnation == hello.incarnation => (s.first, s.echoed),
            _ => (received, None),
        };
        self.stranger =
            Some(Stranger { incarnation: hello.incarnation, seq: hello.seq, first, heard: received, echoed });
        if !echoes_us && rule::holds(Rule::Liveness) {
            return Reception::Unbelieved;
        }
        // The old process is not replaced while it lives: a restart ends it first, a second one beside it would flap. As long
        // as its next hello is not due it may live: who hears a clone for the first time must not void the original's claims.
        let due = timing.hello + timing.lateness;
        let may_live = |life: &&Life| {
            life.is_up() && (life.heard > first || received.saturating_duration_since(life.heard) < due)
        };
        if let Some(old) = self.life.as_ref().filter(may_live) {
            return Reception::Duplicate { proved: old.heard.saturating_duration_since(first) > timing.dead };
        }
        let before = match self.life.as_ref().map(|life| life.pulse) {
            None => Return::First,
            Some(Pulse::Alive | Pulse::Suspect { .. }) => Return::Replaced,
            Some(Pulse::Down { absence: Absence::Left, .. }) => Return::Rejoined,
            Some(Pulse::Down { absence: Absence::Silent | Absence::Deaf, .. }) => Return::Reborn,
        };
        self.life = Some(Life::begin(hello, source, received, timing));
        // Who was not echoed yet waits for that to believe us.
        self.echoed = echoed;
        self.stranger = None;
        Reception::Up(before)
    }

    /// A third party heard the believed process' hello `seq` at `heard`. If the process is up, the answer is up to which hello
    /// no such word is news any more.
    pub(crate) fn vouch(&mut self, incarnation: Incarnation, seq: u64, heard: Instant) -> Option<u64> {
        let life = self.life.as_mut().filter(|l| l.is_up() && l.incarnation == incarnation)?;
        let known = life.seq.max(life.vouched);
        if seq > known {
            life.vouched = seq;
            life.sign_of_life(heard);
        }
        Some(known.max(seq))
    }

    /// We stood still for `late`: so long the peer could not have been heard.
    pub(crate) fn forgive(&mut self, late: Duration, now: Instant) {
        if let Some(life) = &mut self.life {
            life.silent_since = (life.silent_since + late).min(now);
        }
    }

    /// Takes the believed process for dead; whether it was up before.
    pub(crate) fn bury(&mut self, absence: Absence, now: Instant) -> bool {
        match &mut self.life {
            Some(life) if life.is_up() => {
                life.pulse = Pulse::Down { since: now, absence };
                true
            }
            _ => false,
        }
    }

    /// Looks at the clock. `in_company`: other peers are up, whom it ought to hear.
    pub(crate) fn judge(&mut self, now: Instant, in_company: bool, timing: &Timing) -> Judgement {
        if self.stranger.as_ref().is_some_and(|s| now.saturating_duration_since(s.heard) >= timing.listen) {
            self.stranger = None;
        }
        match &mut self.life {
            Some(life) => life.judge(now, in_company, timing),
            None => match &self.stranger {
                Some(stranger) => Judgement::Fine { next: stranger.heard + timing.listen },
                None => Judgement::Forget,
            },
        }
    }
}
