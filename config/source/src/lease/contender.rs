// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The rules of the Lease: pure, with the clock passed in.

use std::time::{Duration, Instant};

use super::{DEADLINE, DURATION, LOOK, RENEWAL, REST};

/// What a Lease says; the default stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; `None` when it was given back.
    pub(super) holder: Option<String>,
    /// Its renewTime as the holder wrote it: compared, never trusted as a time.
    pub(super) renewed: String,
    /// How often the holder changed.
    pub(super) transitions: u64,
    /// Its duration as the holder wrote it.
    pub(super) duration: Option<Duration>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nobody has it, or whoever had it is silent: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Read it.
    Look,
    /// Nothing, for that long.
    Wait(Duration),
    /// It was ours, and is not any more: act no longer.
    Lost,
}

/// One who wants the Lease.
#[derive(Debug)]
pub(super) struct Contender {
    me: String,
    seen: Option<Seen>,
    /// When the renewal that was confirmed last was sent, while we lead.
    renewed: Option<Instant>,
    /// After a failure nothing is asked before.
    quiet_until: Option<Instant>,
}

/// The Lease as it was seen last.
#[derive(Debug)]
struct Seen {
    record: Record,
    /// Since when it has not changed, by our clock.
    unchanged_since: Instant,
    /// It was deleted under a holder, who may not know yet.
    vanished: bool,
    /// When it is to be looked at again.
    look_due: Instant,
}

impl Contender {
    pub(super) fn new(me: String) -> Self {
        Self { me, seen: None, renewed: None, quiet_until: None }
    }

    /// The Lease is `record`, as an answer said that came at `now`.
    pub(super) fn saw(&mut self, record: Record, now: Instant) {
        let look_due = now + LOOK;
        match &mut self.seen {
            Some(seen) if seen.record == record => seen.look_due = look_due,
            before => {
                let was_held =
                    before.as_ref().is_some_and(|seen| seen.record.holder.is_some() || seen.vanished);
                let vanished = was_held && record == Record::default();
                *before = Some(Seen { record, unchanged_since: now, vanished, look_due });
            }
        }
    }

    /// A request brought nothing.
    pub(super) fn failed(&mut self, now: Instant) {
        self.quiet_until = Some(now + REST);
        // Who knows what was written? Look before the next try.
        if let Some(seen) = &mut self.seen {
            seen.look_due = now;
        }
    }

    /// Our write of `record`, sent at `sent`, was confirmed at `now`.
    pub(super) fn wrote(&mut self, record: Record, sent: Instant, now: Instant) {
        self.renewed = (record.holder.as_deref() == Some(self.me.as_str())).then_some(sent);
        self.quiet_until = None;
        self.saw(record, now);
    }

    /// We act no longer.
    pub(super) fn stepped_down(&mut self) {
        self.renewed = None;
    }

    /// Until when we may act.
    pub(super) fn until(&self) -> Option<Instant> {
        Some(self.renewed? + DEADLINE)
    }

    /// Who holds the Lease, as far as we know.
    pub(super) fn holder(&self) -> Option<&str> {
        self.seen.as_ref()?.record.holder.as_deref()
    }

    /// How often the Lease has passed on.
    pub(super) fn term(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.record.transitions)
    }

    /// What the next write of ours says, at the time `renewed`.
    pub(super) fn next(&self, renewed: String) -> Record {
        let passes = self.holder() != Some(self.me.as_str());
        Record {
            holder: Some(self.me.clone()),
            renewed,
            transitions: self.term().saturating_add(u64::from(passes)),
            duration: Some(DURATION),
        }
    }

    /// What to do at `now`.
    pub(super) fn decide(&self, now: Instant) -> Decision {
        let quiet_until = self.quiet_until.unwrap_or(now);
        if let Some(renewed) = self.renewed {
            let until = renewed + DEADLINE;
            let due = quiet_until.max(renewed + RENEWAL);
            return if now >= until || self.holder().is_some_and(|holder| holder != self.me) {
                Decision::Lost
            } else if now >= due {
                Decision::Renew
            } else {
                Decision::Wait(due.min(until) - now)
            };
        }
        let free_at = self.seen.as_ref().map(|seen| self.free_at(seen));
        match (&self.seen, free_at) {
            _ if now < quiet_until => Decision::Wait(quiet_until - now),
            (Some(seen), _) if now >= seen.look_due => Decision::Look,
            (_, Some(free_at)) if now >= free_at => Decision::Acquire,
            (Some(seen), Some(free_at)) => Decision::Wait(seen.look_due.min(free_at) - now),
            (None, _) | (_, None) => Decision::Look,
        }
    }

    /// When the Lease may be taken.
    fn free_at(&self, seen: &Seen) -> Instant {
        let expires = seen.unchanged_since + seen.record.duration.unwrap_or(DURATION).max(DURATION);
        match self.holder() {
            // A write of ours that we took for failed, so that we have not acted on it.
            Some(holder) if holder == self.me => seen.unchanged_since,
            None if !seen.vanished => seen.unchanged_since,
            Some(_) | None => expires,
        }
    }
}

#[cfg(test)]
mod tests;
