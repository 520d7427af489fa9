// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The speaker of a node is killed, stopped or drained while clients come through a router, and is back some seconds later. What do
//! the clients lose?

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ferrolb_lab::Place;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::{Connections, Requests, TOLERATED_STALL};
use ferrolb_lab::rack::{Moment, Rack, Watched};
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::rack::{Router, Sender, Stand};
use crate::report::{Book, Budget};

/// Between two BFD packets.
const INTERVAL: Duration = Duration::from_millis(300);
/// Clients are watched for so long before and after.
const AROUND: Duration = Duration::from_millis(1000);
/// How long no speaker runs: BFD has long given it up.
const AWAY: Duration = Duration::from_secs(5);
/// A drained node has withdrawn its routes by then.
const DRAINED: Duration = Duration::from_secs(13);
/// Connections that are kept open.
const KEPT: usize = 30;
/// A run in which the client itself stood still is repeated, but not for ever.
const TRIES: usize = 3;
/// Whose speaker it is.
const NODE: Place = Place::Node(2);

/// How the speaker goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// SIGKILL
    Kill,
    /// SIGTERM
    Stop,
    /// `ferrolb drain`, and SIGTERM when routers send nothing any more
    Drain,
}

/// What is measured: how it goes, with which router, and whether graceful restart was agreed on.
const CASES: [(Way, Router, bool); 8] = [
    (Way::Kill, Router::Frr, true),
    (Way::Kill, Router::Bird, true),
    (Way::Stop, Router::Frr, true),
    (Way::Stop, Router::Bird, true),
    (Way::Stop, Router::Frr, false),
    (Way::Stop, Router::Bird, false),
    (Way::Drain, Router::Frr, false),
    (Way::Drain, Router::Bird, false),
];

/// How often.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Runs of each case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// These ways alone
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', value_enum)]
    only: Vec<Way>,
}

/// One restart; milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    way: Way,
    router: Router,
    graceful_restart: bool,
    run: u32,
    made: usize,
    lost: usize,
    /// From the first moment to the last request that was lost.
    dark: f64,
    /// When the router's kernel stopped sending to the node, if it did.
    left: Option<f64>,
    /// Connections that were open all the time, and those of them that broke or stalled.
    kept: usize,
    broken: usize,
    stall: f64,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    println!("Restart: the speaker of one node of three goes, and is back after {} s.", AWAY.as_secs());
    for (way, router, graceful_restart) in CASES {
        let wanted = arguments.only.is_empty() || arguments.only.contains(&way);
        if !wanted || !router.is_possible() {
            continue;
        }
        let mut stand = None;
        for run in 0..arguments.runs {
            let settles = |one: &Record| {
                one.counts()
                    && (one.way, one.router, one.graceful_restart, one.run)
                        == (way, router, graceful_restart, run)
            };
            if book.report.restart.iter().any(settles) {
                continue;
            }
            if budget.is_spent() {
                return Ok(());
            }
            let stand = match &mut stand {
                Some(stand) => stand,
                empty => {
                    let watched = Watched { interval: INTERVAL, graceful_restart };
                    empty.insert(Stand::build(binary, router, Sender::Ferrolb, watched)?)
                }
            };
            for _ in 0..TRIES {
                let record = Record { way, router, graceful_restart, run, ..measure(stand, way)? };
                println!("{record}");
                let counts = record.counts();
                book.report.restart.push(record);
                book.save()?;
                if counts {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn measure(stand: &mut Stand, way: Way) -> Result<Record> {
    stand.settles()?;
    let client = stand.lab().client.clone();
    let connections = Connections::start(&client, Rack::target(), KEPT)?;
    let requests = Requests::start(&client, Rack::target())?;
    thread::sleep(AROUND);
    let (begun, at) = (Moment::now(), Instant::now());
    let installation = stand.installation().context("the nodes run FerroLB")?;
    go(installation, way)?;
    installation.start_speaker(&NODE.name())?;
    if way == Way::Drain {
        drain(installation, "undrain")?;
    }
    stand.settles()?;
    thread::sleep(AROUND);
    let (requests, connections) = (requests.finish()?, connections.finish()?);
    let last = requests.lost.iter().map(|lost| lost.saturating_duration_since(at)).max();
    let changes = stand.rack().routes().changes(begun);
    let left = changes.iter().find(|(_, to)| !to.contains(&NODE.ipv4()));
    Ok(Record {
        way,
        router: Router::Frr,
        graceful_restart: false,
        run: 0,
        made: requests.made,
        lost: requests.lost.len(),
        dark: milliseconds(last.unwrap_or_default()),
        left: left.map(|(after, _)| milliseconds(*after)),
        kept: connections.opened,
        broken: connections.reset + connections.stalled,
        stall: milliseconds(requests.stall),
    })
}

/// The speaker goes, and is away for a while.
fn go(installation: &mut Installation, way: Way) -> Result<()> {
    match way {
        Way::Kill => installation.speaker(&NODE.name())?.kill()?,
        Way::Stop => installation.stop_speaker(&NODE.name())?,
        Way::Drain => {
            drain(installation, "drain")?;
            thread::sleep(DRAINED);
            installation.stop_speaker(&NODE.name())?;
        }
    }
    thread::sleep(AWAY);
    Ok(())
}

fn drain(installation: &Installation, command: &str) -> Result<()> {
    let output = installation.command(command).arg(NODE.name()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ferrolb {command} failed: {said}");
    Ok(())
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "SIGKILL",
            Self::Stop => "SIGTERM",
            Self::Drain => "drain, then SIGTERM",
        })
    }
}

impl Record {
    /// The client was in time.
    fn counts(&self) -> bool {
        self.stall <= milliseconds(TOLERATED_STALL)
    }

    fn title(&self) -> String {
        let restart = if self.graceful_restart { ", graceful restart" } else { "" };
        format!("{}, {}{restart}", self.way, self.router)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.left.map_or_else(|| "stayed".to_owned(), |left| format!("went after {left:.0} ms"));
        write!(
            f,
            "{} {:2}: {} of {} requests lost, the last after {:.0} ms; {} of {} connections broken; the route {left}; own stall {:.1} ms{}",
            self.title(),
            self.run,
            self.lost,
            self.made,
            self.dark,
            self.broken,
            self.kept,
            self.stall,
            if self.counts() { "" } else { " (not counted)" }
        )
    }
}

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(f, "### A speaker goes and comes back, 100 requests a second\n")?;
        let columns = [
            "requests lost",
            "runs with a loss",
            "route at the router",
            "open connections broken",
            "repeated",
        ];
        head(f, "", &columns.map(str::to_owned))?;
        for (way, router, restart) in CASES {
            let is_of = |one: &&Record| (one.way, one.router, one.graceful_restart) == (way, router, restart);
            let all: Vec<&Record> = self.0.iter().filter(is_of).collect();
            let of: Vec<&Record> = all.iter().copied().filter(|one| one.counts()).collect();
            let Some(first) = of.first() else { continue };
            let sum = |pick: fn(&Record) -> usize| of.iter().map(|one| pick(one)).sum::<usize>();
            let lossy = of.iter().filter(|one| one.lost > 0).count();
            let went: Vec<f64> = of.iter().filter_map(|one| one.left).collect();
            let (least, most) = went.iter().fold((f64::MAX, 0.0_f64), |(a, b), at| (a.min(*at), b.max(*at)));
            let route = match went.len() {
                0 => "stayed".to_owned(),
                count if count == of.len() => format!("went after {least:.0}–{most:.0} ms"),
                count => format!("went in {count} runs, after {least:.0}–{most:.0} ms"),
            };
            let cells = [
                format!("{} of {}", sum(|one| one.lost), sum(|one| one.made)),
                format!("{lossy} of {}", of.len()),
                route,
                format!("{} of {}", sum(|one| one.broken), sum(|one| one.kept)),
                (all.len() - of.len()).to_string(),
            ];
            row(f, &first.title(), &cells)?;
        }
        writeln!(f)
    }
}
