// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When a datagram arrived, on the clock that never jumps.
//!
//! The kernel stamps what it receives with the wall clock, which may be set at any moment. A datagram cannot be
//! older than the moment at which its socket was last seen empty, so that bounds its age; and if the wall clock
//! moved against the monotonic one since then, its stamps say nothing and the bound itself is taken. Errors make a
//! datagram look older, never fresher than it is.

use std::time::{Duration, Instant, SystemTime};

/// More than the kernel slews the wall clock between two wake-ups (at most 500 ppm), less than any age that matters.
const JUMP: Duration = Duration::from_millis(5);

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) monotonic: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}

/// Turns the receive stamps of one socket into instants.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiveClock {
    last_empty: Now,
}

impl ReceiveClock {
    /// For a socket that holds nothing yet.
    pub(super) fn new(now: Now) -> Self {
        Self { last_empty: now }
    }

    /// Notes that at `now` (read before asking) the socket held nothing.
    pub(super) fn seen_empty(&mut self, now: Now) {
        self.last_empty = now;
    }

    /// When a datagram that carries the stamp `stamp` and was read at `now` arrived.
    pub(super) fn received(&self, now: Now, stamp: Option<SystemTime>) -> Instant {
        let oldest = now.monotonic.saturating_duration_since(self.last_empty.monotonic);
        let age = match stamp {
            Some(stamp) if !self.jumped(now) => {
                now.wall.duration_since(stamp).unwrap_or(Duration::ZERO).min(oldest)
            }
            _ => oldest,
        };
        now.monotonic.checked_sub(age).unwrap_or(self.last_empty.monotonic)
    }

    /// Whether the wall clock was set, or the machine slept, since the socket was last seen empty.
    fn jumped(&self, now: Now) -> bool {
        let monotonic = now.monotonic.saturating_duration_since(self.last_empty.monotonic);
        match now.wall.duration_since(self.last_empty.wall) {
            Ok(wall) => wall.abs_diff(monotonic) > JUMP,
            Err(backwards) => backwards.duration() > JUMP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn after(start: Now, monotonic: Duration, wall: Duration) -> Now {
        Now { monotonic: start.monotonic + monotonic, wall: start.wall + wall }
    }

    #[test]
    fn a_steady_clock_gives_the_kernels_stamp() {
        let start = Now::read();
        let clock = ReceiveClock::new(start);
        let now = after(start, ms(100), ms(100));
        assert_eq!(clock.received(now, Some(start.wall + ms(70))), start.monotonic + ms(70));
    }

    #[test]
    fn after_a_stall_the_true_age_is_seen() {
        let start = Now::read();
        let clock = ReceiveClock::new(start);
        let now = after(start, ms(3000), ms(3000));
        let received = clock.received(now, Some(start.wall + ms(200)));
        assert_eq!(now.monotonic - received, ms(2800));
    }

    #[test]
    fn a_clock_set_back_by_an_hour_does_not_make_a_stale_datagram_fresh() {
        let start = Now { monotonic: Instant::now(), wall: SystemTime::now() };
        let clock = ReceiveClock::new(start);
        let now = Now { monotonic: start.monotonic + ms(3000), wall: start.wall - Duration::from_secs(3600) };
        assert_eq!(clock.received(now, Some(start.wall + ms(100))), start.monotonic);
    }

    #[test]
    fn a_clock_set_forward_by_an_hour_makes_nothing_older_than_the_last_empty_look() {
        let start = Now::read();
        let clock = ReceiveClock::new(start);
        let now = after(start, ms(60), Duration::from_secs(3600));
        assert_eq!(clock.received(now, Some(start.wall + ms(10))), start.monotonic);
    }

    #[test]
    fn an_old_jump_is_forgotten_once_the_socket_was_seen_empty_again() {
        let start = Now::read();
        let mut clock = ReceiveClock::new(start);
        let empty = after(start, ms(50), Duration::from_secs(3600));
        clock.seen_empty(empty);
        let now = after(empty, ms(40), ms(40));
        assert_eq!(clock.received(now, Some(empty.wall + ms(30))), empty.monotonic + ms(30));
    }

    #[test]
    fn without_a_stamp_the_oldest_possible_time_counts() {
        let start = Now::read();
        let clock = ReceiveClock::new(start);
        assert_eq!(clock.received(after(start, ms(20), ms(20)), None), start.monotonic);
    }

    #[test]
    fn a_stamp_from_the_future_is_now() {
        let start = Now::read();
        let clock = ReceiveClock::new(start);
        let now = after(start, ms(20), ms(20));
        assert_eq!(clock.received(now, Some(now.wall + ms(2))), now.monotonic);
    }
}
