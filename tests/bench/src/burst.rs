// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many Services at once, beside a real API server: how long until all have their address, next to a client that makes
//! the same writes and decides nothing, and to MetalLB; and what the controller costs then.

mod bare;
pub(crate) mod cluster;
mod metallb;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_control_plane::Request;
use ferrolb_lab::figures::{median, milliseconds};
use serde::{Deserialize, Serialize};

use crate::report::Book;
use cluster::{Cluster, Side, quiet};

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
    /// Measure MetalLB too: a folder with its programs `controller` and `speaker`, and its definitions under `crds/`
    #[arg(long, value_name = "FOLDER")]
    metallb: Option<PathBuf>,
}

/// What was measured for one number of Services.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    services: usize,
    bare: Bare,
    ferrolb: Figures,
    /// How much longer FerroLB takes for the burst than the bare client.
    ratio: f64,
    metallb: Option<Figures>,
}

/// What the bare client takes.
#[derive(Debug, Serialize, Deserialize)]
struct Bare {
    /// From the first creation to the last address.
    seconds: f64,
    /// One Service more at rest: milliseconds from its creation to its address.
    single_p50: f64,
}

/// What FerroLB takes, or a peer.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    seconds: f64,
    /// Seconds on a processor meanwhile: of the controller, and of the speaker that used most.
    controller_processor: f64,
    speaker_processor: f64,
    /// Writes at the API server for each Service, its creation included; leases, events and the state of FerroLB's
    /// speakers apart.
    writes_per_service: f64,
    events: u64,
    /// Writes of the state of FerroLB's speakers.
    speakers: u64,
    /// One Service more at rest: milliseconds from its creation to its address.
    single_p50: f64,
    single_worst: f64,
    /// One Service more right after the controller started again, in seconds, and how many other writes that start
    /// caused.
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

/// Measures a row for each number of Services that is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &BurstArguments, book: &mut Book) -> Result<()> {
    for &count in &arguments.services {
        if book.report.burst.iter().any(|row| row.services == count) {
            continue;
        }
        println!("\n{count} Services at once.");
        let row = row(binary, count, arguments).with_context(|| format!("{count} Services"))?;
        book.report.burst.push(row);
        book.save()?;
    }
    Ok(())
}

fn row(binary: &Path, count: usize, arguments: &BurstArguments) -> Result<Row> {
    let rest = Duration::from_secs(arguments.rest_seconds);
    let bare = Cluster::with(binary, Side::FerroLB, async |cluster| {
        quiet(cluster).await?;
        let seconds = bare::run(cluster, count).await?.as_secs_f64();
        quiet(cluster).await?;
        let singles = singles(async |number| bare::one_more(cluster, count + 1 + number).await).await?;
        Ok(Bare { seconds, single_p50: median(&singles).unwrap_or_default() })
    })?;
    println!("  bare client: {:.2} s", bare.seconds);
    let measured = |side| {
        Cluster::with(binary, side, async |cluster| {
            let figures = figures(cluster, count, rest).await;
            figures.with_context(|| cluster.installation.logs())
        })
    };
    let ferrolb = measured(Side::FerroLB)?;
    println!("  FerroLB: {:.2} s", ferrolb.seconds);
    let metallb = arguments.metallb.as_deref().map(|folder| measured(Side::MetalLB(folder))).transpose()?;
    if let Some(metallb) = &metallb {
        println!("  MetalLB: {:.2} s", metallb.seconds);
    }
    Ok(Row { services: count, ratio: ferrolb.seconds / bare.seconds, bare, ferrolb, metallb })
}

async fn figures(cluster: &mut Cluster, count: usize, rest: Duration) -> Result<Figures> {
    cluster.start_controller()?;
    // It leads once a first Service has its address.
    cluster.one_more("warm").await?;
    quiet(cluster).await?;
    let before = cluster.requests()?;
    let (controller, speaker) = (cluster.controllers_use()?, cluster.speakers_use()?);
    let mut seen = cluster.watch().await?;
    let (start, last) = tokio::try_join!(cluster.create(count, None), seen.all(count))?;
    let took = last.duration_since(start);
    let controller = cluster.controllers_use()?.processor.saturating_sub(controller.processor);
    let speaker = cluster.speakers_use()?.processor.saturating_sub(speaker.processor);
    quiet(cluster).await?;
    let since = cluster.requests()?.since(&before);
    let events = since.count(|request| request.writes() && request.resource == "events");
    let speakers = since.count(|request| request.writes() && request.resource == "speakers");
    let writes = since.count(is_of_interest);

    let singles = singles(async |number| cluster.one_more(&format!("single-{number}")).await).await?;

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

    let (before, worked) = (cluster.requests()?, cluster.controllers_use()?.processor);
    tokio::time::sleep(rest).await;
    let works = cluster.controllers_use()?;
    let at_rest = cluster.requests()?.since(&before);
    Ok(Figures {
        seconds: took.as_secs_f64(),
        controller_processor: controller.as_secs_f64(),
        speaker_processor: speaker.as_secs_f64(),
        writes_per_service: writes as f64 / count as f64,
        events,
        speakers,
        single_p50: median(&singles).unwrap_or_default(),
        single_worst: singles.last().copied().unwrap_or_default(),
        after_restart: after_restart.as_secs_f64(),
        rewritten,
        writes_at_rest: at_rest.writes(),
        rest_seconds: rest.as_secs(),
        percent_of_a_core: 100.0 * works.processor.saturating_sub(worked).as_secs_f64() / rest.as_secs_f64(),
        controller_mebibytes: works.mebibytes,
        speaker_mebibytes: cluster.speakers_use()?.mebibytes,
    })
}

/// Creates Services one by one; the milliseconds of each, in ascending order.
async fn singles(one_more: impl AsyncFn(usize) -> Result<Duration>) -> Result<Vec<f64>> {
    let mut singles = Vec::with_capacity(SINGLES);
    for number in 0..SINGLES {
        singles.push(milliseconds(one_more(number).await?));
        tokio::time::sleep(APART).await;
    }
    singles.sort_by(f64::total_cmp);
    Ok(singles)
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
        self.0.iter().try_for_each(|row| {
            writeln!(
                f,
                "{} Services at once, 4 creators, 3 speakers, an API server of its own for each:",
                row.services
            )?;
            let singles = format!("one more, at rest {:.1} ms", row.bare.single_p50);
            writeln!(f, "  bare client                   {:8.2} s   {singles}", row.bare.seconds)?;
            writeln!(f, "  FerroLB to the bare client    {:8.2}", row.ratio)?;
            table("FerroLB", &row.ferrolb, f)?;
            if let Some(metallb) = &row.metallb {
                let ratio = metallb.seconds / row.ferrolb.seconds;
                writeln!(f, "  MetalLB to FerroLB            {ratio:8.2}")?;
                table("MetalLB", metallb, f)?;
            }
            Ok(())
        })
    }
}

fn table(name: &str, figures: &Figures, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Figures { seconds, controller_processor, speaker_processor, .. } = figures;
    writeln!(f, "  {name}: all have an address  {seconds:8.2} s")?;
    writeln!(
        f,
        "    on a processor meanwhile    {controller_processor:8.2} s   the controller; a speaker {speaker_processor:.2} s"
    )?;
    writeln!(
        f,
        "    API writes per Service      {:8.2}     and {} events, {} states of speakers",
        figures.writes_per_service, figures.events, figures.speakers
    )?;
    writeln!(
        f,
        "    one more, at rest           {:8.1} ms  worst of {SINGLES}: {:.1} ms",
        figures.single_p50, figures.single_worst
    )?;
    writeln!(
        f,
        "    one more, after a restart   {:8.2} s   {} other writes",
        figures.after_restart, figures.rewritten
    )?;
    writeln!(
        f,
        "    writes in {:3} s at rest     {:8}     {:.2} % of a core",
        figures.rest_seconds, figures.writes_at_rest, figures.percent_of_a_core
    )?;
    writeln!(
        f,
        "    the controller's memory     {:8.1} MiB a speaker's: {:.1} MiB",
        figures.controller_mebibytes, figures.speaker_mebibytes
    )
}
