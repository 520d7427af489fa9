// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What many trials come to, and the table that shows contenders side by side.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use crate::trial::{Event, Trial};

/// Least, middle and greatest of some durations, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Least.
    pub min: f64,
    /// Middle.
    pub median: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of `values`; `None` if there are none.
    pub fn of(values: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().map(milliseconds).collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self { min: *sorted.first()?, median: median(&sorted)?, max: *sorted.last()? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} / {:.1} / {:.1}", self.min, self.median, self.max))
    }
}

/// The middle of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What one contender's trials came to; trials in which the probers stalled are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Crashes counted.
    pub crashes: usize,
    /// How long a client that knew the address was without an answer.
    pub crash_outage: Option<Spread>,
    /// How long new clients were without an answer.
    pub crash_new_clients_dark: Option<Spread>,
    /// Planned hand-overs counted.
    pub hand_overs: usize,
    /// As for crashes.
    pub hand_over_outage: Option<Spread>,
    /// As for crashes.
    pub hand_over_new_clients_dark: Option<Spread>,
    /// Probes sent during hand-overs.
    pub hand_over_probes: usize,
    /// Of those, lost.
    pub hand_over_lost: usize,
    /// Trials in which two stations answered new clients for more than 150 ms.
    pub two_answerers: usize,
    /// Trials that did not count.
    pub repeated: usize,
    /// The worst stall of the probers in trials that count, in milliseconds.
    pub worst_stall: f64,
}

impl Figures {
    /// Of the trials of one contender.
    pub fn of(trials: &[Trial]) -> Self {
        let spread = |event, pick: fn(&Trial) -> Duration| {
            Spread::of(&counted(trials, event).map(pick).collect::<Vec<Duration>>())
        };
        let counting = || trials.iter().filter(|trial| trial.counts());
        Self {
            crashes: counted(trials, Event::Crash).count(),
            crash_outage: spread(Event::Crash, |trial| trial.outage),
            crash_new_clients_dark: spread(Event::Crash, |trial| trial.new_clients_dark),
            hand_overs: counted(trials, Event::HandOver).count(),
            hand_over_outage: spread(Event::HandOver, |trial| trial.outage),
            hand_over_new_clients_dark: spread(Event::HandOver, |trial| trial.new_clients_dark),
            hand_over_probes: counted(trials, Event::HandOver).map(|trial| trial.probes).sum(),
            hand_over_lost: counted(trials, Event::HandOver).map(|trial| trial.lost).sum(),
            two_answerers: counting().filter(|trial| trial.two_answerers()).count(),
            repeated: trials.len() - counting().count(),
            worst_stall: counting().map(|trial| milliseconds(trial.stall)).fold(0.0, f64::max),
        }
    }
}

/// The trials of one kind that count.
pub fn counted(trials: &[Trial], event: Event) -> impl Iterator<Item = &Trial> {
    trials.iter().filter(move |trial| trial.counts() && trial.event == event)
}

/// What a row is called and what it shows.
type Row = (&'static str, fn(&Figures) -> String);

const ROWS: [Row; 9] = [
    ("crash: outage, cached client", |side| or_dash(side.crash_outage)),
    ("crash: new clients dark", |side| or_dash(side.crash_new_clients_dark)),
    ("hand-over: outage, cached client", |side| or_dash(side.hand_over_outage)),
    ("hand-over: new clients dark", |side| or_dash(side.hand_over_new_clients_dark)),
    ("hand-over: probes lost", |side| format!("{} of {}", side.hand_over_lost, side.hand_over_probes)),
    ("runs with two answerers > 150 ms", |side| side.two_answerers.to_string()),
    ("runs counted: crash, hand-over", |side| format!("{}, {}", side.crashes, side.hand_overs)),
    ("runs repeated: prober stalled", |side| side.repeated.to_string()),
    ("worst prober stall counted, ms", |side| format!("{:.1}", side.worst_stall)),
];

fn or_dash(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string())
}

/// A table with a column for each contender.
pub fn table(columns: &[(&str, &Figures)]) -> String {
    let mut text = format!("{:34}", "min / median / max in ms");
    // Writing to a String does not fail.
    for (name, _) in columns {
        write!(text, " {name:>24}").ok();
    }
    text.push('\n');
    for (name, pick) in ROWS {
        write!(text, "{name:34}").ok();
        for (_, figures) in columns {
            write!(text, " {:>24}", pick(figures)).ok();
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    fn trial(event: Event, outage: u64, stall: u64) -> Trial {
        Trial {
            event,
            phase: 0.5,
            from: Place::Node(1),
            to: Some(Place::Node(2)),
            outage: Duration::from_millis(outage),
            probes: 1000,
            lost: usize::try_from(outage).expect("small"),
            moved_after: None,
            new_clients_dark: Duration::from_millis(outage + 10),
            two_answered: Duration::from_millis(if outage > 300 { 200 } else { 0 }),
            stall: Duration::from_millis(stall),
        }
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_the_two_in_the_middle() {
        let values: Vec<Duration> = [4, 1, 2, 3].map(Duration::from_millis).into();
        assert_eq!(Spread::of(&values), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_trial_with_a_sleepy_prober_is_named_but_not_counted() {
        let trials = [
            trial(Event::Crash, 240, 1),
            trial(Event::Crash, 310, 2),
            trial(Event::Crash, 999, 21),
            trial(Event::HandOver, 0, 3),
        ];
        let figures = Figures::of(&trials);
        assert_eq!(
            (figures.crashes, figures.hand_overs, figures.repeated, figures.two_answerers),
            (2, 1, 1, 1)
        );
        assert_eq!(figures.crash_outage, Some(Spread { min: 240.0, median: 275.0, max: 310.0 }));
        assert_eq!((figures.hand_over_lost, figures.hand_over_probes), (0, 1000));
    }

    #[test]
    fn the_table_has_a_column_for_everyone_and_a_dash_for_what_was_not_measured() {
        let figures = Figures::of(&[trial(Event::Crash, 240, 1)]);
        let table = table(&[("FerroLB", &figures), ("keepalived", &Figures::default())]);
        let first = table.lines().nth(1).expect("a row");
        assert_eq!(
            first,
            "crash: outage, cached client          240.0 / 240.0 / 240.0                        -"
        );
    }
}
