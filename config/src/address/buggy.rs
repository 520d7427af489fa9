// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! IPv4 addresses that end in .0 or .255, which some old equipment takes for network and broadcast addresses and drops.

use super::interval::Interval;

/// Whether the IPv4 address with this number ends in .0 or .255.
pub(super) fn is_buggy(number: u128) -> bool {
    matches!(number % 256, 0 | 255)
}

/// How many such addresses an interval of IPv4 holds.
pub(super) fn count(interval: Interval) -> u128 {
    // Of the numbers below n, those ending in 0 are ceil(n / 256), those ending in 255 are floor(n / 256).
    let below = |n: u128| n.div_ceil(256) + n / 256;
    below(interval.last.saturating_add(1)) - below(interval.first)
}
