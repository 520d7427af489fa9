// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When a write has to wait: pure, with the clock passed in.
//!
//! An object that the API server refuses waits alone, longer each time, and holds up nobody else. A server that does not
//! work at all is left alone, and then asked by one write at a time. An object that somebody else changes back each time
//! is written less and less often.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ferrolb_config::ObjectRef;

/// How long an object waits after its first failed write, and at most after many.
const OBJECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How long everything waits after the server was found not to work, and at most after many tries.
const SERVER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After as many failures in a row that tell nothing about the object it is the server that does not work.
const SERVER_FAILS: u32 = 16;
/// How long a busy server is left alone if it does not say how long, and at most if it does.
const BUSY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// As often is the same written to an object before somebody else is suspected to change it back.
const REPEATS: u32 = 3;
/// How long a change by others is waited for at first, and at most.
const CONTENDED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long after its wait is over an object that makes no trouble any more is remembered.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// Of one object that was outdated, so many times is a newer form taken at once.
const OUTDATED: u32 = 5;

/// Why a write was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// The object is not what it was thought to be.
    Outdated,
    /// The server has an objection to this write.
    Refused,
    /// Nothing came back, or a failure that may be the server's or one of this object only.
    NoAnswer,
    /// The server has too much to do.
    Busy {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// Who has to wait, and how long.
#[derive(Debug, Default)]
pub(super) struct Restraint {
    failing: HashMap<ObjectRef, Failing>,
    repeated: HashMap<ObjectRef, Repeated>,
    server: Option<Pause>,
    /// Failures in a row that tell nothing about the object.
    unanswered: u32,
}

#[derive(Debug)]
struct Failing {
    times: u32,
    until: Instant,
    /// Set after a write that was outdated: which form it was based on. With another one the wait is over.
    outdated: Option<Option<String>>,
}

#[derive(Debug)]
struct Repeated {
    content: u64,
    times: u32,
    last: Instant,
    until: Instant,
}

#[derive(Debug)]
struct Pause {
    times: u32,
    until: Instant,
}

impl Restraint {
    /// Until when a write to `object`, based on the form `version`, has to wait; `None`: it may be made.
    pub(super) fn holds(&self, object: &ObjectRef, version: Option<&str>, now: Instant) -> Option<Instant> {
        let failing = self.failing.get(object).filter(|failing| match &failing.outdated {
            Some(base) => base.as_deref() == version || failing.times > OUTDATED,
            None => true,
        });
        let until = failing.map(|failing| failing.until);
        let until = until.max(self.repeated.get(object).map(|repeated| repeated.until));
        until.filter(|until| *until > now)
    }

    /// Whether the last write to `object` failed.
    pub(super) fn suspects(&self, object: &ObjectRef) -> bool {
        self.failing.get(object).is_some_and(|failing| failing.outdated.is_none())
    }

    /// Until when nothing may be sent at all; `None`: the server works, as far as is known.
    pub(super) fn pause(&self, now: Instant) -> Option<Instant> {
        self.server.as_ref().map(|pause| pause.until).filter(|until| *until > now)
    }

    /// Whether the server did not work lately, so that one write at a time tries it.
    pub(super) fn is_trying(&self) -> bool {
        self.server.is_some()
    }

    /// A write was done. `content` stands for what was written, where somebody else may want to write it differently.
    /// Returns how long the object is left alone, if that just began or became longer.
    pub(super) fn succeeded(
        &mut self,
        object: &ObjectRef,
        content: Option<u64>,
        now: Instant,
    ) -> Option<Duration> {
        self.answered();
        self.failing.remove(object);
        let content = content?;
        let repeated = self.repeated.entry(object.clone()).or_insert(Repeated {
            content,
            times: 0,
            last: now,
            until: now,
        });
        if repeated.content != content {
            *repeated = Repeated { content, times: 0, last: now, until: now };
        }
        repeated.times += 1;
        repeated.last = now;
        let excess = repeated.times.checked_sub(REPEATS)?;
        let wait = grown(CONTENDED, excess);
        repeated.until = now + wait;
        Some(wait)
    }

    /// A write was not done. Returns until when it has to wait.
    pub(super) fn failed(
        &mut self,
        object: &ObjectRef,
        version: Option<&str>,
        setback: Setback,
        now: Instant,
    ) -> Instant {
        let outdated = (setback == Setback::Outdated).then(|| version.map(str::to_owned));
        let failing =
            self.failing.entry(object.clone()).or_insert(Failing { times: 0, until: now, outdated: None });
        failing.until = now + grown(OBJECT, failing.times);
        failing.times = failing.times.saturating_add(1);
        failing.outdated = outdated;
        let until = failing.until;
        match setback {
            Setback::Outdated | Setback::Refused => self.answered(),
            Setback::NoAnswer => {
                self.unanswered = self.unanswered.saturating_add(1);
                if self.unanswered >= SERVER_FAILS || self.server.is_some() {
                    let times = self.server.as_ref().map_or(0, |pause| pause.times);
                    self.server = Some(Pause { times: times + 1, until: now + grown(SERVER, times) });
                }
            }
            Setback::Busy { retry_after } => {
                // The object is not to blame.
                self.failing.remove(object);
                let wait = retry_after.unwrap_or(BUSY.0).min(BUSY.1);
                let times = self.server.as_ref().map_or(0, |pause| pause.times);
                self.server = Some(Pause { times, until: now + wait });
            }
        }
        until.max(self.pause(now).unwrap_or(until))
    }

    /// Forgets what was long ago.
    pub(super) fn forget(&mut self, now: Instant) {
        self.failing.retain(|_, failing| failing.until + FORGOTTEN > now);
        self.repeated.retain(|_, repeated| repeated.until.max(repeated.last) + FORGOTTEN > now);
    }

    fn answered(&mut self) {
        (self.server, self.unanswered) = (None, 0);
    }
}

/// `first`, doubled `times` times, and at most `most`.
fn grown((first, most): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectRef {
        ObjectRef::cluster("VirtualIP", name)
    }

    #[test]
    fn an_object_that_is_refused_waits_longer_each_time_and_holds_up_nobody_else() {
        let mut restraint = Restraint::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..12 {
            let until = restraint.failed(&object("a"), Some("1"), Setback::Refused, now);
            waits.push(until.duration_since(now).as_millis());
            assert_eq!(restraint.holds(&object("a"), Some("2"), now), Some(until));
            assert_eq!(restraint.holds(&object("b"), Some("1"), now), None);
            now = until;
            assert_eq!(restraint.holds(&object("a"), Some("1"), now), None);
        }
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[11], 30_000);
        assert_eq!(restraint.pause(now), None);
    }

    #[test]
    fn what_was_outdated_is_tried_again_with_a_newer_form_but_not_for_ever() {
        let mut restraint = Restraint::default();
        let now = Instant::now();
        for version in ["1", "2", "3", "4", "5"] {
            restraint.failed(&object("a"), Some(version), Setback::Outdated, now);
            assert!(restraint.holds(&object("a"), Some(version), now).is_some());
            assert!(restraint.holds(&object("a"), Some("newer"), now).is_none());
        }
        restraint.failed(&object("a"), Some("6"), Setback::Outdated, now);
        assert!(restraint.holds(&object("a"), Some("newer"), now).is_some());
    }

    #[test]
    fn a_server_that_never_answers_is_tried_by_one_write_at_a_time() {
        let mut restraint = Restraint::default();
        let now = Instant::now();
        for number in 0..15 {
            restraint.failed(&object(&number.to_string()), None, Setback::NoAnswer, now);
        }
        assert_eq!(restraint.pause(now), None);
        restraint.failed(&object("15"), None, Setback::NoAnswer, now);
        assert_eq!(restraint.pause(now), Some(now + SERVER.0));
        let later = now + SERVER.0;
        assert_eq!((restraint.pause(later), restraint.is_trying()), (None, true));
        restraint.failed(&object("16"), None, Setback::NoAnswer, later);
        assert_eq!(restraint.pause(later), Some(later + 2 * SERVER.0));
        restraint.succeeded(&object("17"), None, later);
        assert_eq!((restraint.pause(later), restraint.is_trying()), (None, false));
    }

    #[test]
    fn a_busy_server_is_left_alone_for_as_long_as_it_asks_and_the_object_is_not_blamed() {
        let mut restraint = Restraint::default();
        let now = Instant::now();
        let busy = |seconds| Setback::Busy { retry_after: Some(Duration::from_secs(seconds)) };
        restraint.failed(&object("a"), None, busy(2), now);
        assert_eq!(restraint.pause(now), Some(now + Duration::from_secs(2)));
        restraint.failed(&object("a"), None, busy(3600), now);
        assert_eq!(restraint.pause(now), Some(now + BUSY.1));
        assert!(!restraint.suspects(&object("a")));
    }

    #[test]
    fn what_somebody_else_changes_back_each_time_is_written_less_and_less_often() {
        let mut restraint = Restraint::default();
        let mut now = Instant::now();
        let mut left_alone = Vec::new();
        for _ in 0..10 {
            left_alone.extend(restraint.succeeded(&object("a"), Some(7), now).map(|wait| wait.as_secs()));
            now = restraint.holds(&object("a"), None, now).unwrap_or(now) + Duration::from_millis(20);
        }
        assert_eq!(left_alone, [1, 2, 4, 8, 16, 32, 60, 60]);
        restraint.succeeded(&object("a"), Some(8), now);
        assert_eq!(restraint.holds(&object("a"), None, now), None, "something else is written");
    }
}
