// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Nothing happens, on a machine whose cores are all busy: nobody may take anything.
//!
//! Where the machine is a virtual one its cores may be taken away from all that runs on them. Longer than a dead interval, that
//! is no false take-over: the node was frozen. Both are counted, apart.

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
use ferrolb_lab::probe::{Cores, Standstill, Survey};
use ferrolb_layer2::Timing;
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
/// How often the speakers' logs are read.
const LOOK: Duration = Duration::from_secs(1);
/// A core that stands still for the dead interval less one hello makes a peer look dead.
const FREEZES: Duration = Timing::DEFAULT.dead.saturating_sub(Timing::DEFAULT.hello);
/// What follows a freeze within this time is its consequence: death, claims, the thaw.
const AFTERMATH: Duration = Duration::from_secs(2);

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
    /// Those of them that came right after a core of the machine stood still for long enough to look like a death.
    #[serde(default)]
    after_freeze: usize,
    /// How often a core stood still for so long, and the longest, in milliseconds.
    #[serde(default)]
    freezes: usize,
    #[serde(default)]
    longest_freeze: f64,
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
        let cores = Cores::start(&installation.lab().newcomer, FREEZES)?;
        let survey = Survey::start(&installation.lab().newcomer, &asked, EVERY)?;
        let claims = claims_until(&mut installation, end.min(Instant::now() + ROUND))?;
        let survey = survey.finish()?;
        let freezes = cores.finish()?;
        figures.freezes += freezes.len();
        for freeze in &freezes {
            figures.longest_freeze = figures.longest_freeze.max(milliseconds(freeze.length()));
        }
        figures.after_freeze += explained(&claims, &freezes);
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
            "  {:.0} s to go: {} claims ({} after one of {} freezes of a core), {} peers taken for dead, {} stalls",
            end.saturating_duration_since(Instant::now()).as_secs_f64(),
            figures.claims,
            figures.after_freeze,
            figures.freezes,
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

/// Claims that were new when somebody looked, and when that was.
type Claims = Vec<(Instant, usize)>;

fn claims_until(installation: &mut Installation, end: Instant) -> Result<Claims> {
    let mut claims = Claims::new();
    let mut seen = Counts::of(installation)?.claims;
    while Instant::now() < end {
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        let now = Counts::of(installation)?.claims;
        if now > seen {
            claims.push((Instant::now(), now - seen));
        }
        seen = now;
    }
    Ok(claims)
}

/// How many of the claims were seen during a freeze or soon after it.
fn explained(claims: &[(Instant, usize)], freezes: &[Standstill]) -> usize {
    let soon =
        |at: Instant| freezes.iter().any(|freeze| freeze.from <= at && at <= freeze.to + AFTERMATH + LOOK);
    claims.iter().filter(|(at, _)| soon(*at)).map(|(_, count)| count).sum()
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
        line("false take-overs", &|one| format!("**{}**", one.claims - one.after_freeze))?;
        line("take-overs after a core of the machine stood still for 200 ms", &|one| {
            one.after_freeze.to_string()
        })?;
        line("how often one did; longest, ms", &|one| format!("{}; {:.0}", one.freezes, one.longest_freeze))?;
        line("peers taken for dead", &|one| one.deaths.to_string())?;
        line("times that a speaker noticed its own stall", &|one| one.stalls.to_string())?;
        line("longest without an answer, asked each 50 ms, ms", &|one| format!("{:.0}", one.dark))?;
        line("two answered, longest, ms", &|one| format!("{:.0}", one.two_answered))?;
        line("worst stall of the prober, ms", &|one| format!("{:.1}", one.stall))?;
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_explained_by_a_freeze_only_during_it_and_soon_after() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let freezes = [Standstill { core: 1, from: at(10), to: at(11) }];
        for (seen, expected) in [(9, 0), (10, 3), (13, 3), (15, 0)] {
            assert_eq!(explained(&[(at(seen), 3)], &freezes), expected, "seen at {seen} s");
        }
        assert_eq!(explained(&[(at(13), 3)], &[]), 0);
    }
}
