// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Waiting for what takes a moment.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A fault is survived within this on any machine, however busy.
pub(crate) const SOON: Duration = Duration::from_secs(3);

/// What passes through files takes longer where other programs wait for the same disk.
pub(crate) const SLOWLY: Duration = Duration::from_secs(30);

/// Waits until `look` finds what it looks for.
pub(crate) fn eventually<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("{what} within {patience:?}")));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// An error unless `seen` is `wanted`.
pub(crate) fn expect<T: PartialEq + Debug>(seen: &T, wanted: &T) -> Result<()> {
    if seen != wanted {
        bail!("{seen:?} instead of {wanted:?}");
    }
    Ok(())
}
