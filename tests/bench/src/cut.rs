// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The cable of a node is pulled that a router watches by BFD: when does the router's kernel stop sending to it, and how many
//! requests are lost meanwhile? FerroLB and FRR take turns as the node.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::probe::Requests;
use ferrolb_lab::rack::{Moment, Rack, Watched};
use serde::{Deserialize, Serialize};

use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::rack::{NODES, Router, Sender, Stand};
use crate::ratio::Ratio;
use crate::report::{Book, Budget};

/// A router that has not noticed by then goes by the hold time.
const PATIENCE: Duration = Duration::from_secs(15);
/// Requests are watched for so long before the cut, and after the route has gone.
const AROUND: Duration = Duration::from_millis(600);

/// How often, how closely watched.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Cuts for each router and sender
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Milliseconds between two BFD packets; three may be missed
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval: u64,
    /// These routers alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = [Router::Bird, Router::Frr])]
    routers: Vec<Router>,
    /// These senders alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = [Sender::Ferrolb, Sender::Frr])]
    senders: Vec<Sender>,
}

/// One cut; milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    router: Router,
    sender: Sender,
    run: u32,
    /// Between two BFD packets.
    interval: u64,
    /// From the cut until the router's kernel sent nothing to the node any more.
    gone: f64,
    /// From the cut to the last request that was lost.
    dark: f64,
    made: usize,
    lost: usize,
    stall: f64,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    let every = arguments.interval;
    println!("Cut: a node of {NODES} goes dark; BFD each {every} ms, three times.");
    for router in arguments.routers.iter().filter(|router| router.is_possible()) {
        let senders = arguments.senders.iter().filter(|sender| sender.is_possible());
        let mut stands: Vec<(Sender, Option<Stand>)> = senders.map(|sender| (*sender, None)).collect();
        for run in 0..arguments.runs {
            for (sender, stand) in &mut stands {
                let done = |one: &Record| {
                    (one.router, one.sender, one.run, one.interval) == (*router, *sender, run, every)
                };
                if book.report.cut.iter().any(done) {
                    continue;
                }
                if budget.is_spent() {
                    return Ok(());
                }
                let stand = match stand {
                    Some(stand) => stand,
                    None => {
                        let interval = Duration::from_millis(every);
                        let watched = Watched { interval, graceful_restart: false };
                        stand.insert(Stand::build(binary, *router, *sender, watched)?)
                    }
                };
                let record = measure(stand, *router, *sender, run, every)?;
                println!("{record}");
                book.report.cut.push(record);
                book.save()?;
            }
        }
    }
    Ok(())
}

fn measure(stand: &Stand, router: Router, sender: Sender, run: u32, interval: u64) -> Result<Record> {
    let nodes = &stand.lab().nodes;
    let node = usize::try_from(run).ok().and_then(|run| nodes.get(run % nodes.len())).context("no nodes")?;
    stand.settles()?;
    let requests = Requests::start(&stand.lab().client, Rack::target())?;
    // At any phase of the interval.
    thread::sleep(AROUND + Duration::from_millis(interval).mul_f64(fastrand::f64()));
    // On a busy machine a session may have ended by itself.
    stand.leads_to_all()?;
    let (begun, at) = (Moment::now(), Instant::now());
    stand.lab().cut(node)?;
    let gone = stand.rack().routes().leave(node.place().ipv4(), begun, PATIENCE);
    thread::sleep(AROUND);
    let report = requests.finish()?;
    stand.lab().plug(node)?;
    let last = report.lost.iter().map(|lost| lost.saturating_duration_since(at)).max();
    Ok(Record {
        router,
        sender,
        run,
        interval,
        gone: milliseconds(gone?),
        dark: milliseconds(last.unwrap_or_default()),
        made: report.made,
        lost: report.lost.len(),
        stall: milliseconds(report.stall),
    })
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { router, sender, run, gone, dark, made, lost, stall, .. } = self;
        write!(
            f,
            "{sender} to {router} {run:3}: route gone after {gone:.1} ms; {lost} of {made} requests lost, the last {dark:.0} ms \
             after the cut; own stall {stall:.1} ms"
        )
    }
}

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        let every = first.interval;
        let all: Vec<&Record> = self.0.iter().filter(|one| one.interval == every).collect();
        writeln!(f, "### A node of {NODES} goes dark, BFD each {every} ms, three times\n")?;
        let mut columns: Vec<(Router, Sender)> = all.iter().map(|one| (one.router, one.sender)).collect();
        columns.sort();
        columns.dedup();
        let of = |(router, sender)| {
            all.iter().filter(move |one| (one.router, one.sender) == (router, sender)).copied()
        };
        let titles: Vec<String> =
            columns.iter().map(|(router, sender)| format!("{sender} to {router}")).collect();
        head(f, "min / median / max", &titles)?;
        let mut line = |label: &str, cell: &dyn Fn((Router, Sender)) -> String| {
            row(f, label, &columns.iter().map(|column| cell(*column)).collect::<Vec<_>>())
        };
        line("route gone from the router's kernel, ms", &|column| {
            or_dash(Quantiles::of_milliseconds(of(column).map(|one| one.gone)))
        })?;
        line("the last request lost, ms after the cut", &|column| {
            or_dash(Quantiles::of_milliseconds(of(column).map(|one| one.dark)))
        })?;
        line("requests lost of those made", &|column| {
            let (lost, made) =
                of(column).fold((0, 0), |(lost, made), one| (lost + one.lost, made + one.made));
            format!("{lost} of {made}")
        })?;
        line("cuts", &|column| of(column).count().to_string())?;
        line("FerroLB to FRR as the node, ratio of medians", &|(router, sender)| {
            let gone = |sender| -> Vec<Duration> {
                of((router, sender)).map(|one| Duration::from_secs_f64(one.gone / 1000.0)).collect()
            };
            let ratio = Ratio::of(&gone(Sender::Ferrolb), &gone(Sender::Frr));
            if sender == Sender::Ferrolb { or_dash(ratio) } else { "1".to_owned() }
        })?;
        writeln!(f)
    }
}
