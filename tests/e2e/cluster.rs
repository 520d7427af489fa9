// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What every test starts from.

use std::path::Path;

use anyhow::Result;
use ferrolb_lab::Lab;
use ferrolb_lab::installation::{Contestant, Installation};
use ferrolb_lab::quickstart;

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ferrolb"))
}

/// The quickstart on `nodes` nodes, settled.
pub(crate) fn quickstart(nodes: u8) -> Result<Contestant> {
    let manifests = quickstart::manifests_for(nodes);
    let manifests: Vec<(&str, &str)> = manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut installation = Installation::prepare(Lab::build(nodes)?, binary(), &manifests)?;
    installation.start()?;
    installation.contend(quickstart::ECHO, quickstart::ECHO_UDP)
}
