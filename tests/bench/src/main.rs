// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb-bench`: what FerroLB does beside what its peers do, in the same run on the same machine. Ratios come first: milliseconds
//! depend on the machine, a ratio much less.

mod burst;
mod failover;
mod idle;
mod ratio;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;

use ferrolb_lab::{interrupt, keepalived, rights};

/// Figures beside the peers': crash, planned hand-over, memory and processor time at rest; and bursts of Services at a real
/// API server.
#[derive(Parser, Debug)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// One of the measurements alone [default: all]
    #[command(subcommand)]
    measurement: Option<Measurement>,
    #[command(flatten)]
    burst: burst::BurstArguments,
    /// Crashes and hand-overs of each contender
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE", global = true)]
    report: Option<PathBuf>,
    /// The ferrolb binary [default: the one beside this program]
    #[arg(long, value_name = "FILE", global = true)]
    ferrolb: Option<PathBuf>,
    /// How long to watch idle speakers, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    idle_seconds: u64,
}

#[derive(Subcommand, Debug)]
enum Measurement {
    Burst(burst::BurstArguments),
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    failover: failover::Row,
    idle: idle::Idle,
    burst: Vec<burst::Row>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
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
    rights::enter_user_namespace()?;
    interrupt::remove_labs_when_told_to_stop()?;
    if let Some(Measurement::Burst(burst)) = &arguments.measurement {
        let rows = burst::run(&binary, burst)?;
        print!("\n{}", burst::Table(&rows));
        return write_report(arguments.report.as_deref(), &rows);
    }
    ensure!(
        keepalived::is_installed(),
        "keepalived is not installed: it is the peer that FerroLB is measured beside"
    );

    let failover = failover::run(&binary, arguments.runs)?;
    print!("\n{failover}");
    let idle = idle::run(&binary, std::time::Duration::from_secs(arguments.idle_seconds))?;
    print!("\n{idle}");
    let burst = burst::run(&binary, &arguments.burst)?;
    print!("\n{}", burst::Table(&burst));
    write_report(arguments.report.as_deref(), &Report { failover, idle, burst })
}

fn write_report(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    if let Some(path) = path {
        let text = serde_json::to_string_pretty(report)?;
        fs::write(path, text + "\n").with_context(|| format!("writing the report {}", path.display()))?;
        println!("\nThe figures are in {}.", path.display());
    }
    Ok(())
}
