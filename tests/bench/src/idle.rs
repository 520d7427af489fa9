// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker costs that has addresses to look after and nothing to do.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use ferrolb_lab::installation::Installation;
use serde::{Deserialize, Serialize};

use crate::markdown::{head, row};
use crate::population;
use crate::report::Book;

const NODES: u8 = 3;
/// Start-up work is over by then: the last announcement of a claimed address falls due after ten seconds …
const SETTLE: Duration = Duration::from_secs(15);
/// … and an address takes seven announcements of two frames each, of which a node sends a thousand a second.
const SETTLE_EACH: Duration = Duration::from_millis(14);

/// How many addresses, how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Addresses on three nodes; a row for each number
    #[arg(long, value_name = "NUMBER,…", value_delimiter = ',', default_values_t = [100])]
    addresses: Vec<u32>,
    /// How long to watch, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// Figures of every speaker, `n1` first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    addresses: usize,
    seconds: u64,
    speakers: Vec<Speaker>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Speaker {
    node: String,
    resident_mebibytes: f64,
    percent_of_a_core: f64,
}

/// Measures the numbers that are not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, book: &mut Book) -> Result<()> {
    for count in &arguments.addresses {
        let count = usize::try_from(*count)?;
        if book.report.idle.iter().any(|done| done.addresses == count) {
            continue;
        }
        println!("Idle, {count} addresses, watching for {} s.", arguments.seconds);
        let mut installation = population::prepare(binary, NODES, count, &[])?;
        population::start(&mut installation, count)?;
        book.report.idle.push(watch(&mut installation, count, Duration::from_secs(arguments.seconds))?);
        book.save()?;
    }
    Ok(())
}

/// Watches the speakers of `installation` for `span`.
pub(crate) fn watch(installation: &mut Installation, addresses: usize, span: Duration) -> Result<Figures> {
    let names = population::names(installation);
    let share = addresses.div_ceil(names.len().max(1));
    thread::sleep(SETTLE + SETTLE_EACH * u32::try_from(share)?);
    let mut before = Vec::new();
    for name in &names {
        before.push(installation.speaker(name)?.processor_time()?);
    }
    thread::sleep(span);
    let mut speakers = Vec::new();
    for (node, before) in names.into_iter().zip(before) {
        let process = installation.speaker(&node)?;
        let used = process.processor_time()?.saturating_sub(before);
        let resident = process.resident_bytes()?;
        speakers.push(Speaker {
            node,
            resident_mebibytes: resident as f64 / f64::from(1 << 20),
            percent_of_a_core: used.as_secs_f64() / span.as_secs_f64() * 100.0,
        });
    }
    Ok(Figures { addresses, seconds: span.as_secs(), speakers })
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {} addresses at rest:", self.addresses)?;
        for Speaker { node, resident_mebibytes, percent_of_a_core } in &self.speakers {
            write!(f, " {node} {resident_mebibytes:.1} MiB, {percent_of_a_core:.2} % of a core;")?;
        }
        Ok(())
    }
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        writeln!(f, "### At rest\n")?;
        let columns: Vec<String> = first.speakers.iter().map(|speaker| speaker.node.clone()).collect();
        head(f, "RSS, MiB / % of a core", &columns)?;
        for figures in self.0 {
            let cells: Vec<String> = figures
                .speakers
                .iter()
                .map(|speaker| {
                    format!("{:.1} / {:.2}", speaker.resident_mebibytes, speaker.percent_of_a_core)
                })
                .collect();
            row(f, &format!("{} addresses, {} s", figures.addresses, figures.seconds), &cells)?;
        }
        writeln!(f)
    }
}
