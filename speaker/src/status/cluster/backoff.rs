// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long to wait after a write that failed.

use std::time::Duration;

use ferrolb_source::kube::WriteError;
use tracing::warn;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that grow while writes fail, each with up to a half more at random: the nodes of a cluster must not come back
/// to their API server all at once. The same failure is logged once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<WriteError>,
}

impl Backoff {
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How long to wait, after `error` in writing `what`.
    pub(super) fn failed(&mut self, what: &str, error: WriteError) -> Duration {
        if self.last.as_ref() != Some(&error) {
            warn!(%error, "cannot write {what}; trying again");
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        let asked = match &error {
            WriteError::TooManyRequests { retry_after } => retry_after.unwrap_or_default().min(LONGEST),
            _ => Duration::ZERO,
        };
        self.failures = self.failures.saturating_add(1);
        self.last = Some(error);
        wait.max(asked).mul_f64(1.0 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let mut wait = || backoff.failed("it", WriteError::Timeout).as_secs_f64();
        assert!((1.0..1.5).contains(&wait()));
        assert!((2.0..3.0).contains(&wait()));
        for _ in 0..20 {
            wait();
        }
        assert!((60.0..90.0).contains(&wait()));
        backoff.succeeded();
        assert!(backoff.failed("it", WriteError::Timeout).as_secs_f64() < 1.5);
    }

    #[test]
    fn a_busy_server_is_given_the_time_that_it_asks_for() {
        let busy = WriteError::TooManyRequests { retry_after: Some(Duration::from_secs(20)) };
        assert!(Backoff::default().failed("it", busy) >= Duration::from_secs(20));
    }
}
