// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one fault did to the clients of one contender.

use std::fmt;

use anyhow::Error;
use ferrolb_lab::Place;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::trial::{Event, Trial};
use serde::{Deserialize, Serialize};

use super::Kind;

/// Durations in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) contender: Kind,
    pub(crate) fault: Event,
    pub(crate) run: u32,
    /// The fault's place within the interval of adverts, 0 to 1.
    pub(crate) phase: f64,
    /// What clients noticed, or why nothing was measured.
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Measured(Measured),
    /// The probers stood still for too long: repeated.
    Stalled {
        stall: f64,
    },
    /// No single node answered for the address before the fault, for 20 s; or the contender did not start.
    Failed {
        why: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) from: String,
    pub(crate) to: Option<String>,
    /// The longest time a client that knew the address was without an answer.
    pub(crate) outage: f64,
    pub(crate) probes: usize,
    pub(crate) lost: usize,
    /// The longest time new clients were without an answer.
    pub(crate) dark: f64,
    /// Until another node answered new clients.
    pub(crate) moved: Option<f64>,
    /// The longest span in which two stations answered.
    pub(crate) two_answered: f64,
    /// The probers' own worst.
    pub(crate) stall: f64,
}

impl Record {
    pub(super) fn of(contender: Kind, run: u32, trial: &Trial) -> Self {
        let outcome = if trial.counts() {
            Outcome::Measured(Measured {
                from: trial.from.name(),
                to: trial.to.map(Place::name),
                outage: milliseconds(trial.outage),
                probes: trial.probes,
                lost: trial.lost,
                dark: milliseconds(trial.new_clients_dark),
                moved: trial.moved_after.map(milliseconds),
                two_answered: milliseconds(trial.two_answered),
                stall: milliseconds(trial.stall),
            })
        } else {
            Outcome::Stalled { stall: milliseconds(trial.stall) }
        };
        Self { contender, fault: trial.event, run, phase: trial.phase, outcome }
    }

    pub(super) fn failed(contender: Kind, fault: Event, run: u32, phase: f64, why: &Error) -> Self {
        Self { contender, fault, run, phase, outcome: Outcome::Failed { why: format!("{why:#}") } }
    }

    /// Whether this turn need not be taken again.
    pub(super) fn settles(&self, contender: Kind, fault: Event, run: u32) -> bool {
        (self.contender, self.fault, self.run) == (contender, fault, run)
            && matches!(self.outcome, Outcome::Measured(_))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contender, fault, run, phase, outcome } = self;
        write!(f, "{:17} {fault:14} {run:3} at {phase:.3}  ", contender.title())?;
        match outcome {
            Outcome::Measured(seen) => write!(
                f,
                "{} -> {}: outage {:6.1} ms, {:4} of {} lost; new clients dark {:6.1} ms, two answered {:6.1} ms; own stall {:4.1} ms",
                seen.from,
                seen.to.as_deref().unwrap_or("nobody"),
                seen.outage,
                seen.lost,
                seen.probes,
                seen.dark,
                seen.two_answered,
                seen.stall,
            ),
            Outcome::Stalled { stall } => {
                write!(f, "not counted: the prober itself stood still for {stall:.1} ms")
            }
            Outcome::Failed { why } => write!(f, "failed: {why}"),
        }
    }
}
