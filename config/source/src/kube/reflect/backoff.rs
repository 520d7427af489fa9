// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long to wait before the API server is asked again.

use std::time::Duration;

/// The shortest and the longest wait.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Waits that double, each shortened at random by up to a half, so that those who failed together do not come back
/// together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: BOUNDS.0 }
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(BOUNDS.1);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.next = BOUNDS.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!(waits[0] >= BOUNDS.0 / 2 && waits[0] <= BOUNDS.0);
        assert!(waits[11] >= BOUNDS.1 / 2 && waits[11] <= BOUNDS.1);
        backoff.reset();
        assert!(backoff.next() <= BOUNDS.0);
    }
}
