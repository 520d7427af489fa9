// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many Services at once, beside a real API server: how long until all have their address, next to a client that makes
//! the same writes and decides nothing; and what the controller costs then.

mod bare;
mod cluster;

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_control_plane::Request;
use ferrolb_lab::figures::{median, milliseconds};
use serde::Serialize;

use cluster::{Cluster, quiet};

/// How many Services are created one by one at rest.
const SINGLES: usize = 40;
/// Each one alone: what its predecessor still does must not help or hinder it.
const APART: Duration = Duration::from_millis(200);

/// Bursts of Services beside a real API server: time to the last address, API writes, memory.
#[derive(Args, Debug)]
pub(crate) struct BurstArguments {
    /// How many Services at once; several rows for several numbers
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    services: Vec<usize>,
    /// How long to watch the controller at rest, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    rest_seconds: u64,
}

/// What was measured for one number of Services.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    services: usize,
    /// The bare client: seconds from the first creation to the last address.
    bare_seconds: f64,
    /// FerroLB: the same.
    seconds: f64,
    /// How much longer than the bare client.
    ratio: f64,
    /// Writes at the API server for each Service, its creation included; leases, events and the state of speakers apart.
    writes_per_service: f64,
    events: u64,
    /// Writes of the speakers' state.
    speakers: u64,
    /// One Service more at rest: milliseconds from its creation to its address, by the bare client and by FerroLB.
    bare_single_p50: f64,
    single_p50: f64,
    single_p99: f64,
    /// One Service more right after the controller started again, and how many other writes that start caused.
    after_restart: f64,
    rewritten: u64,
    /// Writes at rest, leases apart.
    writes_at_rest: u64,
    rest_seconds: u64,
    /// The controller's share of a core at rest, in percent.
    percent_of_a_core: f64,
    controller_mebibytes: f64,
    /// Of the speaker that has the most.
    speaker_mebibytes: f64,
}

/// What the bare client takes.
struct Bare {
    burst: Duration,
    single_p50: f64,
}

/// Measures a row for each number of Services.
pub(crate) fn run(binary: &Path, arguments: &BurstArguments) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &count in &arguments.services {
        println!("\n{count} Services at once.");
        let rest = Duration::from_secs(arguments.rest_seconds);
        rows.push(row(binary, count, rest).with_context(|| format!("{count} Services"))?);
    }
    Ok(rows)
}

fn row(binary: &Path, count: usize, rest: Duration) -> Result<Row> {
    let bare = Cluster::with(binary, async |cluster| {
        quiet(cluster).await?;
        let burst = bare::run(cluster, count).await?;
        quiet(cluster).await?;
        let mut singles = Vec::new();
        for number in 0..SINGLES {
            singles.push(milliseconds(bare::one_more(cluster, count + 1 + number).await?));
            tokio::time::sleep(APART).await;
        }
        Ok(Bare { burst, single_p50: median(&singles).unwrap_or_default() })
    })?;
    println!("  bare client: {:.2} s", bare.burst.as_secs_f64());
    Cluster::with(binary, async |cluster| {
        let row = ours(cluster, count, &bare, rest).await;
        row.with_context(|| cluster.installation.logs())
    })
}

async fn ours(cluster: &mut Cluster, count: usize, bare: &Bare, rest: Duration) -> Result<Row> {
    cluster.start_controller()?;
    // It leads once a first Service has its address.
    cluster.one_more("warm").await?;
    quiet(cluster).await?;
    let before = cluster.requests()?;
    let mut seen = cluster.watch().await?;
    let (start, last) = tokio::try_join!(cluster.create(count, None), seen.all(count))?;
    let took = last.duration_since(start);
    println!("  FerroLB: {:.2} s", took.as_secs_f64());
    quiet(cluster).await?;
    let since = cluster.requests()?.since(&before);
    let events = since.count(|request| request.writes() && request.resource == "events");
    let speakers = since.count(|request| request.writes() && request.resource == "speakers");
    let writes = since.count(is_of_interest);

    let mut singles = Vec::new();
    for number in 0..SINGLES {
        singles.push(milliseconds(cluster.one_more(&format!("single-{number}")).await?));
        tokio::time::sleep(APART).await;
    }
    singles.sort_by(f64::total_cmp);

    quiet(cluster).await?;
    let before = cluster.requests()?;
    cluster.stop_controller()?;
    let start = Instant::now();
    cluster.start_controller()?;
    cluster.one_more("after-restart").await?;
    let after_restart = start.elapsed();
    quiet(cluster).await?;
    let restarted = cluster.requests()?.since(&before);
    // Its creation, its record, its status, and the use of the pool.
    let rewritten = restarted.count(is_of_interest).saturating_sub(4);

    let (before, (worked, _)) = (cluster.requests()?, cluster.controller()?);
    tokio::time::sleep(rest).await;
    let (works, controller_mebibytes) = cluster.controller()?;
    let at_rest = cluster.requests()?.since(&before);
    Ok(Row {
        services: count,
        bare_seconds: bare.burst.as_secs_f64(),
        seconds: took.as_secs_f64(),
        ratio: took.as_secs_f64() / bare.burst.as_secs_f64(),
        writes_per_service: writes as f64 / count as f64,
        events,
        speakers,
        bare_single_p50: bare.single_p50,
        single_p50: median(&singles).unwrap_or_default(),
        single_p99: singles.last().copied().unwrap_or_default(),
        after_restart: after_restart.as_secs_f64(),
        rewritten,
        writes_at_rest: at_rest.writes(),
        rest_seconds: rest.as_secs(),
        percent_of_a_core: 100.0 * works.saturating_sub(worked).as_secs_f64() / rest.as_secs_f64(),
        controller_mebibytes,
        speaker_mebibytes: cluster.largest_speaker()?,
    })
}

/// Writes of Services, records and pools. The API server itself writes leases and, for each Service, its cluster address;
/// speakers tell their own state now and then.
fn is_of_interest(request: &Request) -> bool {
    let others = ["leases", "events", "ipaddresses", "speakers"];
    request.writes() && !others.contains(&request.resource.as_str())
}

/// The rows as a table for people.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for row in self.0 {
            writeln!(
                text,
                "{} Services at once, 4 creators, 3 speakers, an API server of its own for each side:",
                row.services
            )?;
            writeln!(text, "  all have an address after   {:8.2} s", row.seconds)?;
            writeln!(
                text,
                "  a bare client               {:8.2} s   ratio {:.2}",
                row.bare_seconds, row.ratio
            )?;
            writeln!(
                text,
                "  API writes per Service      {:8.2}     and {} events, {} states of speakers",
                row.writes_per_service, row.events, row.speakers
            )?;
            writeln!(
                text,
                "  one more, at rest           {:8.1} ms  worst of {SINGLES}: {:.1} ms; the bare client {:.1} ms",
                row.single_p50, row.single_p99, row.bare_single_p50
            )?;
            writeln!(
                text,
                "  one more, after a restart   {:8.2} s   {} other writes",
                row.after_restart, row.rewritten
            )?;
            writeln!(
                text,
                "  writes in {:3} s at rest     {:8}     {:.2} % of a core",
                row.rest_seconds, row.writes_at_rest, row.percent_of_a_core
            )?;
            writeln!(
                text,
                "  the controller's memory     {:8.1} MiB a speaker's: {:.1} MiB",
                row.controller_mebibytes, row.speaker_mebibytes
            )?;
        }
        f.write_str(&text)
    }
}
