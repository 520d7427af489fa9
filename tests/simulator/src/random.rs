// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Random times.

use std::time::Duration;

/// Some time from nothing to `longest`, by the nanosecond.
pub(crate) fn at_most(longest: Duration, random: &mut fastrand::Rng) -> Duration {
    Duration::from_nanos(random.u64(..=u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX)))
}
