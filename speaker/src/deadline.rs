// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A moment that may never come, to be waited for beside other things.

use std::future;

use tokio::time::{Instant, sleep_until};

/// Returns at `moment`, or never if there is none. Safe to cancel.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => future::pending().await,
    }
}
