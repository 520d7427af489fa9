// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The owner and a client are cut off from everybody else for a while, then the segment heals. While it is split each side has
//! an owner, which is as it should be; what counts is for how long both answer after the heal.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::Place;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::probe::{NewClients, NewClientsReport, TOLERATED_STALL};
use ferrolb_lab::trial::{self, Contender};
use serde::{Deserialize, Serialize};

use crate::failover::Kind;
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::report::{Book, Budget};

/// Before the split, so that both sides have been answered.
const BEFORE: Duration = Duration::from_millis(500);
/// A heal is watched for so long.
const AFTER: Duration = Duration::from_secs(10);

/// For how long, how often, for whom.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long the owner is cut off, in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Runs for each contender
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// These contenders alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = [Kind::Ferrolb, Kind::Keepalived100])]
    contenders: Vec<Kind>,
}

/// One split and heal; milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    contender: Kind,
    run: u32,
    seconds: u64,
    owner: String,
    /// Who answered at the end.
    last: Option<String>,
    /// The longest span in which a station was answered by two, on either side.
    two_answered: f64,
    /// From the split until the larger side was answered by somebody else.
    moved: Option<f64>,
    /// The longest time without an answer: the larger side, and the owner's.
    dark: f64,
    dark_with_owner: f64,
    /// From the heal until every station was answered by one alone.
    united: f64,
    /// The probers' own worst; above 20 ms the run does not count.
    stall: f64,
}

impl Record {
    fn counts(&self) -> bool {
        self.stall <= milliseconds(TOLERATED_STALL)
    }
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    println!("Partition: the owner is cut off with the client for {} s.", arguments.seconds);
    for kind in &arguments.contenders {
        let done = book.report.partition.iter().filter(|one| one.contender == *kind && one.counts()).count();
        let mut contender = None;
        for run in u32::try_from(done)?..arguments.runs {
            if budget.is_spent() {
                return Ok(());
            }
            let contender = match &mut contender {
                Some(contender) => contender,
                None => contender.insert(kind.start(binary)?),
            };
            let record = measure(contender.as_ref(), *kind, run, Duration::from_secs(arguments.seconds))?;
            println!("{record}");
            book.report.partition.push(record);
            book.save()?;
        }
    }
    Ok(())
}

fn measure(contender: &dyn Contender, kind: Kind, run: u32, span: Duration) -> Result<Record> {
    let lab = contender.lab();
    let owner = trial::settled_owner(contender)?;
    let address = contender.target().ip();
    let large = NewClients::start(&lab.newcomer, address)?;
    let small = NewClients::start_at(&lab.client, Place::Client, address)?;
    thread::sleep(BEFORE);
    let split = Instant::now();
    lab.partition(&[owner, Place::Client])?;
    thread::sleep(span);
    let healed = Instant::now();
    lab.heal()?;
    thread::sleep(AFTER);
    let (large, small) = (large.finish()?, small.finish()?);
    thread::sleep(contender.recovery());
    let last = large.last_answerer().context("nobody answers after the heal")?;
    Ok(Record {
        contender: kind,
        run,
        seconds: span.as_secs(),
        owner: owner.name(),
        last: Place::of_mac(last).map(Place::name),
        two_answered: milliseconds(large.two_answered().max(small.two_answered())),
        moved: large.moved_after(split, owner.mac()).map(milliseconds),
        dark: milliseconds(large.longest_dark()),
        dark_with_owner: milliseconds(small.longest_dark()),
        united: milliseconds(united(&large, healed).max(united(&small, healed))),
        stall: milliseconds(large.stall.max(small.stall)),
    })
}

/// How long after `healed` anybody but the last answerer answered.
fn united(report: &NewClientsReport, healed: Instant) -> Duration {
    let last = report.last_answerer();
    let others = report.answers.iter().filter(|answer| Some(answer.mac) != last);
    others.map(|answer| answer.at.saturating_duration_since(healed)).max().unwrap_or_default()
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:17} {:3} {} -> {}: two answered {:.0} ms, one alone {:.0} ms after the heal; own stall {:.1} ms{}",
            self.contender.title(),
            self.run,
            self.owner,
            self.last.as_deref().unwrap_or("a stranger"),
            self.two_answered,
            self.united,
            self.stall,
            if self.counts() { "" } else { " (not counted)" },
        )
    }
}

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        writeln!(f, "### Partition of the owner for {} s, then healed\n", first.seconds)?;
        let mut kinds: Vec<Kind> = self.0.iter().map(|one| one.contender).collect();
        kinds.sort();
        kinds.dedup();
        let titles: Vec<String> = kinds.iter().map(|kind| kind.title().to_owned()).collect();
        head(f, "min / median / max, ms", &titles)?;
        let of = |kind: Kind| self.0.iter().filter(move |one| one.contender == kind && one.counts());
        let mut line = |label: &str, pick: &dyn Fn(&Record) -> Option<f64>| {
            let cells: Vec<String> = kinds
                .iter()
                .map(|kind| or_dash(Quantiles::of_milliseconds(of(*kind).filter_map(pick))))
                .collect();
            row(f, label, &cells)
        };
        line("two answered one station", &|one| Some(one.two_answered))?;
        line("heal to one answerer", &|one| Some(one.united))?;
        line("split to the new owner's first answer", &|one| one.moved)?;
        line("longest dark, the larger side", &|one| Some(one.dark))?;
        line("longest dark, the owner's side", &|one| Some(one.dark_with_owner))?;
        let counted: Vec<String> = kinds
            .iter()
            .map(|kind| {
                let all = self.0.iter().filter(|one| one.contender == *kind).count();
                format!("{}; {}", of(*kind).count(), all - of(*kind).count())
            })
            .collect();
        row(f, "runs counted; repeated because the prober stalled", &counted)?;
        writeln!(f)
    }
}
