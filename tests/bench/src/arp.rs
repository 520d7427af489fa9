// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! ARP: how many questions a speaker answers, and what it adds to each beside a kernel that answers for its own address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::arp_load;
use serde::{Deserialize, Serialize};

use crate::markdown::{head, or_dash, row};
use crate::population;
use crate::quantiles::Quantiles;
use crate::report::Book;

const THREAD: &str = "layer2";

/// How hard, how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Questions a second while latencies are taken
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How long each part takes, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// What was measured. Latencies in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The kernel, paced.
    kernel: Load,
    /// The speaker, paced.
    paced: Load,
    /// The speaker, as fast as one thread asks.
    flood: Load,
}

/// One part.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Load {
    asked_per_second: f64,
    answered_per_second: f64,
    unanswered: u64,
    /// Share of a core that the layer-2 thread used; 0 for the kernel, which was not measured.
    cores: f64,
    latency_microseconds: Option<Quantiles>,
}

impl Load {
    /// What one core answers a second at this cost for each answer.
    fn per_core(&self) -> Option<f64> {
        (self.cores > 0.0).then(|| self.answered_per_second / self.cores)
    }
}

/// Measures once.
pub(crate) fn run(binary: &Path, arguments: &Arguments, book: &mut Book) -> Result<()> {
    if !book.report.arp.is_empty() {
        return Ok(());
    }
    println!("ARP: {} questions a second, then as many as one thread can.", arguments.rate);
    let span = Duration::from_secs(arguments.seconds);
    let mut installation = population::prepare(binary, 3, 1, &[])?;
    population::start(&mut installation, 1)?;
    let (address, owner) =
        population::carriers(&installation)?.into_iter().next().context("nobody carries the address")?;
    let IpAddr::V4(address) = address else { anyhow::bail!("{address} is no IPv4 address") };
    let station = installation.lab().node(&owner)?.place().ipv4();
    let mut part = |target: Ipv4Addr, rate: Option<u32>| -> Result<Load> {
        let newcomer = installation.lab().newcomer.clone();
        let speaker = installation.speaker(&owner)?;
        let before = speaker.thread_time(THREAD)?;
        let told = arp_load::ask(&newcomer, target, rate, span)?;
        let used = speaker.thread_time(THREAD)?.saturating_sub(before);
        let seconds = told.span.as_secs_f64();
        let micros = told.latencies.iter().map(|latency| latency.as_secs_f64() * 1e6);
        Ok(Load {
            asked_per_second: told.sent as f64 / seconds,
            answered_per_second: told.answered as f64 / seconds,
            unanswered: told.sent.saturating_sub(told.answered),
            cores: if target == address { used.as_secs_f64() / seconds } else { 0.0 },
            latency_microseconds: Quantiles::of_milliseconds(micros),
        })
    };
    let kernel = part(station, Some(arguments.rate))?;
    let paced = part(address, Some(arguments.rate))?;
    let flood = part(address, None)?;
    book.report.arp.push(Figures { kernel, paced, flood });
    book.save()
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Figures { kernel, paced, flood }) = self.0.last() else { return Ok(()) };
        writeln!(f, "### ARP\n")?;
        let columns = ["kernel, its own address", "FerroLB, paced", "FerroLB, flooded"].map(str::to_owned);
        head(f, "one address, one station that asks", &columns)?;
        let mut line =
            |label: &str, cell: &dyn Fn(&Load) -> String| row(f, label, &[kernel, paced, flood].map(cell));
        line("questions a second, achieved", &|one| format!("{:.0}", one.asked_per_second))?;
        line("answers a second", &|one| format!("{:.0}", one.answered_per_second))?;
        line("not answered", &|one| one.unanswered.to_string())?;
        line("core used by the layer-2 thread", &|one| {
            if one.cores > 0.0 { format!("{:.1} %", one.cores * 100.0) } else { "-".to_owned() }
        })?;
        line("answers for each second of a core", &|one| {
            or_dash(one.per_core().map(|answers| format!("{answers:.0}")))
        })?;
        line("latency p50 / p99, µs", &|one| {
            or_dash(one.latency_microseconds.map(|one| format!("{:.0} / {:.0}", one.median, one.p99)))
        })?;
        if let (Some(ours), Some(theirs)) = (paced.latency_microseconds, kernel.latency_microseconds) {
            writeln!(
                f,
                "\nAdded by FerroLB: {:.0} µs at p50, {:.0} µs at p99.\n",
                ours.median - theirs.median,
                ours.p99 - theirs.p99
            )?;
        }
        Ok(())
    }
}
