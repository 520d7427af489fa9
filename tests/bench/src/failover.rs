// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors
//! Crash and planned hand-over, FerroLB and keepalived in turns.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use ferrolb_lab::Lab;
use ferrolb_lab::installation::{Contestant, Installation};
use ferrolb_lab::keepalived::Keepalived;
use ferrolb_lab::trial::{self, Contender, Event, Trial};

use crate::summary::{Ratio, Spread};

const NODES: u8 = 3;
/// How often a run may be repeated because the probers stalled, per run wanted.
const REPEATS: u32 = 3;

/// The quickstart's manifests, which the demo shows too.
pub(crate) const QUICKSTART: [(&str, &str); 4] = [
    ("pool.yaml", include_str!("../../../deploy/examples/quickstart/pool.yaml")),
    ("nodes.yaml", include_str!("../../../deploy/examples/quickstart/nodes.yaml")),
    ("services.yaml", include_str!("../../../deploy/examples/quickstart/services.yaml")),
    ("endpoints.yaml", include_str!("../../../deploy/examples/quickstart/endpoints.yaml")),
];

/// The figures of both contenders.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Outage of a crash, ours to theirs.
    crash_ratio: Option<Ratio>,
    ferrolb: Figures,
    keepalived: Figures,
}

/// What one contender's runs came to. Durations in milliseconds.
#[derive(Debug, Default, Serialize)]
struct Figures {
    crashes: usize,
    crash_outage: Option<Spread>,
    crash_new_clients_dark: Option<Spread>,
    hand_overs: usize,
    hand_over_outage: Option<Spread>,
    hand_over_probes: usize,
    hand_over_lost: usize,
    hand_over_new_clients_dark: Option<Spread>,
    two_answerers: usize,
    repeated: usize,
    worst_stall: f64,
}

/// Measures both, `runs` crashes and hand-overs each.
pub(crate) fn run(binary: &Path, runs: u32) -> Result<Row> {
    println!("Failover, {runs} runs each; the fault's phase is spread over the interval of adverts.");
    let mut ferrolb = start_ferrolb(binary)?;
    let mut keepalived = Keepalived::start(Lab::build(NODES)?)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for phase in trial::phases(usize::try_from(runs)?) {
        for event in [Event::Crash, Event::HandOver] {
            repeat_until_it_counts(&mut ferrolb, event, phase, &mut ours)?;
            repeat_until_it_counts(&mut keepalived, event, phase, &mut theirs)?;
        }
    }
    Ok(Row {
        crash_ratio: Ratio::of(&outages(&ours), &outages(&theirs)),
        ferrolb: Figures::of(&ours),
        keepalived: Figures::of(&theirs),
    })
}

fn start_ferrolb(binary: &Path) -> Result<Contestant> {
    let mut installation = Installation::prepare(Lab::build(NODES)?, binary, &QUICKSTART)?;
    installation.start()?;
    installation.contend("default/echo", 9000)
}

fn repeat_until_it_counts(
    contender: &mut dyn Contender,
    event: Event,
    phase: f64,
    trials: &mut Vec<Trial>,
) -> Result<()> {
    for _ in 0..=REPEATS {
        let trial = match event {
            Event::Crash => trial::crash(contender, phase)?,
            Event::HandOver => trial::hand_over(contender, phase)?,
        };
        let counts = trial.counts();
        println!("{:10} {}", contender.name(), line(&trial));
        trials.push(trial);
        if counts {
            return Ok(());
        }
    }
    bail!(
        "this machine is too busy to measure on: the probers stalled for more than 20 ms in {} runs in a row",
        REPEATS + 1
    )
}

fn line(trial: &Trial) -> String {
    let name = |place: ferrolb_lab::Place| place.name();
    format!(
        "{:9} at {:.3}: {} -> {:2}  outage {:6.1} ms, {:3} of {} probes lost, new clients dark {:5.1} ms, two answered {:5.1} ms, own stall {:4.1} ms{}",
        match trial.event {
            Event::Crash => "crash",
            Event::HandOver => "hand-over",
        },
        trial.phase,
        name(trial.from),
        trial.to.map_or_else(|| "?".to_owned(), name),
        milliseconds(trial.outage),
        trial.lost,
        trial.probes,
        milliseconds(trial.new_clients_dark),
        milliseconds(trial.two_answered),
        milliseconds(trial.stall),
        if trial.counts() { "" } else { " (not counted: the probers stalled)" },
    )
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn outages(trials: &[Trial]) -> Vec<Duration> {
    counted(trials, Event::Crash).map(|trial| trial.outage).collect()
}

fn counted(trials: &[Trial], event: Event) -> impl Iterator<Item = &Trial> {
    trials.iter().filter(move |trial| trial.counts() && trial.event == event)
}

impl Figures {
    fn of(trials: &[Trial]) -> Self {
        let spread = |event, pick: fn(&Trial) -> Duration| {
            Spread::of(&counted(trials, event).map(pick).collect::<Vec<Duration>>())
        };
        Self {
            crashes: counted(trials, Event::Crash).count(),
            crash_outage: spread(Event::Crash, |trial| trial.outage),
            crash_new_clients_dark: spread(Event::Crash, |trial| trial.new_clients_dark),
            hand_overs: counted(trials, Event::HandOver).count(),
            hand_over_outage: spread(Event::HandOver, |trial| trial.outage),
            hand_over_probes: counted(trials, Event::HandOver).map(|trial| trial.probes).sum(),
            hand_over_lost: counted(trials, Event::HandOver).map(|trial| trial.lost).sum(),
            hand_over_new_clients_dark: spread(Event::HandOver, |trial| trial.new_clients_dark),
            two_answerers: trials.iter().filter(|trial| trial.counts() && trial.two_answerers()).count(),
            repeated: trials.iter().filter(|trial| !trial.counts()).count(),
            worst_stall: trials
                .iter()
                .filter(|trial| trial.counts())
                .map(|trial| milliseconds(trial.stall))
                .fold(0.0, f64::max),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.crash_ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string());
        writeln!(f, "Crash outage, FerroLB to keepalived: {ratio}   (ratio of medians, 95 % range)\n")?;
        writeln!(f, "{:34} {:>26} {:>26}", "min / median / max ms", "FerroLB", "keepalived")?;
        let spread =
            |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string());
        let mut line = |name: &str, pick: &dyn Fn(&Figures) -> String| {
            writeln!(f, "{name:34} {:>26} {:>26}", pick(&self.ferrolb), pick(&self.keepalived))
        };
        line("crash: outage, cached client", &|side| spread(side.crash_outage))?;
        line("crash: new clients dark", &|side| spread(side.crash_new_clients_dark))?;
        line("hand-over: outage, cached client", &|side| spread(side.hand_over_outage))?;
        line("hand-over: probes lost", &|side| {
            format!("{} of {}", side.hand_over_lost, side.hand_over_probes)
        })?;
        line("hand-over: new clients dark", &|side| spread(side.hand_over_new_clients_dark))?;
        line("runs with two answerers > 150 ms", &|side| side.two_answerers.to_string())?;
        line("runs counted (crash, hand-over)", &|side| format!("{}, {}", side.crashes, side.hand_overs))?;
        line("runs repeated, prober stalled", &|side| side.repeated.to_string())?;
        line("worst prober stall counted, ms", &|side| format!("{:.1}", side.worst_stall))
    }
}
