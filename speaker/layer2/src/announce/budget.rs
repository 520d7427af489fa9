// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How many frames may be sent: a token bucket kept as one instant (the generic cell rate algorithm, ITU-T I.371).

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// A rate, and how many frames may be sent at once after a quiet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Frames per second on average.
    pub rate: NonZeroU32,
    /// Frames at once.
    pub burst: NonZeroU32,
}

impl Budget {
    /// 1,000 frames per second, and as many at once: 500 IPv4 addresses are announced without delay.
    pub const DEFAULT: Self = Self::per_second(NonZeroU32::MIN.saturating_add(999));

    /// So many frames per second, and as many at once.
    #[must_use]
    pub const fn per_second(rate: NonZeroU32) -> Self {
        Self { rate, burst: rate }
    }
}

#[derive(Debug)]
pub(super) struct Bucket {
    /// Time that one frame costs.
    cost: Duration,
    /// How far `paid_until` may lie ahead for one more frame to be sent: the cost of the burst less that frame.
    credit: Duration,
    /// The frames sent so far have used up the rate until then.
    paid_until: Instant,
}

impl Bucket {
    pub(super) fn new(budget: Budget, now: Instant) -> Self {
        let cost = Duration::from_secs(1) / budget.rate.get();
        let credit = cost.saturating_mul(budget.burst.get().saturating_sub(1));
        Self { cost, credit, paid_until: now }
    }

    /// Pays for one frame; false if it may not be sent yet.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if now < self.ready_at() {
            return false;
        }
        self.paid_until = self.paid_until.max(now) + self.cost;
        true
    }

    /// From when on a frame may be sent; may have passed.
    pub(super) fn ready_at(&self) -> Instant {
        // A clock that began less than the credit ago just has no burst yet.
        self.paid_until.checked_sub(self.credit).unwrap_or(self.paid_until)
    }
}
