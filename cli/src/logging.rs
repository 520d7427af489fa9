// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Log lines, on standard error.

use std::env;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::format::LogFormat;

/// Sends log lines to standard error. `asks` is for commands that answer a question: they log warnings only, unless
/// `verbose` asks for more. `RUST_LOG` outranks both.
///
/// # Errors
/// `RUST_LOG` cannot be read as a filter, or a logger is already in place.
pub fn start(format: LogFormat, verbose: u8, asks: bool) -> anyhow::Result<()> {
    // A target means every module path that begins so: `ferrolb` is all of our crates. Every failed try of kube's client
    // is an error in its eyes; ours tell the cause once.
    let usual = match (verbose, asks) {
        (0, true) => "warn,kube_client=off",
        (0, false) => "info,kube_client=off",
        (1, _) => "info,ferrolb=debug,kube_client=off",
        (2.., _) => "debug,ferrolb=trace",
    };
    let wished = env::var("RUST_LOG").ok().filter(|wished| !wished.is_empty());
    let filter = EnvFilter::builder().parse(wished.as_deref().unwrap_or(usual)).context(
        "reading the environment variable RUST_LOG (example: RUST_LOG=info,ferrolb_speaker=debug)",
    )?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(anyhow::Error::from_boxed)
    .context("starting the log")
}
