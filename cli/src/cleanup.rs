// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb cleanup`: removes at once what FerroLB put into this machine's kernel.

use std::io::Write;

use anyhow::{Context, anyhow};
use ferrolb_speaker::{bound, datapath};

/// Removes it and writes what was there.
///
/// # Errors
/// The right to change nftables or addresses is missing, or the program nft, or `out` cannot be written.
pub fn now(out: &mut dyn Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let removed = runtime
        .context("starting the runtime")?
        .block_on(datapath::cleanup())
        .map_err(|condition| anyhow!("{condition}"))
        .context("removing the nftables table inet ferrolb")?;
    let bound = bound::cleanup().context("taking addresses off the interfaces")?;
    for address in &bound {
        writeln!(out, "Took {address} off its interface.")?;
    }
    match removed {
        None if !bound.is_empty() => {}
        None => writeln!(out, "Nothing of FerroLB is in this machine's kernel.")?,
        Some(ports) => {
            writeln!(
                out,
                "Removed the nftables table inet ferrolb, which translated {} ports.",
                ports.len()
            )?;
            ports.iter().try_for_each(|port| writeln!(out, "  {port}"))?;
        }
    }
    Ok(())
}
