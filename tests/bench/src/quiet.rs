// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Nothing happens, on a machine whose cores are all busy: nobody may take anything.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use ferrolb_lab::Process;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::Survey;
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::population;
use crate::report::Book;

const NODES: u8 = 3;
const ADDRESSES: usize = 100;
/// So many of them are asked for all the time, each so often.
const ASKED: usize = 5;
const EVERY: Duration = Duration::from_millis(50);
/// What a minute of answers takes is given back after it.
const ROUND: Duration = Duration::from_secs(60);

/// How long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long to watch, in minutes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Processes that burn a core each [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1024))]
    hogs: Option<u32>,
}

/// What happened although nothing did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    minutes: u64,
    hogs: usize,
    /// Claims, by the speakers' own record.
    claims: usize,
    /// Peers taken for dead.
    deaths: usize,
    /// Speakers that noticed that they had stood still.
    stalls: usize,
    /// Of five addresses asked for every 50 ms: the longest without an answer, the longest with two; milliseconds.
    dark: f64,
    two_answered: f64,
    /// The prober's own worst.
    stall: f64,
}

/// Watches, and adds what it saw to the book.
pub(crate) fn run(binary: &Path, arguments: &Arguments, book: &mut Book) -> Result<()> {
    if book.report.quiet.iter().any(|done| done.minutes >= arguments.minutes) {
        return Ok(());
    }
    let hogs = match arguments.hogs {
        Some(hogs) => usize::try_from(hogs)?,
        None => thread::available_parallelism()?.get(),
    };
    println!("Quiet: {} minutes with {hogs} hogs and {ADDRESSES} addresses.", arguments.minutes);
    let mut installation = population::prepare(binary, NODES, ADDRESSES, &[])?;
    population::start(&mut installation, ADDRESSES)?;
    let hogs = (0..hogs).map(|number| hog(&installation, number)).collect::<Result<Vec<Process>>>()?;
    thread::sleep(Duration::from_secs(5));
    let before = Counts::of(&mut installation)?;
    let mut figures = Figures { minutes: arguments.minutes, hogs: hogs.len(), ..Figures::default() };
    let asked: Vec<_> = population::addresses(ADDRESSES).into_iter().step_by(ADDRESSES / ASKED).collect();
    let end = Instant::now() + Duration::from_secs(arguments.minutes * 60);
    while Instant::now() < end {
        let survey = Survey::start(&installation.lab().newcomer, &asked, EVERY)?;
        thread::sleep(ROUND.min(end.saturating_duration_since(Instant::now())));
        let survey = survey.finish()?;
        figures.stall = figures.stall.max(milliseconds(survey.stall));
        for (_, told) in survey.by_address() {
            figures.dark = figures.dark.max(milliseconds(told.longest_dark()));
            figures.two_answered = figures.two_answered.max(milliseconds(told.two_answered()));
        }
        let now = Counts::of(&mut installation)?;
        figures.claims = now.claims - before.claims;
        figures.deaths = now.deaths - before.deaths;
        figures.stalls = now.stalls - before.stalls;
        println!(
            "  {:.0} s to go: {} claims, {} peers taken for dead, {} stalls",
            end.saturating_duration_since(Instant::now()).as_secs_f64(),
            figures.claims,
            figures.deaths,
            figures.stalls
        );
    }
    drop(hogs);
    if figures.claims > 0 {
        println!("{}", installation.logs());
    }
    book.report.quiet.push(figures);
    book.save()
}

fn hog(installation: &Installation, number: usize) -> Result<Process> {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    installation.lab().start(&format!("hog-{number}"), None, command)
}

/// What the speakers' logs say so far.
struct Counts {
    claims: usize,
    deaths: usize,
    stalls: usize,
}

impl Counts {
    fn of(installation: &mut Installation) -> Result<Self> {
        let mut counts = Self { claims: 0, deaths: 0, stalls: 0 };
        for name in population::names(installation) {
            let speaker = installation.speaker(&name)?;
            ensure!(
                speaker.is_running(),
                "the speaker of {name} has ended; it said:\n{}",
                speaker.log_end(30)
            );
            let log = speaker.log();
            let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
            counts.claims += lines(": took ");
            counts.deaths += lines("no longer hears");
            counts.stalls += lines("stood still");
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
        writeln!(f, "### Nothing happens on a loaded machine\n")?;
        let columns: Vec<String> =
            self.0.iter().map(|one| format!("{} minutes, {} hogs", one.minutes, one.hogs)).collect();
        head(f, "3 speakers, 100 addresses", &columns)?;
        let mut line = |label: &str, cell: &dyn Fn(&Figures) -> String| {
            row(f, label, &self.0.iter().map(cell).collect::<Vec<_>>())
        };
        line("false take-overs", &|one| format!("**{}**", one.claims))?;
        line("peers taken for dead", &|one| one.deaths.to_string())?;
        line("times that a speaker noticed its own stall", &|one| one.stalls.to_string())?;
        line("longest without an answer, asked each 50 ms, ms", &|one| format!("{:.0}", one.dark))?;
        line("two answered, longest, ms", &|one| format!("{:.0}", one.two_answered))?;
        line("worst stall of the prober, ms", &|one| format!("{:.1}", one.stall))?;
        writeln!(f)
    }
}
