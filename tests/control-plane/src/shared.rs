// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One control plane for all tests of a program that can share.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::{ControlPlane, Options};

static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();

/// A control plane with the default options, started by the first test that asks. Nobody may stop it, and it ends with this process.
/// Tests keep apart by namespaces and names of their own.
///
/// # Errors
/// It could not be started.
pub fn shared() -> Result<&'static ControlPlane> {
    let started =
        SHARED.get_or_init(|| ControlPlane::start(Options::default()).map_err(|error| format!("{error:#}")));
    started.as_ref().map_err(|error| anyhow!("{error}"))
}
