// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A column for each run.

use std::fmt;

use super::{Crash, HandOver};
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Crash], pub(crate) &'a [HandOver]);

fn four(quantiles: Option<Quantiles>) -> String {
    or_dash(
        quantiles.map(|one| format!("{:.0} / {:.0} / {:.0} / {:.0}", one.min, one.median, one.p99, one.max)),
    )
}

fn columns(count: usize) -> Vec<String> {
    (1..=count).map(|run| format!("run {run}")).collect()
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.0.first() {
            writeln!(f, "### {} addresses on three nodes: one dies\n", first.addresses)?;
            head(f, "ms after the cut: min / median / p99 / max", &columns(self.0.len()))?;
            let mut line = |label: &str, cell: &dyn Fn(&Crash) -> String| {
                row(f, label, &self.0.iter().map(cell).collect::<Vec<_>>())
            };
            line("addresses of the dead node", &|one| one.lost.to_string())?;
            line(
                &format!(
                    "sampled addresses answered by their new owners (asked each {:.0} ms)",
                    first.asked_every
                ),
                &|one| four(one.answered),
            )?;
            line("claimed, by the new owners' own record", &|one| four(one.claimed))?;
            line("not answered, of the sampled; not claimed, of all", &|one| {
                format!("{} of {}; {}", one.unanswered, one.sampled, one.unclaimed)
            })?;
            line("two answered for one address, longest", &|one| format!("{:.0}", one.two_answered))?;
            line("all announced once after", &|one| format!("{:.0}", one.announced.first_pass))?;
            line("announcements; missing", &|one| {
                format!("{}; {}", one.announced.frames, one.announced.missing)
            })?;
            line("most announcements of a node in a second", &|one| {
                one.announced.most_in_a_second.to_string()
            })?;
            line("worst stall of the prober", &|one| format!("{:.1}", one.stall))?;
            line("three speakers' start until all was carried, s", &|one| {
                format!("{:.0}", one.started_seconds)
            })?;
            writeln!(f)?;
        }
        if let Some(first) = self.1.first() {
            writeln!(f, "### {} addresses on three nodes: one hands over\n", first.addresses)?;
            head(f, "ms after SIGTERM: min / median / p99 / max", &columns(self.1.len()))?;
            let mut line = |label: &str, cell: &dyn Fn(&HandOver) -> String| {
                row(f, label, &self.1.iter().map(cell).collect::<Vec<_>>())
            };
            line("addresses handed over", &|one| one.moved.to_string())?;
            line(
                &format!(
                    "probes lost, {} sampled addresses each {:.0} ms",
                    first.sampled, first.probed_every
                ),
                &|one| format!("{} of {}", one.lost, one.probes),
            )?;
            line("longest outage of a cached client", &|one| format!("{:.0}", one.outage))?;
            line("longest dark of new clients", &|one| format!("{:.0}", one.dark))?;
            line("two answered for one address, longest", &|one| format!("{:.0}", one.two_answered))?;
            line("claimed, by the new owners' own record", &|one| four(one.claimed))?;
            line("not claimed", &|one| one.unclaimed.to_string())?;
            line("all announced once after", &|one| format!("{:.0}", one.announced.first_pass))?;
            line("announcements; missing", &|one| {
                format!("{}; {}", one.announced.frames, one.announced.missing)
            })?;
            line("most announcements of a node in a second", &|one| {
                one.announced.most_in_a_second.to_string()
            })?;
            line("the process had ended after", &|one| format!("{:.0}", one.ended))?;
            line("worst stall of the probers", &|one| format!("{:.1}", one.stall))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
