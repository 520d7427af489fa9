// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The switch loses its power; its ports come back one by one. How soon is every address answered, and how even is the load
//! a minute later?

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::probe::Survey;
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::population;
use crate::quantiles::Quantiles;
use crate::report::{Book, Budget};

const NODES: u8 = 3;
/// Each address is asked for so often.
const EVERY: Duration = Duration::from_millis(50);
/// How long answers are watched after the first node's port is back.
const WATCHED: Duration = Duration::from_secs(15);

/// How many addresses, how long, how often.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many addresses the three nodes carry
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    addresses: u32,
    /// How long every port is down, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds between one node's port and the next
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=60))]
    apart: u64,
    /// After how many seconds the load is looked at
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3600))]
    load_after: u64,
    /// Runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
}

/// One loss of power.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    addresses: u32,
    seconds: u64,
    load_after: u64,
    /// Milliseconds from the first node's port to the first answer, over the addresses that were answered.
    answered: Option<Quantiles>,
    unanswered: usize,
    /// The longest span in which one address was answered by two, milliseconds.
    two_answered: f64,
    /// How many addresses each node carried before, right after, and at the end.
    before: BTreeMap<String, usize>,
    first: BTreeMap<String, usize>,
    after: BTreeMap<String, usize>,
    stall: f64,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    println!("Darkness: all ports down for {} s, {} addresses.", arguments.seconds, arguments.addresses);
    for _ in u32::try_from(book.report.darkness.len())?..arguments.runs {
        if budget.is_spent() {
            return Ok(());
        }
        let record = measure(binary, arguments)?;
        println!("{record:?}");
        book.report.darkness.push(record);
        book.save()?;
    }
    Ok(())
}

fn measure(binary: &Path, arguments: &Arguments) -> Result<Record> {
    let count = usize::try_from(arguments.addresses)?;
    let mut installation = population::prepare(binary, NODES, count, &[])?;
    population::start(&mut installation, count)?;
    let before = population::loads(&population::carriers(&installation)?);
    let lab = installation.lab();
    lab.all_ports_down()?;
    thread::sleep(Duration::from_secs(arguments.seconds));
    let mut ports = lab.port_names();
    for port in ports.by_ref().take(2) {
        lab.port_up(&port)?;
    }
    let survey = Survey::start(&lab.newcomer, &population::addresses(count), EVERY)?;
    let mut back = None;
    for port in ports {
        back.get_or_insert_with(Instant::now);
        lab.port_up(&port)?;
        thread::sleep(Duration::from_secs(arguments.apart));
    }
    let back = back.unwrap_or_else(Instant::now);
    thread::sleep(WATCHED.saturating_sub(back.elapsed()));
    let survey = survey.finish()?;
    let first = population::loads(&population::carriers(&installation)?);
    let (mut answered, mut unanswered, mut two_answered) = (Vec::new(), 0, Duration::ZERO);
    let stall = survey.stall;
    for (_, told) in survey.by_address() {
        match told.answers.iter().find(|answer| answer.at >= back) {
            Some(answer) => answered.push(answer.at.saturating_duration_since(back)),
            None => unanswered += 1,
        }
        two_answered = two_answered.max(told.two_answered());
    }
    thread::sleep(Duration::from_secs(arguments.load_after).saturating_sub(back.elapsed()));
    let after = population::loads(&population::carriers(&installation)?);
    Ok(Record {
        addresses: arguments.addresses,
        seconds: arguments.seconds,
        load_after: arguments.load_after,
        answered: Quantiles::of(answered),
        unanswered,
        two_answered: milliseconds(two_answered),
        before,
        first,
        after,
        stall: milliseconds(stall),
    })
}

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(one) = self.0.first() else { return Ok(()) };
        writeln!(f, "### All ports down for {} s, then back one by one\n", one.seconds)?;
        let columns = (1..=self.0.len()).map(|run| format!("run {run}")).collect::<Vec<_>>();
        head(f, &format!("{} addresses, 3 nodes", one.addresses), &columns)?;
        let mut line = |label: &str, cell: &dyn Fn(&Record) -> String| {
            row(f, label, &self.0.iter().map(cell).collect::<Vec<_>>())
        };
        line("first answer after the first node's port, min / median / max, ms", &|one| {
            one.answered.map_or_else(|| "-".to_owned(), |answered| answered.to_string())
        })?;
        line("never answered", &|one| one.unanswered.to_string())?;
        line("two answered, longest, ms", &|one| format!("{:.0}", one.two_answered))?;
        line("load before", &|one| load(&one.before))?;
        line("load when all ports were back", &|one| load(&one.first))?;
        line(&format!("load {} s after the first port", one.load_after), &|one| load(&one.after))?;
        line("worst stall of the prober, ms", &|one| format!("{:.1}", one.stall))?;
        let bound = (f64::from(one.addresses) / f64::from(NODES) * 1.25).ceil();
        writeln!(f, "\nThe bound is {bound:.0} addresses a node (1.25 of the mean).\n")
    }
}

fn load(loads: &BTreeMap<String, usize>) -> String {
    let loads: Vec<String> = loads.iter().map(|(node, load)| format!("{node} {load}")).collect();
    loads.join(", ")
}
