// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Log lines, on standard error.

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::arguments::LogFormat;

/// Sends log lines to standard error. `quiet` is for commands that answer a question: they log warnings only,
/// unless `verbose` asks for more. `RUST_LOG` outranks both.
///
/// # Errors
/// `RUST_LOG` cannot be read as a filter, or a logger is already in place.
pub fn start(format: LogFormat, verbose: u8, quiet: bool) -> anyhow::Result<()> {
    let level = match (verbose, quiet) {
        (0, true) => LevelFilter::WARN,
        (0, false) => LevelFilter::INFO,
        (1, _) => LevelFilter::DEBUG,
        (2.., _) => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env().context(
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
