// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Our own punctuality: a process that stood still must blame itself before it blames its peers.

use std::time::{Duration, Instant};

use crate::timing::Timing;

/// When we acted, when we should have, and when peers last heard us.
#[derive(Debug, Default)]
pub(crate) struct Punctuality {
    acted: Option<Instant>,
    sent: Option<Instant>,
}

impl Punctuality {
    /// How much too late we act now, given the deadline we had; `None` within the tolerance. Each moment of standing still
    /// counts once.
    pub(crate) fn lateness(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
        timing: &Timing,
    ) -> Option<Duration> {
        let awaited = deadline.max(self.acted.filter(|_| deadline.is_some()));
        self.acted = Some(now);
        // Mostly the deadline is still ahead.
        let missed = awaited.filter(|at| *at < now);
        missed.map(|at| now.saturating_duration_since(at)).filter(|late| *late > timing.lateness)
    }

    /// How long peers have not heard of us, if that is so long that they may have taken over.
    pub(crate) fn gap(&self, now: Instant, timing: &Timing) -> Option<Duration> {
        self.sent.map(|at| now.saturating_duration_since(at)).filter(|gap| *gap > timing.own_gap())
    }

    /// A hello to all goes out now.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// The link is down: not sending is no fault of ours.
    pub(crate) fn excuse(&mut self) {
        self.sent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn lateness_counts_from_the_deadline_and_only_once() {
        let (start, t) = (Instant::now(), Timing::DEFAULT);
        let mut clock = Punctuality::default();
        assert_eq!(clock.lateness(start, None, &t), None);
        let deadline = Some(start + MS * 75);
        assert_eq!(clock.lateness(start + MS * 85, deadline, &t), None, "tolerated");
        assert_eq!(clock.lateness(start + MS * 96, deadline, &t), Some(MS * 11));
        assert_eq!(clock.lateness(start + MS * 97, deadline, &t), None, "we have been acting since");
        assert_eq!(clock.lateness(start + MS * 3097, deadline, &t), Some(MS * 3000));
    }

    #[test]
    fn waiting_for_a_deadline_is_not_being_late() {
        let (start, t) = (Instant::now(), Timing::DEFAULT);
        let mut clock = Punctuality::default();
        clock.lateness(start, None, &t);
        assert_eq!(clock.lateness(start + MS * 500, Some(start + MS * 500), &t), None);
    }

    #[test]
    fn a_gap_in_our_hellos_counts_from_the_last_one_sent() {
        let (start, t) = (Instant::now(), Timing::DEFAULT);
        let mut clock = Punctuality::default();
        assert_eq!(clock.gap(start, &t), None);
        clock.sent(start);
        assert_eq!(clock.gap(start + t.dead - t.hello, &t), None);
        assert_eq!(clock.gap(start + MS * 201, &t), Some(MS * 201));
        clock.excuse();
        assert_eq!(clock.gap(start + MS * 201, &t), None);
    }
}
