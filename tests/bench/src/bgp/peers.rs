// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A hundred sessions with a thousand routes each: what they cost the sender until all routers have everything, and at rest.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::router::Wire;
use serde::{Deserialize, Serialize};

use super::receiver::{Look, Receiver};
use super::sender::{self, Kind, Load};
use super::{Colour, router_address};
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::report::{Book, Budget};

/// Until everything is everywhere.
const PATIENCE: Duration = Duration::from_secs(300);
/// Before the sender is called at rest.
const SETTLE: Duration = Duration::from_secs(10);

/// How many sessions, how many routes, for how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Sessions with as many addresses of one BIRD
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=200))]
    sessions: u8,
    /// Routes in each of them
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    routes: u32,
    /// Runs for each contender
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How long each is watched at rest, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    rest_seconds: u64,
    /// These contenders alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = [Kind::Ferrolb, Kind::Bird, Kind::Gobgp])]
    contenders: Vec<Kind>,
}

/// One run of one contender. Times in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    kind: Kind,
    sessions: u8,
    routes: usize,
    run: u32,
    /// From the router's start until it has everything in all sessions: mostly how long senders pause between attempts.
    all: f64,
    /// Processor time of the sender meanwhile.
    processor: f64,
    /// From the edit or command that changes the attributes of all routes until all routers know.
    changed: f64,
    /// Processor time of the sender for that.
    changed_processor: f64,
    percent_at_rest: f64,
    resident_mebibytes: f64,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    let load = Load { routes: usize::try_from(arguments.routes)?, sessions: arguments.sessions };
    println!("BGP: {} sessions with {} routes each.", load.sessions, load.routes);
    for run in 0..arguments.runs {
        for kind in &arguments.contenders {
            let key = (*kind, load.sessions, load.routes, run);
            if book.report.peers.iter().any(|done| (done.kind, done.sessions, done.routes, done.run) == key) {
                continue;
            }
            if budget.is_spent() {
                return Ok(());
            }
            let record = measure(*kind, binary, load, run, Duration::from_secs(arguments.rest_seconds))?;
            println!("  {record:?}");
            book.report.peers.push(record);
            book.save()?;
        }
    }
    Ok(())
}

fn measure(kind: Kind, binary: &Path, load: Load, run: u32, rest: Duration) -> Result<Record> {
    let Load { routes, sessions } = load;
    let wire = Wire::build()?;
    let more: String =
        (1..sessions).map(|number| format!("addr add {}/24 dev eth0\n", router_address(number))).collect();
    wire.router.ip(&more)?;
    let mut sender = sender::start(kind, binary, &wire, load)?;
    // One router that does not count: until then the sender was reading its routes in.
    let is_all = |look: &Look| look.is_complete(routes);
    let mut first = Receiver::start(&wire, sessions, false)?;
    first.wait("complete tables", PATIENCE, is_all)?;
    drop(first);

    let before = sender.process().processor_time()?;
    let begun = Instant::now();
    let mut router = Receiver::start(&wire, sessions, false)?;
    let look = router.wait("complete tables", PATIENCE, is_all)?;
    let all = milliseconds(begun.elapsed());
    let after = sender.process().processor_time()?;

    let taken = look.taken();
    let edited = Instant::now();
    sender.paint(Colour::Second)?;
    let wanted = taken + routes * usize::from(sessions);
    router.wait("changed tables", PATIENCE, |look| look.taken() >= wanted)?;
    let changed = milliseconds(edited.elapsed());
    router.check_colour(Colour::Second, routes)?;
    let painted = sender.process().processor_time()?;

    thread::sleep(SETTLE);
    let resting = sender.process().processor_time()?;
    thread::sleep(rest);
    let used = sender.process().processor_time()?.saturating_sub(resting);
    Ok(Record {
        kind,
        sessions,
        routes,
        run,
        all,
        processor: milliseconds(after.saturating_sub(before)),
        changed,
        changed_processor: milliseconds(painted.saturating_sub(after)),
        percent_at_rest: used.as_secs_f64() / rest.as_secs_f64() * 100.0,
        resident_mebibytes: sender.process().resident_bytes()? as f64 / f64::from(1 << 20),
    })
}

/// A figure of a run.
type Pick = fn(&Record) -> f64;

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.0.last() else { return Ok(()) };
        let (sessions, routes) = (last.sessions, last.routes);
        let same = |one: &&Record| (one.sessions, one.routes) == (sessions, routes);
        let records: Vec<&Record> = self.0.iter().filter(same).collect();
        writeln!(f, "### {sessions} sessions with {routes} routes each\n")?;
        head(f, "min / median / max", &Kind::ALL.map(|kind| kind.to_string()))?;
        let rows: [(&str, Pick); 6] = [
            ("processor time until all routers have all, ms", |one| one.processor),
            ("from the router's start until then, ms", |one| one.all),
            ("attributes of all changed, ms", |one| one.changed),
            ("processor time for that, ms", |one| one.changed_processor),
            ("% of a core at rest", |one| one.percent_at_rest),
            ("RSS, MiB", |one| one.resident_mebibytes),
        ];
        for (label, pick) in rows {
            let cell = |kind: Kind| {
                let of_kind = records.iter().filter(|one| one.kind == kind).map(|one| pick(one));
                or_dash(Quantiles::of_milliseconds(of_kind))
            };
            row(f, label, &Kind::ALL.map(cell))?;
        }
        let runs = |kind: Kind| records.iter().filter(|one| one.kind == kind).count().to_string();
        row(f, "runs", &Kind::ALL.map(runs))?;
        writeln!(f)
    }
}
