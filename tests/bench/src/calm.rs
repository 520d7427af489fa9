// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BFD on a machine whose cores are all busy: no session may end, and one that does says which side was late.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::probe::Cores;
use ferrolb_lab::rack::{Moment, Watched};
use ferrolb_lab::{Place, Process};
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::rack::{NODES, Router, Sender, Stand};
use crate::report::Book;

/// A core that stands still for longer than two packets are apart is noted.
const FREEZES: Duration = Duration::from_millis(600);
/// What was measured is said so often.
const ROUND: Duration = Duration::from_secs(60);

/// How long, how closely watched.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long to watch, in minutes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Milliseconds between two BFD packets; three may be missed
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval: u64,
    /// Processes that burn a core each [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1024))]
    hogs: Option<u32>,
}

/// What became of the sessions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    minutes: u64,
    interval: u64,
    hogs: usize,
    /// Sessions that were watched.
    sessions: usize,
    /// How often one ended, by the speakers' own record; those for which this side was late, or the other side or the path.
    flaps: usize,
    ours: usize,
    theirs: usize,
    /// BGP sessions that ended, and changes of the route in the kernels of the routers.
    ended: usize,
    changes: usize,
    /// How often a core of the machine stood still for two packets, and the longest, in milliseconds.
    freezes: usize,
    longest_freeze: f64,
}

/// Watches, and adds what it saw to the book.
pub(crate) fn run(binary: &Path, arguments: &Arguments, book: &mut Book) -> Result<()> {
    let Arguments { minutes, interval, .. } = *arguments;
    if book.report.calm.iter().any(|done| done.minutes >= minutes && done.interval == interval) {
        return Ok(());
    }
    let hogs = match arguments.hogs {
        Some(hogs) => usize::try_from(hogs)?,
        None => thread::available_parallelism()?.get(),
    };
    println!("Calm: {minutes} minutes with {hogs} hogs, BFD each {interval} ms with BIRD and FRR.");
    let watched = Watched { interval: Duration::from_millis(interval), graceful_restart: true };
    let mut stands = Vec::new();
    for router in [Router::Bird, Router::Frr].into_iter().filter(|router| router.is_possible()) {
        stands.push(Stand::build(binary, router, Sender::Ferrolb, watched)?);
    }
    let lab = stands.first().context("no stand")?.lab();
    let hog = |number| -> Result<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        lab.start(&format!("hog-{number}"), None, command)
    };
    let client = lab.client.clone();
    let hogs = (0..hogs).map(hog).collect::<Result<Vec<Process>>>()?;
    let before = Counts::of(&mut stands)?;
    let begun = Moment::now();
    let sessions = stands.len() * usize::from(NODES);
    let mut figures = Figures { minutes, interval, hogs: hogs.len(), sessions, ..Figures::default() };
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    while Instant::now() < end {
        let cores = Cores::start(&client, FREEZES)?;
        thread::sleep(ROUND.min(end.saturating_duration_since(Instant::now())));
        for freeze in cores.finish()? {
            figures.freezes += 1;
            figures.longest_freeze = figures.longest_freeze.max(milliseconds(freeze.length()));
        }
        let now = Counts::of(&mut stands)?;
        figures.flaps = now.flaps - before.flaps;
        figures.ours = now.ours - before.ours;
        figures.theirs = now.theirs - before.theirs;
        figures.ended = now.ended - before.ended;
        figures.changes = stands.iter().map(|stand| stand.rack().routes().changes(begun).len()).sum();
        println!(
            "  {:.0} s to go: {} flaps ({} ours, {} theirs), {} sessions ended, {} changes of the route, {} freezes",
            end.saturating_duration_since(Instant::now()).as_secs_f64(),
            figures.flaps,
            figures.ours,
            figures.theirs,
            figures.ended,
            figures.changes,
            figures.freezes
        );
    }
    drop(hogs);
    book.report.calm.push(figures);
    book.save()
}

/// What the speakers' logs say so far.
struct Counts {
    flaps: usize,
    ours: usize,
    theirs: usize,
    ended: usize,
}

impl Counts {
    fn of(stands: &mut [Stand]) -> Result<Self> {
        let mut counts = Self { flaps: 0, ours: 0, theirs: 0, ended: 0 };
        for stand in stands {
            let installation = stand.installation().context("the nodes run FerroLB")?;
            for node in 1..=NODES {
                let speaker = installation.speaker(&Place::Node(node).name())?;
                ensure!(speaker.is_running(), "a speaker has ended:\n{}", speaker.log_end(30));
                let log = speaker.log();
                for line in log.lines().filter(|line| line.contains("BFD session down")) {
                    counts.flaps += 1;
                    counts.ours += usize::from(line.contains("this side was late"));
                    counts.theirs += usize::from(line.contains("this side was in time"));
                }
                counts.ended += log.lines().filter(|line| line.contains("session ended")).count();
            }
        }
        Ok(counts)
    }
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(f, "### BFD on a loaded machine\n")?;
        let title =
            |one: &Figures| format!("{} minutes, each {} ms, {} hogs", one.minutes, one.interval, one.hogs);
        head(f, "BIRD and FRR as the router", &self.0.iter().map(title).collect::<Vec<_>>())?;
        let mut line = |label: &str, cell: &dyn Fn(&Figures) -> String| {
            row(f, label, &self.0.iter().map(cell).collect::<Vec<_>>())
        };
        line("BFD sessions", &|one| one.sessions.to_string())?;
        line("flaps", &|one| format!("**{}**", one.flaps))?;
        line("of these the speaker was late; the router or the path", &|one| {
            format!("{}; {}", one.ours, one.theirs)
        })?;
        line("BGP sessions ended; changes of the route in a router's kernel", &|one| {
            format!("{}; {}", one.ended, one.changes)
        })?;
        line("how often a core stood still for two packets; longest, ms", &|one| {
            format!("{}; {:.0}", one.freezes, one.longest_freeze)
        })?;
        writeln!(f)
    }
}
