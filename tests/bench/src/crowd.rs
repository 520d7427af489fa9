// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A speaker that hears a thousand nodes: one thread plays them, each with its name, its key, its sequence and its claim.

mod floor;
mod player;

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::installation::Installation;
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::population;
use crate::report::Book;
use floor::Floor;
use player::Crowd;

const THREAD: &str = "layer2";
/// Of hellos.
const PORT: u16 = 7948;
/// The one real node.
const NODE: &str = "n1";
/// Until the speaker has read its folder, and knows everybody.
const WARM_UP: Duration = Duration::from_secs(20);
/// A speaker writes its counters each ten seconds; meanwhile the floor is measured.
const HEARTBEAT: Duration = Duration::from_secs(11);

/// How many, how often, how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Nodes that are played; each owns one address
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    nodes: u32,
    /// Hellos a second of all together
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long to watch, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// What the speaker made of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    nodes: u32,
    seconds: f64,
    sent_per_second: f64,
    /// By the speaker's own counter and clock, over a time some seconds longer.
    believed_per_second: f64,
    hello_bytes: usize,
    /// Share of a core of the layer-2 thread, and of the whole process.
    thread_cores: f64,
    process_cores: f64,
    /// Nodes taken for dead, and addresses taken, though nothing happened.
    deaths: usize,
    claims: usize,
    peers: usize,
    resident_mebibytes: f64,
    /// What it costs anybody, measured a moment later.
    floor: Floor,
}

/// Measures once.
pub(crate) fn run(binary: &Path, arguments: &Arguments, book: &mut Book) -> Result<()> {
    if !book.report.crowd.is_empty() {
        return Ok(());
    }
    println!("Crowd: {} nodes, {} hellos a second.", arguments.nodes, arguments.rate);
    let count = usize::try_from(arguments.nodes)?;
    let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
    let mut installation = population::prepare(binary, 1, count, &names)?;
    let crowd = Crowd::start(&installation.lab().newcomer, &names, arguments.rate)?;
    installation.start_speaker(NODE)?;
    let figures = watch(&mut installation, &crowd, arguments);
    let figures = figures.with_context(|| installation.logs())?;
    println!("  {figures:?}");
    book.report.crowd.push(figures);
    crowd.finish()?;
    book.save()
}

fn watch(installation: &mut Installation, crowd: &Crowd, arguments: &Arguments) -> Result<Figures> {
    thread::sleep(WARM_UP);
    let lines = |installation: &mut Installation, words: &str| -> Result<usize> {
        let log = installation.speaker(NODE)?.log();
        Ok(log.lines().filter(|line| line.contains(words)).count())
    };
    let (deaths, claims) = (lines(installation, "no longer hears")?, lines(installation, ": took ")?);
    let (begin, sent, believed) = (Instant::now(), crowd.sent(), Count::read(installation)?);
    let speaker = installation.speaker(NODE)?;
    let (thread_before, process_before) = (speaker.thread_time(THREAD)?, speaker.processor_time()?);
    thread::sleep(Duration::from_secs(arguments.seconds));
    let seconds = begin.elapsed().as_secs_f64();
    let speaker = installation.speaker(NODE)?;
    let share = |used: Duration| used.as_secs_f64() / seconds;
    let thread_cores = share(speaker.thread_time(THREAD)?.saturating_sub(thread_before));
    let process_cores = share(speaker.processor_time()?.saturating_sub(process_before));
    let resident_mebibytes = speaker.resident_bytes()? as f64 / f64::from(1 << 20);
    let sent = crowd.sent() - sent;
    let floor = Floor::measure(&installation.lab().client, crowd.hello_bytes(), HEARTBEAT)?;
    let believed_per_second = Count::read(installation)?.rate_since(&believed);
    Ok(Figures {
        nodes: arguments.nodes,
        seconds,
        sent_per_second: sent as f64 / seconds,
        believed_per_second,
        hello_bytes: crowd.hello_bytes(),
        thread_cores,
        process_cores,
        deaths: lines(installation, "no longer hears")? - deaths,
        claims: lines(installation, ": took ")? - claims,
        peers: lines(installation, ": hears ")?,
        resident_mebibytes,
        floor,
    })
}

/// What the speaker's state file says of the hellos that it believed. It is seconds older than the file's reader, so it tells
/// when the speaker counted.
struct Count {
    hellos: u64,
    at: Duration,
}

impl Count {
    /// All zero before the file was first written.
    fn read(installation: &Installation) -> Result<Self> {
        let path = installation.state().join(format!("speaker-{NODE}")).join("speaker.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let counter = |name: &str| -> Result<u64> {
            let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
            value.map_or(Ok(0), |value| Ok(value.trim().parse()?))
        };
        let at = Duration::from_millis(counter("countedMilliseconds")?);
        Ok(Self { hellos: counter("hellosBelieved")?, at })
    }

    fn rate_since(&self, before: &Self) -> f64 {
        let hellos = self.hellos.saturating_sub(before.hellos);
        hellos as f64 / self.at.saturating_sub(before.at).as_secs_f64()
    }
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(f, "### A speaker that hears a crowd\n")?;
        let columns: Vec<String> = self.0.iter().map(|one| format!("{} nodes", one.nodes)).collect();
        head(f, "each with one address, heard by one real speaker", &columns)?;
        let mut line = |label: &str, cell: &dyn Fn(&Figures) -> String| {
            row(f, label, &self.0.iter().map(cell).collect::<Vec<_>>())
        };
        line("hellos sent / believed a second", &|one| {
            format!("{:.0} / {:.0}", one.sent_per_second, one.believed_per_second)
        })?;
        line("bytes of a hello", &|one| one.hello_bytes.to_string())?;
        line("layer-2 thread, % of a core", &|one| format!("**{:.1}**", one.thread_cores * 100.0))?;
        line("- of which receiving alone; the HMACs alone", &|one| {
            let (receiving, tags) = one.floor.cores(one.sent_per_second);
            format!("{:.1}; {:.1}", receiving * 100.0, tags * 100.0)
        })?;
        line("whole speaker, % of a core", &|one| format!("{:.1}", one.process_cores * 100.0))?;
        line("RSS, MiB", &|one| format!("{:.1}", one.resident_mebibytes))?;
        line("nodes heard; taken for dead; addresses taken", &|one| {
            format!("{}; {}; {}", one.peers, one.deaths, one.claims)
        })?;
        writeln!(f)
    }
}
