// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The hellos that we sent a moment ago: an echo of one of them proves that who echoes lives and hears us.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// More are sent within a dead interval only in bursts of news; then the oldest stop to count.
const KEPT: usize = 512;

/// Sequence numbers and times of our latest hellos, in order.
#[derive(Debug, Default)]
pub(crate) struct SentLog(VecDeque<(u64, Instant)>);

impl SentLog {
    pub(crate) fn record(&mut self, seq: u64, at: Instant) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((seq, at));
    }

    /// When we sent hello `seq`, if that was within `window` before `at`.
    pub(crate) fn sent_within(&self, seq: u64, at: Instant, window: Duration) -> Option<Instant> {
        let found = self.0.binary_search_by_key(&seq, |(sent, _)| *sent).ok().and_then(|i| self.0.get(i));
        found.map(|(_, sent)| *sent).filter(|sent| at.saturating_duration_since(*sent) <= window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recent_hellos_count_and_numbers_never_sent_do_not() {
        let (start, window) = (Instant::now(), Duration::from_millis(275));
        let mut log = SentLog::default();
        (1..=600).for_each(|seq| log.record(seq, start + Duration::from_millis(seq)));
        let at = start + Duration::from_millis(700);
        let sent = |seq| log.sent_within(seq, at, window).map(|sent| sent.duration_since(start).as_millis());
        assert_eq!(sent(600), Some(600));
        assert_eq!(sent(425), Some(425));
        assert_eq!(sent(424), None, "too old");
        assert_eq!(sent(601), None, "never sent");
        assert_eq!(log.sent_within(88, at, Duration::MAX), None, "no longer remembered");
    }
}
