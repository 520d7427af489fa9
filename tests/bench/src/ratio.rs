// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How much longer one side takes than the other, and how sure that is.

use std::fmt;
use std::time::Duration;

use ferrolb_lab::figures::median;
use serde::Serialize;

/// Resamples for the spread of a ratio.
const RESAMPLES: usize = 4000;

/// How much longer `ours` takes than `theirs`: the ratio of the medians, with the range in which 95 of 100 resamplings fall
/// (percentile bootstrap).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// Ratio of the medians; below 1, ours is shorter.
    pub(crate) median: f64,
    /// 2.5 of 100 resamplings are below.
    pub(crate) low: f64,
    /// 2.5 of 100 resamplings are above.
    pub(crate) high: f64,
}

impl Ratio {
    /// `None` where one side has no values or a median of zero.
    pub(crate) fn of(ours: &[Duration], theirs: &[Duration]) -> Option<Self> {
        let seconds = |values: &[Duration]| values.iter().map(Duration::as_secs_f64).collect::<Vec<f64>>();
        let (ours, theirs) = (seconds(ours), seconds(theirs));
        let middle = quotient(&mut ours.clone(), &mut theirs.clone())?;
        // A fixed seed: the same measurements give the same report.
        let mut random = fastrand::Rng::with_seed(1);
        let mut resample = |values: &[f64]| -> Vec<f64> {
            (0..values.len()).filter_map(|_| values.get(random.usize(0..values.len())).copied()).collect()
        };
        let mut ratios: Vec<f64> =
            (0..RESAMPLES).filter_map(|_| quotient(&mut resample(&ours), &mut resample(&theirs))).collect();
        ratios.sort_by(f64::total_cmp);
        let low = *ratios.get(ratios.len() / 40)?;
        let high = *ratios.get((ratios.len() - 1).saturating_sub(ratios.len() / 40))?;
        Some(Self { median: middle, low, high })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}x ({:.2}-{:.2})", self.median, self.low, self.high))
    }
}

fn quotient(ours: &mut [f64], theirs: &mut [f64]) -> Option<f64> {
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let below = median(theirs)?;
    (below > 0.0).then_some(median(ours)? / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_ratio_lies_within_its_spread_and_is_the_same_each_time() {
        let ours = milliseconds(&[200, 210, 220, 230, 240]);
        let theirs = milliseconds(&[240, 250, 260, 270, 280]);
        let ratio = Ratio::of(&ours, &theirs).expect("a ratio");
        assert!((ratio.median - 220.0 / 260.0).abs() < 1e-9);
        assert!(ratio.low < ratio.median && ratio.median < ratio.high, "{ratio}");
        assert_eq!(Ratio::of(&ours, &theirs), Some(ratio));
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(Ratio::of(&milliseconds(&[0, 0]), &milliseconds(&[0, 0])), None);
        assert_eq!(Ratio::of(&[], &milliseconds(&[1])), None);
    }
}
