// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb-bench`: what FerroLB does beside what its peers do, in the same run on the same machine. Ratios come first: milliseconds
//! depend on the machine, a ratio much less.

mod arp;
mod bgp;
mod burst;
mod calm;
mod crowd;
mod cut;
mod darkness;
mod failover;
mod idle;
mod markdown;
mod partition;
mod population;
mod quantiles;
mod quiet;
mod rack;
mod ratio;
mod report;
mod restart;
mod scale;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Command, Parser, Subcommand};

use ferrolb_lab::{interrupt, rights};

use bgp::{announce, peers, routes, services};
use report::{Book, Budget};

/// Figures beside the peers': failover, partitions, thousands of addresses and BGP routes, floods, memory and processor time at
/// rest; and bursts of Services at a real API server.
///
/// Without a measurement all of them are made, each with its defaults. What stands in the report already is not measured
/// again, so that a run that was cut short goes on where it ended.
#[derive(Parser, Debug)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// One of the measurements alone [default: all]
    #[command(subcommand)]
    measurement: Option<Measurement>,
    /// Write the figures to this file as JSON, and go on from what stands in it
    #[arg(long, value_name = "FILE", global = true)]
    report: Option<PathBuf>,
    /// The ferrolb binary [default: the one beside this program]
    #[arg(long, value_name = "FILE", global = true)]
    ferrolb: Option<PathBuf>,
    /// Begin nothing new after so many minutes
    #[arg(long, value_name = "MINUTES", global = true, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    budget: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  ferrolb-bench --report r.json --budget 180          everything, for three hours at most
  ferrolb-bench failover --runs 100 --each 20 --report r.json
  ferrolb-bench failover --only kill,freeze --contenders ferrolb,keepalived-100
  ferrolb-bench scale --addresses 10000 --report r.json
  ferrolb-bench quiet --minutes 30
  ferrolb-bench table r.json                          the figures of a report as Markdown";

#[derive(Subcommand, Debug)]
enum Measurement {
    /// Seven faults of the carrying node, FerroLB and keepalived in turns
    Failover(failover::Arguments),
    /// The owner is cut off with a client for 20 s, then the segment heals
    Partition(partition::Arguments),
    /// Every port of the switch is down for a minute; they come back one by one
    Darkness(darkness::Arguments),
    /// Ten thousand addresses: a node dies, a node hands over
    Scale(scale::Arguments),
    /// ARP answers per second, and what 10,000 requests a second add to each
    Arp(arp::Arguments),
    /// A speaker that hears a thousand nodes
    Crowd(crowd::Arguments),
    /// Nothing happens on a machine with hogs on all cores: claims are counted
    Quiet(quiet::Arguments),
    /// Memory and processor time of speakers with nothing to do
    Idle(idle::Arguments),
    /// A node goes dark that a router watches by BFD, FerroLB and FRR in turns
    Cut(cut::Arguments),
    /// A speaker is killed, stopped or drained, and comes back, with clients behind a router
    Restart(restart::Arguments),
    /// BFD on a machine with hogs on all cores: ends of sessions are counted
    Calm(calm::Arguments),
    /// Bursts of Services beside a real API server
    Burst(burst::BurstArguments),
    /// Ten thousand BGP routes, and a hundred thousand, to a BIRD: FerroLB, BIRD and GoBGP in turns
    Routes(routes::Arguments),
    /// A hundred BGP sessions with a thousand routes each
    Peers(peers::Arguments),
    /// Addresses that come and go: how soon a router knows, and what a thousand at once disturb
    Services(services::Arguments),
    /// A Service at a real API server is created and deleted: how soon a router's kernel knows
    Announce(announce::Arguments),
    /// Print the figures of a report as Markdown
    Table {
        /// What an earlier run wrote with --report
        report: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Measurement::Table { report }) = &arguments.measurement {
        print!("{}", Book::open(Some(report))?.report);
        return Ok(());
    }
    let binary = match &arguments.ferrolb {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("ferrolb"),
    };
    let binary = binary.canonicalize().with_context(|| {
        format!(
            "looking for the ferrolb binary at {}: build it with `cargo build --release -p ferrolb`",
            binary.display()
        )
    })?;
    rights::enter_user_namespace()?;
    interrupt::remove_labs_when_told_to_stop()?;
    let mut book = Book::open(arguments.report.as_deref())?;
    let budget = Budget::of_minutes(arguments.budget);
    match &arguments.measurement {
        Some(measurement) => measure(measurement, &binary, budget, &mut book)?,
        None => {
            for measurement in all()? {
                measure(&measurement, &binary, budget, &mut book)?;
            }
        }
    }
    print!("\n{}", book.report);
    if let Some(path) = &arguments.report {
        println!("\nThe figures are in {}.", path.display());
    }
    Ok(())
}

fn measure(measurement: &Measurement, binary: &Path, budget: Budget, book: &mut Book) -> Result<()> {
    if budget.is_spent() {
        return Ok(());
    }
    match measurement {
        Measurement::Failover(arguments) => failover::run(binary, arguments, budget, book),
        Measurement::Partition(arguments) => partition::run(binary, arguments, budget, book),
        Measurement::Darkness(arguments) => darkness::run(binary, arguments, budget, book),
        Measurement::Scale(arguments) => scale::run(binary, arguments, budget, book),
        Measurement::Arp(arguments) => arp::run(binary, arguments, book),
        Measurement::Crowd(arguments) => crowd::run(binary, arguments, book),
        Measurement::Quiet(arguments) => quiet::run(binary, arguments, book),
        Measurement::Idle(arguments) => idle::run(binary, arguments, book),
        Measurement::Cut(arguments) => cut::run(binary, arguments, budget, book),
        Measurement::Restart(arguments) => restart::run(binary, arguments, budget, book),
        Measurement::Calm(arguments) => calm::run(binary, arguments, book),
        Measurement::Burst(arguments) => burst::run(binary, arguments, book),
        Measurement::Routes(arguments) => routes::run(binary, arguments, budget, book),
        Measurement::Peers(arguments) => peers::run(binary, arguments, budget, book),
        Measurement::Services(arguments) => services::run(binary, arguments, budget, book),
        Measurement::Announce(arguments) => announce::run(binary, arguments, budget, book),
        Measurement::Table { .. } => Ok(()),
    }
}

/// Every measurement with its defaults, the quick ones first.
fn all() -> Result<[Measurement; 16]> {
    Ok([
        Measurement::Arp(usual()?),
        Measurement::Crowd(usual()?),
        Measurement::Idle(usual()?),
        Measurement::Services(usual()?),
        Measurement::Announce(usual()?),
        Measurement::Peers(usual()?),
        Measurement::Routes(usual()?),
        Measurement::Darkness(usual()?),
        Measurement::Cut(usual()?),
        Measurement::Restart(usual()?),
        Measurement::Calm(usual()?),
        Measurement::Partition(usual()?),
        Measurement::Scale(usual()?),
        Measurement::Failover(usual()?),
        Measurement::Quiet(usual()?),
        Measurement::Burst(usual()?),
    ])
}

/// Arguments as they are when none is given.
fn usual<A: Args>() -> Result<A> {
    let matches = A::augment_args(Command::new("defaults")).get_matches_from(["defaults"]);
    Ok(A::from_arg_matches(&matches)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_measurement_has_defaults() {
        Arguments::command().debug_assert();
        all().expect("no argument is required");
    }
}
