// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! End to end, one at a time: tests that need the machine for themselves, or take it.

mod cluster;
mod demo;
mod hogs;
mod storm;

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program runs.
fn alone() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
