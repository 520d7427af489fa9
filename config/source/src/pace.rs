// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How often work is done that every change causes: at once while there was little of it lately, else at a share of a
//! processor. Work is a debt that time pays off.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// What a [`Pace`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// So many times as long as the work took is it paid off.
    pub share: u32,
    /// What a piece of work counts at least, for all that others do because of it.
    pub least: Duration,
    /// So much work may be owed when more begins: one change often comes with a few that belong to it.
    pub free: Duration,
    /// The longest pause, whatever the work took.
    pub longest: Duration,
}

/// When the next piece of work may begin.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    terms: Terms,
    next: Option<Instant>,
}

impl Pace {
    /// Nothing is owed.
    pub const fn new(terms: Terms) -> Self {
        Self { terms, next: None }
    }

    /// When the next piece may begin; a time that has passed means at once, and so does none.
    pub const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the next piece may begin.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// A piece of work that took `took` ended.
    pub fn worked(&mut self, took: Duration, now: Instant) {
        let Terms { share, least, free, longest } = self.terms;
        let free = free.saturating_mul(share);
        let rest = took.max(least).saturating_mul(share).min(free.saturating_add(longest));
        // The clock may be younger than what is free.
        let saved = now.checked_sub(free).unwrap_or(now);
        let next = self.next.map_or(saved, |next| next.max(saved)) + rest;
        self.next = Some(next.min(now + longest));
    }
}

/// Measures work of one thread by the processor time that it got: work that was held up cost nobody anything.
#[derive(Debug)]
pub struct Work(Duration);

impl Work {
    /// From now on, on this thread.
    pub fn begin() -> Self {
        Self(spent())
    }

    /// What it took until now. Asked on another thread the answer is of no use.
    pub fn took(&self) -> Duration {
        spent().saturating_sub(self.0)
    }
}

/// The processor time that this thread had. The kernel knows it of every thread; were it not so, all work would count the least.
fn spent() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const TERMS: Terms =
        Terms { share: 10, least: MS, free: Duration::from_millis(20), longest: Duration::from_secs(3) };

    /// The time that passes in `pieces` pieces of work as soon as each may begin.
    fn storm(pieces: u32, took: Duration) -> Duration {
        let start = Instant::now();
        let (mut pace, mut now) = (Pace::new(TERMS), start);
        for _ in 0..pieces {
            now = pace.next().map_or(now, |next| next.max(now)) + took;
            pace.worked(took, now);
        }
        now - start
    }

    #[test]
    fn a_few_changes_after_a_rest_wait_for_nothing() {
        assert_eq!(storm(20, MS), MS * 20);
        assert!(storm(30, MS) > MS * 30);
    }

    #[test]
    fn a_storm_gets_its_share_of_a_processor_and_no_more() {
        for took in [MS, MS * 5, MS * 70, MS * 200] {
            let (work, passed) = (took * 1_000, storm(1_000, took));
            assert!(passed >= (work - MS * 20 - took) * 10, "{took:?} a piece: {work:?} of {passed:?}");
            assert!(passed <= work * 11, "nor is it held up longer: {passed:?}");
        }
    }

    #[test]
    fn work_that_costs_nothing_here_is_counted_for_what_others_do_because_of_it() {
        assert_eq!(storm(20, Duration::ZERO), Duration::ZERO);
        let seconds = storm(1_000, Duration::ZERO).as_secs_f64();
        assert!((9.7..10.0).contains(&seconds), "a hundred a second: {seconds}");
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let start = Instant::now();
        let mut pace = Pace::new(TERMS);
        for took in [Duration::from_secs(1), Duration::from_secs(100), Duration::MAX] {
            pace.worked(took, start);
            assert_eq!(pace.next(), Some(start + TERMS.longest));
        }
        assert!(!pace.is_due(start + TERMS.longest - MS) && pace.is_due(start + TERMS.longest));
    }

    #[test]
    fn a_rest_pays_off_and_saves_no_more_than_what_is_free() {
        let start = Instant::now();
        let mut pace = Pace::new(TERMS);
        assert!(pace.is_due(start));
        pace.worked(MS * 120, start);
        assert_eq!(pace.next(), Some(start + MS * 1_000));
        let later = start + Duration::from_secs(100_000);
        pace.worked(MS * 20, later);
        assert!(pace.is_due(later), "all was paid off");
        pace.worked(MS, later);
        assert_eq!(pace.next(), Some(later + MS * 10), "and the long rest counts for no more than that");
    }

    #[test]
    fn work_that_stands_still_takes_no_processor_time() {
        let work = Work::begin();
        std::thread::sleep(MS * 500);
        assert!(work.took() < MS * 400, "{:?}", work.took());
        let until = Instant::now() + Duration::from_secs(30);
        while work.took() < MS * 5 {
            assert!(Instant::now() < until, "a busy thread gets time");
        }
    }
}
