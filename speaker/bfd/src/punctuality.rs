// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Our own punctuality: when this process stood still, so that a session that failed meanwhile is not held against the other side.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Acting so much too late is nothing to remember.
const TOLERANCE: Duration = Duration::from_millis(5);
/// So many of the last times of standing still are remembered.
const REMEMBERED: usize = 16;

/// When we acted last, and when we should have and did not.
#[derive(Debug, Default)]
pub(crate) struct Punctuality {
    acted: Option<Instant>,
    stalls: VecDeque<(Instant, Instant)>,
    count: u64,
}

impl Punctuality {
    /// We act now, and `deadline` is what we should have waited for.
    pub(crate) fn acts(&mut self, now: Instant, deadline: Option<Instant>) {
        // Each moment of standing still counts once, whatever else it delayed.
        let awaited = deadline.max(self.acted.filter(|_| deadline.is_some()));
        self.acted = Some(now);
        let Some(awaited) = awaited.filter(|at| now.saturating_duration_since(*at) > TOLERANCE) else {
            return;
        };
        if self.stalls.len() == REMEMBERED {
            self.stalls.pop_front();
        }
        self.stalls.push_back((awaited, now));
        self.count = self.count.saturating_add(1);
    }

    /// How long we stood still between these two moments.
    pub(crate) fn stood_still(&self, from: Instant, until: Instant) -> Duration {
        let within = |(began, ended): &(Instant, Instant)| {
            (*ended).min(until).saturating_duration_since((*began).max(from))
        };
        self.stalls.iter().map(within).sum()
    }

    /// How often we stood still.
    pub(crate) fn stalls(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn standing_still_counts_from_the_deadline_and_once() {
        let start = Instant::now();
        let mut own = Punctuality::default();
        own.acts(start, Some(start + MS * 50));
        own.acts(start + MS * 54, Some(start + MS * 50));
        assert_eq!(own.stalls(), 0, "tolerated");
        own.acts(start + MS * 200, Some(start + MS * 100));
        own.acts(start + MS * 201, Some(start + MS * 101));
        assert_eq!(own.stalls(), 1, "we have been acting since");
        assert_eq!(own.stood_still(start, start + MS * 1000), MS * 100);
        assert_eq!(own.stood_still(start + MS * 150, start + MS * 180), MS * 30, "only what overlaps");
        assert_eq!(own.stood_still(start + MS * 200, start + MS * 300), Duration::ZERO);
    }

    #[test]
    fn waiting_without_a_deadline_is_no_stall_and_memory_is_bounded() {
        let start = Instant::now();
        let mut own = Punctuality::default();
        own.acts(start + MS * 5000, None);
        assert_eq!(own.stalls(), 0);
        for second in 10..1000 {
            let now = start + MS * 1000 * second;
            own.acts(now, now.checked_sub(MS * 10));
        }
        assert_eq!(own.stalls.len(), REMEMBERED);
        assert_eq!(own.stalls(), 990);
    }
}
