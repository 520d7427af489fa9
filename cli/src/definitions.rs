// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb crds`: the CustomResourceDefinitions of our kinds.

use std::io::Write;

use anyhow::Context;
use ferrolb_config::api::crds;

/// Writes them as one YAML stream, as `kubectl apply -f -` takes it.
///
/// # Errors
/// `out` cannot be written.
pub fn write(out: &mut dyn Write) -> anyhow::Result<()> {
    for definition in crds() {
        let text = serde_saphyr::to_string(&definition).context("writing a definition as YAML")?;
        write!(out, "---\n{text}")?;
    }
    Ok(())
}
