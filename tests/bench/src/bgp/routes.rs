// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One session: how long a router takes from its beginning until it has every route, beside others who send the same.

mod table;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::Namespace;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::router::Wire;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::receiver::{Look, Receiver};
use super::sender::{self, Kind, Load, Sender};
use super::{Colour, MOST};
use crate::report::{Book, Budget};
pub(crate) use table::Table;

/// Until everything has arrived, once it was read in: this, and so much for each route.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_EACH: Duration = Duration::from_millis(5);

/// How many routes, how often, by whom.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Routes; a table for each number
    #[arg(long, value_name = "NUMBER,…", value_delimiter = ',', default_values_t = [10_000, 100_000], value_parser = clap::value_parser!(u32).range(1..=MOST))]
    routes: Vec<u32>,
    /// Runs for each contender
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// These contenders alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = Kind::ALL)]
    contenders: Vec<Kind>,
}

/// One run of one contender. All times in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    kind: Kind,
    routes: usize,
    run: u32,
    /// From the session's beginning, by the router's clock, until it has all routes.
    all: f64,
    /// TCP segments that the sender's kernel sent from before the session until then.
    segments: u64,
    resident_mebibytes: f64,
    /// From the edit or command until the first route has other attributes.
    changed_first: f64,
    /// The same until all have.
    changed_all: f64,
    /// From the router's end of the session until there is a new one.
    back: f64,
    /// From then until it has all routes again.
    all_again: f64,
}

/// A contender on a wire of its own, with its routes read in.
struct Stand {
    kind: Kind,
    // Dropped before the wire that it runs on.
    sender: Box<dyn Sender>,
    wire: Wire,
    colour: Colour,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    for routes in &arguments.routes {
        let routes = usize::try_from(*routes)?;
        println!("BGP: {routes} routes to a BIRD that was just started.");
        let missing = |book: &Book, kind: Kind, run: u32| {
            !book.report.routes.iter().any(|done| (done.kind, done.routes, done.run) == (kind, routes, run))
        };
        let mut stands = Vec::new();
        for kind in &arguments.contenders {
            if !(0..arguments.runs).any(|run| missing(book, *kind, run)) {
                continue;
            }
            if budget.is_spent() {
                return Ok(());
            }
            stands.push(Stand::build(*kind, binary, routes)?);
        }
        for run in 0..arguments.runs {
            for stand in stands.iter_mut().filter(|stand| missing(book, stand.kind, run)).collect::<Vec<_>>()
            {
                if budget.is_spent() {
                    return Ok(());
                }
                let record = stand.measure(routes, run)?;
                println!("  {record:?}");
                book.report.routes.push(record);
                book.save()?;
            }
        }
    }
    Ok(())
}

fn patience(routes: usize) -> Duration {
    PATIENCE + PATIENCE_EACH * u32::try_from(routes).unwrap_or(u32::MAX)
}

impl Stand {
    /// Starts the contender, and waits until a first router, which does not count, has had everything.
    fn build(kind: Kind, binary: &Path, routes: usize) -> Result<Self> {
        let wire = Wire::build()?;
        let sender = sender::start(kind, binary, &wire, Load { routes, sessions: 1 })?;
        let mut first = Receiver::start(&wire, 1, false)?;
        let all = |look: &Look| look.is_complete(routes);
        first.wait("complete table", patience(routes), all).with_context(|| sender.process().log_end(20))?;
        Ok(Self { kind, sender, wire, colour: Colour::First })
    }

    fn measure(&mut self, routes: usize, run: u32) -> Result<Record> {
        let kind = self.kind;
        let is_all = |look: &Look| look.is_complete(routes);
        let Self { sender, wire, colour, .. } = self;
        let patience = patience(routes);
        let before = segments(&wire.node)?;
        let mut router = Receiver::start(wire, 1, false)?;
        let look = wait(&mut router, &mut **sender, patience, is_all)?;
        let segments = segments(&wire.node)?.saturating_sub(before);
        let all = since(look.established(), look.at)?;
        let resident_mebibytes = sender.process().resident_bytes()? as f64 / f64::from(1 << 20);

        let (taken, edited) = (look.taken(), Timestamp::now());
        *colour = colour.other();
        sender.paint(*colour)?;
        let look = wait(&mut router, &mut **sender, patience, |look| look.taken() > taken)?;
        let changed_first = since(Some(edited), look.at)?;
        let look = wait(&mut router, &mut **sender, patience, |look| look.taken() >= taken + routes)?;
        let changed_all = since(Some(edited), look.at)?;
        router.check_colour(*colour, routes)?;

        let flapped = Timestamp::now();
        router.ask("restart s0")?;
        let is_new = |look: &Look| look.established().is_some_and(|at| at > flapped);
        let look = wait(&mut router, &mut **sender, patience, |look| is_new(look) && is_all(look))?;
        let established = look.established().context("there is a session")?;
        Ok(Record {
            kind,
            routes,
            run,
            all,
            segments,
            resident_mebibytes,
            changed_first,
            changed_all,
            back: since(Some(flapped), established)?,
            all_again: since(Some(established), look.at)?,
        })
    }
}

/// Waits for what is wanted of the router's table.
fn wait(
    router: &mut Receiver,
    sender: &mut dyn Sender,
    patience: Duration,
    wanted: impl Fn(&Look) -> bool,
) -> Result<Look> {
    router.wait("such table", patience, |look| {
        sender.stir();
        wanted(look)
    })
}

/// Milliseconds between two moments.
fn since(begin: Option<Timestamp>, end: Timestamp) -> Result<f64> {
    let begin = begin.context("it never began")?;
    Ok(milliseconds(end.duration_since(begin).try_into().context("time runs backwards")?))
}

/// TCP segments that were sent in a namespace: those that a network card makes of a large one count each.
fn segments(namespace: &Namespace) -> Result<u64> {
    let text = namespace.run(|| Ok(fs::read_to_string("/proc/thread-self/net/snmp")?))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, values) = lines.next().zip(lines.next()).context("the kernel does not count TCP")?;
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, sent) =
        pairs.find(|(name, _)| *name == "OutSegs").context("the kernel does not count segments")?;
    Ok(sent.parse()?)
}
