// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ratios first, then what each contender's clients noticed of each fault.

use std::fmt;
use std::time::Duration;

use ferrolb_lab::trial::{Event, TOLERATED_TWO_ANSWERS};

use super::record::{Measured, Outcome};
use super::{Kind, Record};
use crate::markdown::{greatest, head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::ratio::Ratio;

/// The records as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

/// Ours, and the peer that it is held against.
const PAIRS: [(Kind, Kind); 2] =
    [(Kind::Ferrolb, Kind::Keepalived100), (Kind::FerrolbFast, Kind::Keepalived30)];

impl Table<'_> {
    fn measured(&self, kind: Kind, fault: Event) -> impl Iterator<Item = &Measured> {
        self.of(kind, fault).filter_map(|record| match &record.outcome {
            Outcome::Measured(measured) => Some(measured),
            _ => None,
        })
    }

    fn of(&self, kind: Kind, fault: Event) -> impl Iterator<Item = &Record> {
        self.0.iter().filter(move |record| record.contender == kind && record.fault == fault)
    }

    fn quantiles(&self, kind: Kind, fault: Event, pick: fn(&Measured) -> f64) -> Option<Quantiles> {
        Quantiles::of_milliseconds(self.measured(kind, fault).map(pick))
    }

    /// A dash where there is nothing to divide, or by: a peer without any outage.
    fn ratio(&self, ours: Kind, theirs: Kind, fault: Event, pick: fn(&Measured) -> f64) -> String {
        let durations = |kind| -> Vec<Duration> {
            let seconds = self.measured(kind, fault).map(|seen| pick(seen) / 1000.0);
            seconds.filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok()).collect()
        };
        let medians = self.quantiles(ours, fault, pick).zip(self.quantiles(theirs, fault, pick));
        match (Ratio::of(&durations(ours), &durations(theirs)), medians) {
            (Some(ratio), Some((ours, theirs))) => {
                format!("**{ratio}**, {:+.0}", ours.median - theirs.median)
            }
            (None, Some((ours, theirs))) => format!("{:+.0}", ours.median - theirs.median),
            (_, None) => "-".to_owned(),
        }
    }

    fn ratios(&self, f: &mut fmt::Formatter<'_>, faults: &[Event]) -> fmt::Result {
        let titles = PAIRS.map(|(ours, theirs)| format!("{} to {}", ours.title(), theirs.title()));
        head(f, "ratio of medians (95 % range), difference in ms", &titles)?;
        for fault in faults {
            for (what, pick) in [("outage", outage as fn(&Measured) -> f64), ("new clients dark", dark)] {
                let cells = PAIRS.map(|(ours, theirs)| self.ratio(ours, theirs, *fault, pick));
                row(f, &format!("{}: {what}", fault.name()), &cells)?;
            }
        }
        writeln!(f)
    }
}

fn outage(seen: &Measured) -> f64 {
    seen.outage
}

fn dark(seen: &Measured) -> f64 {
    seen.dark
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let here = |kind: &Kind| self.0.iter().any(|record| record.contender == *kind);
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(here).collect();
        let happened = |fault: &Event| self.0.iter().any(|record| record.fault == *fault);
        let faults: Vec<Event> = Event::ALL.into_iter().filter(happened).collect();
        writeln!(f, "### Failover\n")?;
        self.ratios(f, &faults)?;
        let titles: Vec<String> = kinds.iter().map(|kind| kind.title().to_owned()).collect();
        head(f, "min / median / max, ms", &titles)?;
        for fault in faults {
            let mut line = |label: &str, cell: &dyn Fn(Kind) -> String| {
                let cells: Vec<String> = kinds.iter().map(|kind| cell(*kind)).collect();
                row(f, &format!("{}: {label}", fault.name()), &cells)
            };
            line("runs counted", &|kind| self.measured(kind, fault).count().to_string())?;
            line("outage, cached client", &|kind| or_dash(self.quantiles(kind, fault, |seen| seen.outage)))?;
            line("new clients dark", &|kind| or_dash(self.quantiles(kind, fault, |seen| seen.dark)))?;
            line("probes lost", &|kind| {
                let (lost, probes) = self
                    .measured(kind, fault)
                    .fold((0, 0), |(lost, probes), seen| (lost + seen.lost, probes + seen.probes));
                format!("{lost} of {probes}")
            })?;
            line("moved after", &|kind| {
                or_dash(Quantiles::of_milliseconds(self.measured(kind, fault).filter_map(|seen| seen.moved)))
            })?;
            line("two answered, longest", &|kind| {
                greatest(self.quantiles(kind, fault, |seen| seen.two_answered))
            })?;
            line("runs with two answerers > 150 ms", &|kind| {
                let limit = TOLERATED_TWO_ANSWERS.as_secs_f64() * 1000.0;
                self.measured(kind, fault).filter(|seen| seen.two_answered > limit).count().to_string()
            })?;
            line("repeated: prober stalled; failed", &|kind| {
                let count = |these: fn(&Outcome) -> bool| {
                    self.of(kind, fault).filter(|record| these(&record.outcome)).count()
                };
                let stalled = count(|outcome| matches!(outcome, Outcome::Stalled { .. }));
                format!("{stalled}; {}", count(|outcome| matches!(outcome, Outcome::Failed { .. })))
            })?;
        }
        let stall = self.0.iter().filter_map(|record| match &record.outcome {
            Outcome::Measured(seen) => Some(seen.stall),
            _ => None,
        });
        writeln!(f, "\nWorst stall of the probers in runs that count: {:.1} ms.\n", stall.fold(0.0, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_ratios_first_and_counts_what_was_repeated() {
        let record =
            |contender, outcome| Record { contender, fault: Event::Kill, run: 0, phase: 0.5, outcome };
        let measured = |dark| {
            Outcome::Measured(Measured {
                from: "n1".to_owned(),
                to: Some("n2".to_owned()),
                outage: 0.0,
                probes: 1000,
                lost: 0,
                dark,
                moved: Some(dark),
                two_answered: 160.0,
                stall: 1.0,
            })
        };
        let records = [
            record(Kind::Ferrolb, measured(200.0)),
            record(Kind::Ferrolb, Outcome::Stalled { stall: 30.0 }),
            record(Kind::Keepalived100, measured(250.0)),
            record(Kind::Keepalived100, Outcome::Failed { why: "two answered".to_owned() }),
        ];
        let text = Table(&records).to_string();
        assert!(text.contains("| kill: new clients dark | **0.80x (0.80-0.80)**, -50 | - |"), "{text}");
        assert!(
            text.contains("| kill: new clients dark | 200.0 / 200.0 / 200.0 | 250.0 / 250.0 / 250.0 |"),
            "{text}"
        );
        assert!(text.contains("| kill: repeated: prober stalled; failed | 1; 0 | 0; 1 |"), "{text}");
        assert!(text.contains("| kill: runs with two answerers > 150 ms | 1 | 1 |"), "{text}");
    }
}
