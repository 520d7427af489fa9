// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Damping: a node that falls silent again and again leaves what is free to others for a while. What it owns it keeps.
//!
//! The node itself counts, and tells the others by a flag: if they counted too, each would rank the candidates by its own
//! count, and two would come first.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many silences within [`WINDOW`] are a penalty.
const TIMES: usize = 3;
const WINDOW: Duration = Duration::from_secs(60);
/// Silences that follow each other sooner are one.
const APART: Duration = Duration::from_secs(1);
/// The first penalty; each that follows within [`LONGEST`] after the last is twice as long.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How often this node fell silent, and what that costs it.
#[derive(Debug, Default)]
pub(crate) struct Damping {
    silences: VecDeque<Instant>,
    penalties: u32,
    until: Option<Instant>,
}

impl Damping {
    /// Others could not hear us, or we stood still. The length of the penalty that begins with that, if one does.
    pub(crate) fn fell_silent(&mut self, now: Instant) -> Option<Duration> {
        if self.silences.back().is_some_and(|at| now.saturating_duration_since(*at) < APART) {
            return None;
        }
        self.silences.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        self.silences.push_back(now);
        if self.silences.len() < TIMES {
            return None;
        }
        let punished = self.holds(now);
        if !punished {
            let forgotten = self.until.is_none_or(|at| now.saturating_duration_since(at) >= LONGEST);
            self.penalties = if forgotten { 0 } else { self.penalties.saturating_add(1) };
        }
        let length = FIRST.saturating_mul(2u32.saturating_pow(self.penalties)).min(LONGEST);
        self.until = self.until.max(Some(now + length));
        (!punished).then_some(length)
    }

    /// Whether a penalty is running, as of `now`.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether a penalty is running, or ended less than `after` ago.
    pub(crate) fn held(&self, now: Instant, after: Duration) -> bool {
        self.until.is_some_and(|until| now < until + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Three silences, five seconds apart.
    fn thrice(damping: &mut Damping, start: Instant) -> Option<Duration> {
        assert_eq!(damping.fell_silent(start), None);
        assert_eq!(damping.fell_silent(start + SECOND * 5), None);
        damping.fell_silent(start + SECOND * 10)
    }

    #[test]
    fn three_silences_within_a_minute_cost_a_minute() {
        let (start, mut damping) = (Instant::now(), Damping::default());
        assert_eq!(thrice(&mut damping, start), Some(SECOND * 60));
        assert!(damping.holds(start + SECOND * 69));
        assert!(!damping.holds(start + SECOND * 70));
    }

    #[test]
    fn rare_silences_and_one_that_is_noticed_twice_cost_nothing() {
        let (start, mut damping) = (Instant::now(), Damping::default());
        (0..20).for_each(|n| assert_eq!(damping.fell_silent(start + SECOND * 31 * n), None));
        let later = start + SECOND * 1_000;
        (0..9).for_each(|n| assert_eq!(damping.fell_silent(later + SECOND / 10 * n), None));
    }

    #[test]
    fn the_penalty_doubles_up_to_a_quarter_of_an_hour_and_is_forgotten_after_as_long() {
        let (mut at, mut damping) = (Instant::now(), Damping::default());
        let mut lengths = Vec::new();
        for _ in 0..6 {
            let length = thrice(&mut damping, at).unwrap();
            lengths.push(length.as_secs());
            at += SECOND * 11 + length + SECOND * 60;
        }
        assert_eq!(lengths, [60, 120, 240, 480, 900, 900]);
        assert_eq!(thrice(&mut damping, at + LONGEST), Some(FIRST));
    }

    #[test]
    fn a_penalty_lasts_for_as_long_as_the_silences_go_on() {
        let (start, mut damping) = (Instant::now(), Damping::default());
        assert_eq!(thrice(&mut damping, start), Some(FIRST));
        (3..20).for_each(|n| assert_eq!(damping.fell_silent(start + SECOND * 5 * n), None));
        assert!(damping.holds(start + SECOND * 154));
    }
}
