// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors
//! Leaving in order when the user presses Ctrl-C.

use anyhow::Result;

use crate::leftovers;

/// Removes every lab that this process has built, whoever holds it. For a handler that is about to end the process: destructors do not
/// run then.
///
/// # Errors
/// The kernel refuses.
pub fn remove_all_labs() -> Result<()> {
    let pid = std::process::id();
    leftovers::remove(|lab| lab.made_by(pid))
}
