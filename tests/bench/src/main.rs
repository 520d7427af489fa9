// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb-bench`: what FerroLB does beside what its peers do, in the same run on the same machine. Ratios come first: milliseconds
//! depend on the machine, a ratio much less.

mod failover;
mod idle;
mod ratio;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use ferrolb_lab::{interrupt, keepalived, rights};

/// Figures beside the peers': crash, planned hand-over, memory and processor time at rest.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// Crashes and hand-overs of each contender
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The ferrolb binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    ferrolb: Option<PathBuf>,
    /// How long to watch idle speakers, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    idle_seconds: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    failover: failover::Row,
    idle: idle::Idle,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rights::enter_user_namespace()?;
    interrupt::remove_labs_when_told_to_stop()?;
    let binary = match &arguments.ferrolb {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("ferrolb"),
    };
    let binary = binary.canonicalize().with_context(|| {
        format!(
            "looking for the ferrolb binary at {}: build it with `cargo build --release -p ferrolb`",
            binary.display()
        )
    })?;
    ensure!(
        keepalived::is_installed(),
        "keepalived is not installed: it is the peer that FerroLB is measured beside"
    );

    let failover = failover::run(&binary, arguments.runs)?;
    print!("\n{failover}");
    let idle = idle::run(&binary, std::time::Duration::from_secs(arguments.idle_seconds))?;
    print!("\n{idle}");
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&Report { failover, idle })?;
        fs::write(path, text + "\n").with_context(|| format!("writing the report {}", path.display()))?;
        println!("\nThe figures are in {}.", path.display());
    }
    Ok(())
}
