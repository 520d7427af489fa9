// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Waiting for programs that take a moment.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// A machine with two cores and ten others at work starts an API server in less.
pub(crate) const START: Duration = Duration::from_secs(180);

/// Asks until `look` succeeds, or returns its last error after `patience`.
pub(crate) fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
