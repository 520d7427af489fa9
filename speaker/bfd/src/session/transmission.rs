// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When the next packet is due, and whether we were late with one.

use std::{
    num::NonZeroU8,
    time::{Duration, Instant},
};

use crate::timing::{Interval, jittered};

/// A neighbour that gave us up says so at once, and again within a second; then a little.
const COUNTS_FOR: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Transmission {
    interval: Option<Interval>,
    next: Option<Instant>,
    /// The last packet at regular times.
    regular: Option<Instant>,
    /// The last packet of any kind.
    spoke: Option<Instant>,
    /// The silence that the neighbour bears after that one.
    bearable: Option<Duration>,
    /// When a silence of ours that was too long ended, and how long it was.
    silence: Option<(Instant, Duration)>,
}

impl Transmission {
    /// Packets are due this often (less the jitter), or never. A shorter interval counts from the last packet (RFC 5880 section
    /// 6.8.3).
    pub(super) fn every(
        &mut self,
        now: Instant,
        interval: Option<Interval>,
        multiplier: NonZeroU8,
        random: &mut fastrand::Rng,
    ) {
        if self.interval == interval {
            return;
        }
        self.interval = interval;
        self.next = interval.map(|interval| {
            let due = self.regular.map(|at| at + jittered(interval, multiplier, random));
            due.map_or(now, |due| due.max(now))
        });
    }

    pub(super) fn interval(&self) -> Option<Interval> {
        self.interval
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// A packet goes out that takes the place of the next regular one.
    pub(super) fn regular(&mut self, now: Instant, multiplier: NonZeroU8, random: &mut fastrand::Rng) {
        self.regular = Some(now);
        self.next = self.interval.map(|interval| now + jittered(interval, multiplier, random));
    }

    /// A packet of any kind goes out; the neighbour, if it counts on us, bears a silence of less than `bearable` after it.
    pub(super) fn speak(&mut self, now: Instant, bearable: Option<Duration>) {
        self.silence = self.too_long(now, bearable).map(|gap| (now, gap)).or(self.silence);
        self.spoke = Some(now);
        self.bearable = bearable;
    }

    /// The neighbour gave us up. Our silence of these seconds that explains it, if there was one.
    pub(super) fn blame(&self, now: Instant, bearable: Option<Duration>) -> Option<Duration> {
        let before = self.silence.filter(|(ended, _)| {
            now.saturating_duration_since(*ended) < COUNTS_FOR + bearable.unwrap_or_default()
        });
        self.too_long(now, bearable).or(before.map(|(_, gap)| gap))
    }

    /// The session came up: what was before does not count.
    pub(super) fn forgive(&mut self) {
        self.silence = None;
    }

    fn too_long(&self, now: Instant, bearable: Option<Duration>) -> Option<Duration> {
        let gap = now.saturating_duration_since(self.spoke?);
        // What was agreed may have changed since: the neighbour went by either.
        (gap >= self.bearable?.max(bearable?)).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MULTIPLIER: NonZeroU8 = NonZeroU8::MAX;

    fn every(ms: u32) -> Option<Interval> {
        Some(Interval::from_millis(ms))
    }

    #[test]
    fn a_shorter_interval_counts_from_the_last_packet() {
        let (start, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut packets = Transmission::default();
        packets.every(start, every(1000), MULTIPLIER, &mut random);
        assert_eq!(packets.next(), Some(start), "the first one at once");
        packets.regular(start, MULTIPLIER, &mut random);
        assert!(packets.next() >= Some(start + MS * 750));
        packets.every(start + MS * 100, every(200), MULTIPLIER, &mut random);
        assert!(packets.next() <= Some(start + MS * 200));
        packets.every(start + MS * 150, every(50), MULTIPLIER, &mut random);
        assert_eq!(packets.next(), Some(start + MS * 150), "passed already: at once");
        packets.every(start + MS * 150, None, MULTIPLIER, &mut random);
        assert_eq!(packets.next(), None);
    }

    #[test]
    fn a_silence_of_ours_is_remembered_for_a_while() {
        let start = Instant::now();
        let mut packets = Transmission::default();
        let bearable = Some(MS * 800);
        packets.speak(start, None);
        assert_eq!(packets.blame(start + MS * 900, bearable), None, "it did not count on us yet");
        packets.speak(start, bearable);
        assert_eq!(packets.blame(start + MS * 799, bearable), None);
        assert_eq!(packets.blame(start + MS * 900, bearable), Some(MS * 900));
        assert_eq!(packets.blame(start + MS * 900, Some(MS * 2000)), None, "agreed meanwhile");
        packets.speak(start + MS * 1000, bearable);
        packets.speak(start + MS * 1200, bearable);
        assert_eq!(packets.blame(start + MS * 1300, bearable), Some(MS * 1000));
        assert_eq!(packets.blame(start + MS * 4000, None), None, "that is over");
        packets.forgive();
        assert_eq!(packets.blame(start + MS * 1300, bearable), None);
    }
}
