// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ten thousand addresses on three nodes: one dies, or one is asked to leave.

mod crash;
mod hand_over;
mod table;
mod watch;
mod wire;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ferrolb_lab::installation::Installation;

use crate::idle;
use crate::population;
use crate::report::{Book, Budget};
pub(crate) use crash::Crash;
pub(crate) use hand_over::HandOver;
pub(crate) use table::Table;

const NODES: u8 = 3;

/// How many addresses, how many of them are looked at, how often.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Addresses on three nodes
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(3..=30_000))]
    addresses: u32,
    /// Addresses of the node that goes that are probed
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    sample: u32,
    /// Each of them is probed once in so many milliseconds
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(10..=100))]
    every: u64,
    /// Crashes, and hand-overs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// How long the speakers are watched at rest before each, in seconds; 0: not at all
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    rest_seconds: u64,
    /// One of the two alone
    #[arg(long, value_enum)]
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    Crash,
    HandOver,
}

/// Measures what is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    println!("Scale: {} addresses on {NODES} nodes.", arguments.addresses);
    for run in 0..usize::try_from(arguments.runs)? {
        for only in [Only::Crash, Only::HandOver] {
            let done = match only {
                Only::Crash => book.report.crash_at_scale.len() > run,
                Only::HandOver => book.report.hand_over_at_scale.len() > run,
            };
            if done || arguments.only.is_some_and(|wanted| wanted != only) {
                continue;
            }
            if budget.is_spent() {
                return Ok(());
            }
            let count = usize::try_from(arguments.addresses)?;
            let mut installation = population::prepare(binary, NODES, count, &[])?;
            let started = population::start(&mut installation, count)?;
            println!("  all are carried after {:.1} s", started.as_secs_f64());
            if arguments.rest_seconds > 0 {
                let span = Duration::from_secs(arguments.rest_seconds);
                let rest = idle::watch(&mut installation, count, span)?;
                println!("{rest}");
                book.report.idle.push(rest);
                book.save()?;
            }
            let scene = Scene {
                count,
                sample: usize::try_from(arguments.sample)?,
                every: Duration::from_millis(arguments.every),
                started,
            };
            match only {
                Only::Crash => {
                    let record = crash::measure(&mut installation, &scene)?;
                    println!("  {record:?}");
                    book.report.crash_at_scale.push(record);
                }
                Only::HandOver => {
                    let record = hand_over::measure(&mut installation, &scene)?;
                    println!("  {record:?}");
                    book.report.hand_over_at_scale.push(record);
                }
            }
            book.save()?;
        }
    }
    Ok(())
}

/// What both measurements are about.
struct Scene {
    count: usize,
    sample: usize,
    every: Duration,
    started: Duration,
}

/// The speakers' own record since a moment on the wall clock: how long after it each address was claimed.
fn claims_since(
    installation: &mut Installation,
    since: k8s_openapi::jiff::Timestamp,
) -> Result<std::collections::BTreeMap<std::net::Ipv4Addr, Duration>> {
    let mut claims = std::collections::BTreeMap::new();
    for name in population::names(installation) {
        // One that was stopped took nothing.
        let Ok(speaker) = installation.speaker(&name) else { continue };
        for line in speaker.log().lines() {
            if let Some((address, at)) = claim(line)
                && at > since
            {
                let after = Duration::try_from(at.duration_since(since)).context("time runs backwards")?;
                claims.entry(address).or_insert(after);
            }
        }
    }
    Ok(claims)
}

/// `2026-01-02T03:04:05.678901Z  INFO …: took 198.18.0.1 (term 2): … late_ms=12.5`: a line that was written later than the address
/// was answered for says by how much.
fn claim(line: &str) -> Option<(std::net::Ipv4Addr, k8s_openapi::jiff::Timestamp)> {
    let (time, rest) = line.split_once(' ')?;
    let (_, taken) = rest.split_once(": took ")?;
    let address = taken.split([' ', '(']).next()?.parse().ok()?;
    let written: k8s_openapi::jiff::Timestamp = time.parse().ok()?;
    let late = rest.split_once(" late_ms=").and_then(|(_, late)| late.split(' ').next()?.parse::<f64>().ok());
    let late = Duration::try_from_secs_f64(late.unwrap_or(0.0) / 1000.0).ok()?;
    Some((address, written.checked_sub(late).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_from_a_line_of_the_log() {
        let line = "2026-11-21T21:05:20.769972Z  INFO ferrolb_speaker::run: took 198.18.18.127 (term 2): given up by n3 segment=\"eth0\"";
        let (address, at) = claim(line).expect("a claim");
        assert_eq!(address.to_string(), "198.18.18.127");
        assert_eq!(at.as_millisecond() % 60_000, 20_769);
        let (_, earlier) = claim(&format!("{line} late_ms=20.5")).expect("a claim");
        assert_eq!(at.duration_since(earlier).as_micros(), 20_500);
        assert_eq!(claim(&line.replace("took", "gave up")), None);
    }
}
