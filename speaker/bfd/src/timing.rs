// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How often a session speaks, and how long it listens.

use std::{fmt, num::NonZeroU8, time::Duration};

use thiserror::Error;

/// A time as it stands in packets: whole microseconds, at most 71 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u32);

impl Interval {
    /// As a required interval: "send me nothing".
    pub const ZERO: Self = Self(0);
    /// Nobody speaks more often than this until the session is up (RFC 5880 section 6.8.3).
    pub const SLOW: Self = Self(1_000_000);
    /// What counts as the neighbour's required interval until it says one (RFC 5880 section 6.8.1).
    pub(crate) const UNKNOWN: Self = Self(1);

    /// So many microseconds.
    pub const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    /// So many milliseconds, at most those that fit.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// In microseconds.
    pub const fn as_micros(self) -> u32 {
        self.0
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_duration())
    }
}

/// What we ask of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    desired_tx: Interval,
    required_rx: Interval,
    multiplier: NonZeroU8,
}

/// Why times were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadTiming {
    /// An interval of less than 10 ms or more than a minute.
    #[error("{field} is {value}: use 10 ms to 60 s")]
    Interval {
        /// Which of the two.
        field: &'static str,
        /// What was asked for.
        value: Interval,
    },
    /// A multiplier of 0.
    #[error("the detect multiplier is 0: use 1 to 255, better 3")]
    Multiplier,
}

impl Timing {
    /// 300 ms both ways, three packets: what MetalLB takes where a profile says nothing.
    pub const DEFAULT: Self = Self {
        desired_tx: Interval::from_millis(300),
        required_rx: Interval::from_millis(300),
        multiplier: NonZeroU8::MIN.saturating_add(2),
    };

    const SHORTEST: Interval = Interval::from_millis(10);
    const LONGEST: Interval = Interval::from_millis(60_000);

    /// We want to send every `desired_tx` (the neighbour may ask for less), the neighbour may send every `required_rx`, and it gives
    /// us up when `multiplier` of our packets are missing.
    ///
    /// # Errors
    ///
    /// An interval outside 10 ms to 60 s, or a multiplier of 0.
    pub fn new(desired_tx: Interval, required_rx: Interval, multiplier: u8) -> Result<Self, BadTiming> {
        for (field, value) in [("the transmit interval", desired_tx), ("the receive interval", required_rx)] {
            if !(Self::SHORTEST..=Self::LONGEST).contains(&value) {
                return Err(BadTiming::Interval { field, value });
            }
        }
        let multiplier = NonZeroU8::new(multiplier).ok_or(BadTiming::Multiplier)?;
        Ok(Self { desired_tx, required_rx, multiplier })
    }

    /// We want to send this often.
    pub fn desired_tx(&self) -> Interval {
        self.desired_tx
    }

    /// The neighbour may send this often.
    pub fn required_rx(&self) -> Interval {
        self.required_rx
    }

    /// So many of our packets have to be missing.
    pub fn multiplier(&self) -> NonZeroU8 {
        self.multiplier
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Who speaks first (RFC 5880 section 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// We send without having heard anything.
    #[default]
    Active,
    /// We wait for the neighbour to speak.
    Passive,
}

/// The time between a packet and the next: up to a quarter less than `interval`, at random. With a multiplier of 1 at least a
/// tenth less, since one late packet would end the session (RFC 5880 section 6.8.7).
pub(crate) fn jittered(interval: Interval, multiplier: NonZeroU8, random: &mut fastrand::Rng) -> Duration {
    let least = if multiplier == NonZeroU8::MIN { 100 } else { 0 };
    let reduction = random.u64(least..=250);
    let micros = u64::from(interval.as_micros());
    Duration::from_micros(micros - (micros * reduction).div_ceil(1000).min(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_up_to_a_quarter_and_with_a_multiplier_of_one_at_least_a_tenth() {
        let mut random = fastrand::Rng::with_seed(7);
        let second = Interval::SLOW;
        let (three, one) = (Timing::DEFAULT.multiplier, NonZeroU8::MIN);
        for (multiplier, longest) in [(three, 1000), (one, 900)] {
            let times: Vec<u128> =
                (0..5000).map(|_| jittered(second, multiplier, &mut random).as_millis()).collect();
            assert!(times.iter().all(|time| (750..=longest).contains(time)), "multiplier {multiplier}");
            assert!(times.iter().any(|time| *time < 755) && times.iter().any(|time| *time > longest - 5));
        }
    }

    #[test]
    fn times_out_of_bounds_are_refused_by_name() {
        let ms = Interval::from_millis;
        let text = |tx, rx, multiplier| Timing::new(tx, rx, multiplier).unwrap_err().to_string();
        assert_eq!(text(ms(9), ms(300), 3), "the transmit interval is 9ms: use 10 ms to 60 s");
        assert_eq!(text(ms(300), ms(60_001), 3), "the receive interval is 60.001s: use 10 ms to 60 s");
        assert_eq!(text(ms(300), ms(300), 0), "the detect multiplier is 0: use 1 to 255, better 3");
        assert_eq!(Timing::new(ms(300), ms(300), 3), Ok(Timing::DEFAULT));
        assert!(Timing::new(ms(10), ms(60_000), 255).is_ok());
    }

    #[test]
    fn the_extremes_of_the_wire_are_no_trouble() {
        let mut random = fastrand::Rng::with_seed(7);
        for micros in [0, 1, 2, u32::MAX] {
            let interval = Interval::from_micros(micros);
            assert!(jittered(interval, NonZeroU8::MIN, &mut random) <= interval.as_duration());
        }
        assert_eq!(Interval::from_millis(u32::MAX).as_micros(), u32::MAX);
    }
}
