// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long a peer may be silent.

use std::{fmt, time::Duration};

/// The hold time: 0, which switches the timer off, or 3 seconds and more (RFC 4271, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldTime(u16);

impl HoldTime {
    /// No hold timer and no keepalives.
    pub const DISABLED: Self = Self(0);

    /// `None` for 1 and 2 seconds.
    pub fn from_secs(seconds: u16) -> Option<Self> {
        (!matches!(seconds, 1 | 2)).then_some(Self(seconds))
    }

    /// The field of the OPEN.
    pub fn as_secs(self) -> u16 {
        self.0
    }

    /// How long to wait; `None` if it is switched off, so that nobody arms a timer of zero.
    pub fn duration(self) -> Option<Duration> {
        (self.0 > 0).then(|| Duration::from_secs(self.0.into()))
    }

    /// What two speakers agree on: the smaller (RFC 4271, section 4.2), so that one of them can switch it off.
    #[must_use]
    pub fn agreed(self, other: Self) -> Self {
        self.min(other)
    }
}

impl fmt::Display for HoldTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bgp_084_a_hold_time_is_zero_or_at_least_three_seconds() {
        assert_eq!([0, 1, 2, 3].map(|s| HoldTime::from_secs(s).is_some()), [true, false, false, true]);
    }

    #[test]
    fn bgp_065_the_smaller_hold_time_counts_and_zero_is_no_timer() {
        let hold = |seconds| HoldTime::from_secs(seconds).unwrap();
        assert_eq!(hold(90).agreed(hold(9)).duration(), Some(Duration::from_secs(9)));
        assert_eq!(hold(90).agreed(HoldTime::DISABLED).duration(), None);
    }
}
