// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The routes of one session as Markdown.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::Record;
use crate::bgp::sender::Kind;
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::ratio::Ratio;

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Record]);

/// A figure of a run in milliseconds.
type Pick = fn(&Record) -> f64;

const TIMES: [(&str, Pick); 5] = [
    ("all routes after the session's beginning", |one| one.all),
    ("attributes of all changed: first route", |one| one.changed_first),
    ("attributes of all changed: last route", |one| one.changed_all),
    ("session ended by the router: a new one after", |one| one.back),
    ("all routes after its beginning", |one| one.all_again),
];

impl Table<'_> {
    fn of(&self, kind: Kind, routes: usize, pick: Pick) -> Vec<f64> {
        self.0.iter().filter(|one| (one.kind, one.routes) == (kind, routes)).map(pick).collect()
    }

    fn quantiles(&self, kind: Kind, routes: usize, pick: Pick) -> Option<Quantiles> {
        Quantiles::of_milliseconds(self.of(kind, routes, pick))
    }

    /// Our time to that of the faster of the others.
    fn ratio(&self, routes: usize, pick: Pick) -> Option<(Ratio, Kind)> {
        let durations = |kind| -> Vec<Duration> {
            self.of(kind, routes, pick).into_iter().map(|ms| Duration::from_secs_f64(ms / 1000.0)).collect()
        };
        let others = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Ferrolb);
        let medians = others.filter_map(|kind| Some((kind, self.quantiles(kind, routes, pick)?.median)));
        let (faster, _) = medians.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some((Ratio::of(&durations(Kind::Ferrolb), &durations(faster))?, faster))
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: BTreeSet<usize> = self.0.iter().map(|one| one.routes).collect();
        for routes in sizes {
            writeln!(f, "### {routes} routes to BIRD\n")?;
            let names = Kind::ALL.map(|kind| kind.to_string());
            head(
                f,
                "ms: min / median / max",
                &[&names[..], &["ratio to the faster other".to_owned()]].concat(),
            )?;
            for (label, pick) in TIMES {
                let mut cells: Vec<String> =
                    Kind::ALL.iter().map(|kind| or_dash(self.quantiles(*kind, routes, pick))).collect();
                cells.push(or_dash(self.ratio(routes, pick).map(|(ratio, to)| format!("{ratio} {to}"))));
                row(f, label, &cells)?;
            }
            let counts: [(&str, Pick); 2] = [
                ("TCP segments until all are there", |one| one.segments as f64),
                ("RSS of the sender, MiB", |one| one.resident_mebibytes),
            ];
            for (label, pick) in counts {
                let cell = |kind: &Kind| or_dash(self.quantiles(*kind, routes, pick));
                row(f, label, &Kind::ALL.iter().map(cell).chain([String::new()]).collect::<Vec<String>>())?;
            }
            let runs = |kind: &Kind| self.of(*kind, routes, |one| one.all).len().to_string();
            row(f, "runs", &Kind::ALL.iter().map(runs).chain([String::new()]).collect::<Vec<String>>())?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_to_the_faster_of_the_others() {
        let record = |kind, all| Record {
            kind,
            routes: 10,
            run: 0,
            all,
            segments: 1,
            resident_mebibytes: 1.0,
            changed_first: 1.0,
            changed_all: 1.0,
            back: 1.0,
            all_again: 1.0,
        };
        let records = [record(Kind::Ferrolb, 30.0), record(Kind::Bird, 20.0), record(Kind::Gobgp, 90.0)];
        let text = Table(&records).to_string();
        assert!(text.contains("| 1.50x (1.50-1.50) BIRD |"), "{text}");
        assert!(!Table(&records[..1]).to_string().contains("x ("), "there is nobody to compare with");
    }
}
