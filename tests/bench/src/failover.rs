// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Seven faults of the node that carries an address, FerroLB and keepalived in turns, each pair at the same phase of its
//! interval of adverts.

mod contenders;
mod record;
mod table;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use ferrolb_lab::keepalived;
use ferrolb_lab::trial::{self, Event};

use crate::report::{Book, Budget};
pub(crate) use contenders::Kind;
use contenders::Stand;
pub(crate) use record::Record;
pub(crate) use table::Table;

/// Which faults, how often, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Runs of the first fault, link-down, for each contender
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Runs of each other fault, for each contender
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    each: u32,
    /// These faults alone: link-down, crash (the cable is pulled), black-hole, link-down-ipv6, hand-over, kill, freeze
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', value_parser = fault)]
    only: Vec<Event>,
    /// These contenders alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_enum, default_values_t = Kind::ALL)]
    contenders: Vec<Kind>,
}

fn fault(name: &str) -> Result<Event> {
    Event::ALL.into_iter().find(|event| event.name() == name).with_context(|| {
        format!("there is no fault {name}: one of {}", Event::ALL.map(Event::name).join(", "))
    })
}

/// One fault to inflict on everybody.
struct Turn {
    fault: Event,
    run: u32,
    phase: f64,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    ensure!(
        keepalived::is_installed(),
        "keepalived is not installed: it is the peer that FerroLB is measured beside"
    );
    println!("Failover; the fault's phase is spread over the interval of adverts.");
    let mut stands: Vec<Stand> = arguments.contenders.iter().map(|kind| Stand::new(*kind)).collect();
    for turn in turns(arguments) {
        for stand in &mut stands {
            if book.report.failover.iter().any(|record| record.settles(stand.kind(), turn.fault, turn.run)) {
                continue;
            }
            if budget.is_spent() {
                return Ok(());
            }
            let records = stand.measure(binary, turn.fault, turn.run, turn.phase);
            book.report.failover.extend(records);
            book.save()?;
        }
    }
    Ok(())
}

/// The faults take turns too, so that a slow hour of the machine meets all of them.
fn turns(arguments: &Arguments) -> Vec<Turn> {
    let wanted = |fault: &Event| arguments.only.is_empty() || arguments.only.contains(fault);
    let faults: Vec<(Event, u32)> = Event::ALL
        .into_iter()
        .filter(wanted)
        .map(|fault| (fault, if fault == Event::LinkDown { arguments.runs } else { arguments.each }))
        .collect();
    let most = faults.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut turns = Vec::new();
    for run in 0..most {
        for (fault, count) in faults.iter().filter(|(_, count)| run < *count) {
            let phases = trial::phases(usize::try_from(*count).unwrap_or_default());
            let phase = usize::try_from(run).ok().and_then(|run| phases.get(run).copied()).unwrap_or(0.5);
            turns.push(Turn { fault: *fault, run, phase });
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_take_turns_and_each_has_its_number_of_runs() {
        let mut arguments: Arguments = crate::usual().expect("defaults");
        (arguments.runs, arguments.each) = (5, 2);
        let turns_of =
            |arguments: &Arguments, fault| turns(arguments).iter().filter(|turn| turn.fault == fault).count();
        assert_eq!((turns_of(&arguments, Event::LinkDown), turns_of(&arguments, Event::Freeze)), (5, 2));
        arguments.only = vec![fault("kill").expect("a fault")];
        assert_eq!((turns_of(&arguments, Event::LinkDown), turns_of(&arguments, Event::Kill)), (0, 2));
        assert!(fault("earthquake").is_err());
    }
}
