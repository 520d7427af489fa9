// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Crash and planned hand-over, FerroLB and keepalived in turns.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use ferrolb_lab::Lab;
use ferrolb_lab::figures::{Figures, counted, table};
use ferrolb_lab::installation::{Contestant, Installation};
use ferrolb_lab::keepalived::{Keepalived, Nodes};
use ferrolb_lab::probe::TOLERATED_STALL;
use ferrolb_lab::quickstart;
use ferrolb_lab::trial::{self, Contender, Event, Trial};

use crate::ratio::Ratio;

const NODES: u8 = 3;

/// The figures of the contenders. Durations in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Outage of a crash, ours to theirs.
    crash_ratio: Option<Ratio>,
    ferrolb: Figures,
    keepalived: Figures,
    /// On nodes that do not forward packets for an address that has left them.
    keepalived_hosts: Figures,
}

/// Measures them in turns, `runs` crashes and hand-overs each.
pub(crate) fn run(binary: &Path, runs: u32) -> Result<Row> {
    println!("Failover, {runs} runs each; the fault's phase is spread over the interval of adverts.");
    let mut ferrolb = start_ferrolb(binary)?;
    let mut routers = Keepalived::start(Lab::build(NODES)?, Nodes::Routers)?;
    let mut hosts = Keepalived::start(Lab::build(NODES)?, Nodes::Hosts)?;
    let (mut ours, mut theirs, mut theirs_on_hosts) = (Vec::new(), Vec::new(), Vec::new());
    for phase in trial::phases(usize::try_from(runs)?) {
        for event in [Event::Crash, Event::HandOver] {
            ours.extend(measure(&mut ferrolb, event, phase)?);
            theirs.extend(measure(&mut routers, event, phase)?);
            // Crashes too: two backups that both claim for a moment leave the client pointed at the loser, which forwards or not.
            theirs_on_hosts.extend(measure(&mut hosts, event, phase)?);
        }
    }
    Ok(Row {
        crash_ratio: Ratio::of(&outages(&ours), &outages(&theirs)),
        ferrolb: Figures::of(&ours),
        keepalived: Figures::of(&theirs),
        keepalived_hosts: Figures::of(&theirs_on_hosts),
    })
}

fn start_ferrolb(binary: &Path) -> Result<Contestant> {
    let mut installation = Installation::prepare(Lab::build(NODES)?, binary, &quickstart::MANIFESTS)?;
    installation.start()?;
    installation.contend(quickstart::ECHO, quickstart::ECHO_UDP)
}

fn measure(contender: &mut dyn Contender, event: Event, phase: f64) -> Result<Vec<Trial>> {
    let name = contender.name();
    let trials = trial::until_it_counts(contender, event, phase, |trial| {
        println!("{name:17} at {phase:.3}  {trial}");
        Ok(())
    })?;
    ensure!(
        trials.iter().any(Trial::counts),
        "this machine is too busy to measure on: the probers stalled for more than {TOLERATED_STALL:?} in {} runs in a row",
        trials.len()
    );
    Ok(trials)
}

fn outages(trials: &[Trial]) -> Vec<Duration> {
    counted(trials, Event::Crash).map(|trial| trial.outage).collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.crash_ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string());
        writeln!(f, "Crash outage, FerroLB to keepalived: {ratio}   (ratio of medians, 95 % range)\n")?;
        let columns = [
            ("FerroLB", &self.ferrolb),
            ("keepalived", &self.keepalived),
            ("keepalived, hosts", &self.keepalived_hosts),
        ];
        f.write_str(&table(&columns))?;
        writeln!(
            f,
            "\nhosts: the same keepalived on nodes that do not forward; all others forward, as Kubernetes nodes do."
        )
    }
}
