// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Hellos out of turn: each change of ownership is told three times at once, in case a hello is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::{
    hello::{Claim, Delta, MAX_CLAIMS, MAX_DELTAS, UpTo},
    timing::{COURTESY_GAP, NEWS_AT},
};

/// What one hello tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bulletin {
    pub(crate) deltas: UpTo<MAX_DELTAS, Delta>,
    /// Claims for which there was no room among the deltas: listed instead of the regular slice, they are held just so.
    pub(crate) claims: UpTo<MAX_CLAIMS, Claim>,
}

/// What is to be told, and when.
#[derive(Debug, Default)]
pub(crate) struct News {
    deltas: BTreeMap<(Instant, u64), Delta>,
    count: u64,
    /// Hellos without a delta.
    plain: BTreeSet<Instant>,
    last_courtesy: Option<Instant>,
}

impl News {
    /// Tells the change now, and twice again shortly after.
    pub(crate) fn tell(&mut self, delta: Delta, now: Instant) {
        self.count = self.count.wrapping_add(1);
        for (copy, offset) in NEWS_AT.into_iter().enumerate() {
            // Of hellos sent at once, those that are overtaken are lost; so the second copies go in reverse order.
            let order = if copy == 1 { u64::MAX - self.count } else { self.count };
            self.deltas.insert((now + offset, order), delta);
        }
    }

    /// Shows our state now, and twice again shortly after.
    pub(crate) fn show(&mut self, now: Instant) {
        self.plain.extend(NEWS_AT.map(|offset| now + offset));
    }

    /// Shows our state once, soon: a stranger waits to hear its echo. Never so often that recordings could make us flood.
    pub(crate) fn courtesy(&mut self, now: Instant) {
        let at = self.last_courtesy.map_or(now, |last| now.max(last + COURTESY_GAP));
        // One that is under way does for all.
        if at > now && self.last_courtesy.is_some_and(|last| last > now) {
            return;
        }
        self.last_courtesy = Some(at);
        self.plain.insert(at);
    }

    /// When the next hello is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let delta = self.deltas.first_key_value().map(|((at, _), _)| *at);
        delta.into_iter().chain(self.plain.first().copied()).min()
    }

    /// What the next hello that is due tells; news that have become untrue meanwhile are dropped.
    pub(crate) fn take(&mut self, now: Instant, is_true: impl Fn(&Delta) -> bool) -> Option<Bulletin> {
        let shown = self.plain.first().is_some_and(|at| *at <= now);
        while self.plain.first().is_some_and(|at| *at <= now) {
            self.plain.pop_first();
        }
        let mut bulletin = Bulletin::default();
        while let Some(entry) = self.deltas.first_entry()
            && entry.key().0 <= now
        {
            if is_true(entry.get()) && !bulletin.add(*entry.get()) {
                break;
            }
            entry.remove();
        }
        (shown || bulletin != Bulletin::default()).then_some(bulletin)
    }

    /// Nothing of it can be told any more.
    pub(crate) fn clear(&mut self) {
        self.deltas.clear();
        self.plain.clear();
        self.last_courtesy = None;
    }
}

impl Bulletin {
    /// Whether there was room for it.
    fn add(&mut self, delta: Delta) -> bool {
        let Err(delta) = self.deltas.push(delta) else { return true };
        match delta {
            Delta::Claim(claim) => self.claims.push(claim).is_ok(),
            Delta::Resign(_) | Delta::HandOver { .. } | Delta::Relayed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        hello::Claim,
        identity::{GroupId, Term},
    };

    fn delta(group: u64) -> Delta {
        Delta::Claim(Claim { group: GroupId(group), term: Term(1) })
    }

    #[test]
    fn a_change_is_told_at_0_5_and_20_milliseconds() {
        let start = Instant::now();
        let mut news = News::default();
        news.tell(delta(1), start);
        let mut times = Vec::new();
        while let Some(at) = news.next() {
            assert_eq!(news.take(at, |_| true).unwrap().deltas[..], [delta(1)]);
            times.push(at.duration_since(start).as_millis());
        }
        assert_eq!(times, [0, 5, 20]);
    }

    #[test]
    fn many_changes_take_several_hellos_and_untrue_ones_take_none() {
        let now = Instant::now();
        let resigned = |group| Delta::Resign(Claim { group: GroupId(group), term: Term(1) });
        let mut news = News::default();
        (0..60).for_each(|g| news.tell(delta(g), now));
        (0..20).for_each(|g| news.tell(resigned(g), now));
        let mut sizes = Vec::new();
        while let Some(bulletin) = news.take(now, |_| true) {
            sizes.push((bulletin.deltas.len(), bulletin.claims.len()));
        }
        assert_eq!(sizes, [(8, 48), (8, 0), (8, 0), (8, 0)]);
        assert_eq!(news.take(now + NEWS_AT[2], |_| false), None);
        assert_eq!(news.next(), None);
    }

    #[test]
    fn strangers_cause_one_hello_in_five_milliseconds_however_many_they_are() {
        let start = Instant::now();
        let mut news = News::default();
        let mut sent = 0;
        for step in 0..1000u32 {
            let now = start + Duration::from_micros(100) * step;
            news.courtesy(now);
            sent += u32::from(news.take(now, |_| true).is_some());
        }
        assert!((19..=21).contains(&sent), "{sent} hellos in 100 ms");
    }
}
