// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The timers of a connection, and how long to wait between two of them (RFC 4271, sections 4.4, 8 and 10; RFC 9687).

use std::time::{Duration, Instant};

use crate::hold_time::HoldTime;

/// A peer that took the connection has so long for its OPEN and for confirming ours. RFC 4271 suggests four minutes (section 8.2.2);
/// a router that is up answers within a second, and one that is not should be tried again.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Least time for which a peer may take nothing (RFC 9687, section 4).
const SEND_HOLD: Duration = Duration::from_secs(8 * 60);
/// A third of the shortest hold time: nobody wants keepalives more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What a timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The connection has led to no session.
    Answer,
    /// The peer was silent for the hold time.
    Hold(HoldTime),
    /// The peer took nothing for so long.
    SendHold(Duration),
    /// Time to say that we are there.
    Keepalive,
}

/// The timers of one connection. Each that is switched off is `None`, never "zero seconds".
#[derive(Debug)]
pub(crate) struct Timers {
    answer_until: Option<Instant>,
    agreed: HoldTime,
    silent_until: Option<Instant>,
    every: Option<Duration>,
    speak_at: Option<Instant>,
    stuck_since: Option<Instant>,
}

impl Timers {
    /// The connection begins: an OPEN is awaited.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            answer_until: Some(now + ANSWER_WITHIN),
            agreed: HoldTime::DISABLED,
            silent_until: None,
            every: None,
            speak_at: None,
            stuck_since: None,
        }
    }

    /// Both sides named a hold time. Keepalives go out every third of it, or more often if that is wanted.
    pub(crate) fn agree(
        &mut self,
        now: Instant,
        hold: HoldTime,
        wanted: Option<Duration>,
        random: &mut fastrand::Rng,
    ) {
        self.agreed = hold;
        let third = hold.duration().map(|time| time / 3);
        self.every = third.map(|third| wanted.map_or(third, |wanted| wanted.clamp(SHORTEST, third)));
        self.heard(now);
        self.spoke(now, random);
    }

    /// There is a session.
    pub(crate) fn established(&mut self) {
        self.answer_until = None;
    }

    /// The peer said something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.silent_until = self.agreed.duration().map(|time| now + time);
    }

    /// A KEEPALIVE goes out.
    pub(crate) fn spoke(&mut self, now: Instant, random: &mut fastrand::Rng) {
        self.speak_at = self.every.map(|every| now + jittered(every, random));
    }

    /// Since when the peer has taken nothing of what waits for it; `None`: it does take.
    pub(crate) fn writer(&mut self, stuck_since: Option<Instant>) {
        self.stuck_since = stuck_since;
    }

    /// What is due first.
    pub(crate) fn due(&self, now: Instant) -> Option<Due> {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if past(self.send_hold_until()) {
            Some(Due::SendHold(self.send_hold()))
        } else if past(self.answer_until) {
            Some(Due::Answer)
        } else if past(self.silent_until) {
            Some(Due::Hold(self.agreed))
        } else if past(self.speak_at) {
            Some(Due::Keepalive)
        } else {
            None
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        [self.send_hold_until(), self.answer_until, self.silent_until, self.speak_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Twice the hold time, but not less than eight minutes (RFC 9687, section 4).
    fn send_hold(&self) -> Duration {
        SEND_HOLD.max(self.agreed.duration().unwrap_or_default() * 2)
    }

    fn send_hold_until(&self) -> Option<Instant> {
        self.stuck_since.map(|since| since + self.send_hold())
    }
}

/// How long to wait after a failure: a second, and twice as long each time, up to a limit; less up to a quarter at random.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn next(&mut self, limit: Duration, random: &mut fastrand::Rng) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).and_then(|times| FIRST_PAUSE.checked_mul(times));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.unwrap_or(limit).min(limit.max(FIRST_PAUSE)), random)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Three quarters to all of it (RFC 4271, section 10).
fn jittered(time: Duration, random: &mut fastrand::Rng) -> Duration {
    time * random.u32(750..=1000) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hold(seconds: u16) -> HoldTime {
        HoldTime::from_secs(seconds).unwrap()
    }

    fn agreed(now: Instant, hold: HoldTime, wanted: Option<Duration>) -> Timers {
        let mut timers = Timers::new(now);
        timers.agree(now, hold, wanted, &mut fastrand::Rng::with_seed(1));
        timers.established();
        timers
    }

    #[test]
    fn a_keepalive_is_due_every_third_of_the_hold_time_or_when_wanted() {
        let now = Instant::now();
        for (wanted, most) in
            [(None, 3), (Some(SECOND * 2), 2), (Some(SECOND * 20), 3), (Some(Duration::ZERO), 1)]
        {
            let timers = agreed(now, hold(9), wanted);
            let at = timers.next().unwrap() - now;
            assert!(at >= SECOND * most * 3 / 4 && at <= SECOND * most, "{at:?}");
            assert_eq!(timers.due(now + SECOND * most), Some(Due::Keepalive));
        }
    }

    #[test]
    fn the_hold_timer_starts_anew_with_everything_heard() {
        let now = Instant::now();
        let mut timers = agreed(now, hold(9), None);
        timers.heard(now + SECOND * 5);
        assert_eq!(timers.due(now + SECOND * 13), Some(Due::Keepalive));
        assert_eq!(timers.due(now + SECOND * 14), Some(Due::Hold(hold(9))));
    }

    #[test]
    fn a_hold_time_of_zero_is_no_timer() {
        let now = Instant::now();
        let mut timers = agreed(now, HoldTime::DISABLED, Some(SECOND));
        assert_eq!(timers.next(), None);
        timers.heard(now + SECOND);
        timers.spoke(now + SECOND, &mut fastrand::Rng::with_seed(1));
        assert_eq!((timers.next(), timers.due(now + SECOND * 100_000)), (None, None));
    }

    #[test]
    fn a_connection_leads_to_a_session_within_a_minute_whatever_the_hold_time() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.agree(now, HoldTime::DISABLED, None, &mut fastrand::Rng::with_seed(1));
        assert_eq!(timers.due(now + SECOND * 60), Some(Due::Answer));
        timers.established();
        assert_eq!(timers.due(now + SECOND * 60), None);
    }

    #[test]
    fn who_takes_nothing_for_twice_the_hold_time_or_eight_minutes_is_given_up() {
        let now = Instant::now();
        for (seconds, limit) in [(0, 480), (90, 480), (600, 1200)] {
            let mut timers = agreed(now, hold(seconds), None);
            timers.writer(Some(now));
            timers.heard(now + SECOND * limit);
            timers.spoke(now + SECOND * limit, &mut fastrand::Rng::with_seed(1));
            assert_eq!(timers.due(now + SECOND * limit), Some(Due::SendHold(SECOND * limit)));
            timers.writer(None);
            assert_eq!(timers.due(now + SECOND * limit), None);
        }
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::default();
        for full in [1, 2, 4, 8, 10, 10, 10] {
            let pause = backoff.next(SECOND * 10, &mut random);
            assert!(pause >= SECOND * full * 3 / 4 && pause <= SECOND * full, "{pause:?} of {full} s");
        }
        backoff.failures = u32::MAX;
        assert!(backoff.next(SECOND * 10, &mut random) <= SECOND * 10);
        backoff.reset();
        assert!(backoff.next(Duration::ZERO, &mut random) <= SECOND);
    }
}
