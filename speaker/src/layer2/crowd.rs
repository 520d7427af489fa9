// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When to let hellos gather: pure.
//!
//! A thousand nodes send ten thousand hellos a second. A round of the driver costs several system calls whether it finds
//! one hello or forty, so in such a crowd it is worth four milliseconds to find forty. Where few nodes speak, nothing is
//! ever delayed: news come in threes (0, 5, 20 ms apart), which is not dense.

use std::time::{Duration, Instant};

/// How long hellos gather. Small beside the margin for late hellos (50 ms), the step between ranks (15 ms at least) and the
/// lateness that counts as standing still (10 ms). When they came, the kernel has noted: silence is not judged by the pause.
const GATHER: Duration = Duration::from_millis(2);
/// Where one round finds so many, they gather for twice as long until the next.
const THRONG: u32 = 16;
/// Hellos that follow each other within this, on the average of a round, are dense. Longer than the pause, or it would end
/// itself.
const DENSE: Duration = Duration::from_millis(3);
/// So many dense rounds in a row make a crowd.
const CROWD: u32 = 16;

/// How densely hellos have come lately.
#[derive(Debug)]
pub(super) struct Crowd {
    last: Instant,
    dense: u32,
    /// How many the last round found.
    found: u32,
}

impl Crowd {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, dense: 0, found: 0 }
    }

    /// A round found so many hellos.
    pub(super) fn heard(&mut self, hellos: u32, now: Instant) {
        if hellos == 0 {
            return;
        }
        let close = now.saturating_duration_since(self.last) <= DENSE.saturating_mul(hellos);
        self.dense = if close { self.dense.saturating_add(1) } else { 0 };
        (self.last, self.found) = (now, hellos);
    }

    /// How long to leave hellos alone before the next look; `None`: look as soon as one comes. Deadlines wait as long, less
    /// than half of what counts as late.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let lately = now.saturating_duration_since(self.last) <= DENSE;
        let pause = if self.found >= THRONG { GATHER.saturating_mul(2) } else { GATHER };
        (lately && self.dense >= CROWD).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause after `count` rounds with hellos, so far apart.
    fn after(count: u32, apart: Duration) -> Option<Duration> {
        let begin = Instant::now();
        let mut crowd = Crowd::new(begin);
        (1..=count).for_each(|round| crowd.heard(1, begin + apart * round));
        crowd.pause(begin + apart * count)
    }

    #[test]
    fn a_crowd_is_let_gather_and_goes_on_being_one_while_it_is() {
        assert_eq!(after(100, Duration::from_micros(100)), Some(GATHER));
        assert_eq!(after(100, GATHER + Duration::from_micros(300)), Some(GATHER));
    }

    #[test]
    fn the_denser_a_crowd_the_longer_it_gathers() {
        let begin = Instant::now();
        let mut crowd = Crowd::new(begin);
        (0..100).for_each(|round| crowd.heard(20, begin + GATHER * round));
        assert_eq!(crowd.pause(begin + GATHER * 99), Some(GATHER * 2));
        (0..100).for_each(|round| crowd.heard(40, begin + GATHER * (100 + 2 * round)));
        assert_eq!(crowd.pause(begin + GATHER * 298), Some(GATHER * 2));
        crowd.heard(10, begin + GATHER * 300);
        assert_eq!(crowd.pause(begin + GATHER * 300), Some(GATHER));
    }

    #[test]
    fn the_news_of_a_few_nodes_are_read_at_once() {
        assert_eq!(after(9, Duration::from_micros(100)), None);
        assert_eq!(after(1000, Duration::from_millis(4)), None);
    }

    #[test]
    fn a_crowd_that_fell_silent_is_none() {
        let begin = Instant::now();
        let mut crowd = Crowd::new(begin);
        (0..100).for_each(|round| crowd.heard(1, begin + GATHER * round));
        assert_eq!(crowd.pause(begin + GATHER * 200), None);
    }
}
