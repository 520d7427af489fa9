// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many values in a few figures.

use std::fmt;
use std::time::Duration;

use ferrolb_lab::figures::{median, milliseconds};
use serde::{Deserialize, Serialize};

/// Of values in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    /// 99 of 100 values are not above.
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Quantiles {
    /// `None` if there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = Duration>) -> Option<Self> {
        Self::of_milliseconds(values.into_iter().map(milliseconds))
    }

    /// The same of values that are milliseconds already.
    pub(crate) fn of_milliseconds(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            count: sorted.len(),
            min: *sorted.first()?,
            median: median(&sorted)?,
            p99: *sorted.get((sorted.len() * 99).div_ceil(100).saturating_sub(1))?,
            max: *sorted.last()?,
        })
    }
}

/// Least, middle and greatest.
impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} / {:.1} / {:.1}", self.min, self.median, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_values_the_last_but_one_is_the_99th_percentile() {
        let quantiles = Quantiles::of((1..=100).map(Duration::from_millis)).expect("values");
        assert_eq!((quantiles.min, quantiles.median, quantiles.p99, quantiles.max), (1.0, 50.5, 99.0, 100.0));
        assert_eq!(Quantiles::of([]), None);
        assert_eq!(Quantiles::of([Duration::from_millis(7)]).map(|one| one.p99), Some(7.0));
    }
}
