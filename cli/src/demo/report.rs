// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The figures as JSON, for those who want to check them.

use ferrolb_lab::figures::{Figures, Spread};
use serde::Serialize;

/// FerroLB's figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    crash: Crash,
    handover: HandOver,
    /// Runs in which two stations answered new clients for more than 150 ms.
    two_answerers: usize,
}

#[derive(Debug, Serialize)]
struct Crash {
    runs: usize,
    outage_ms: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct HandOver {
    runs: usize,
    probes: usize,
    lost: usize,
}

impl Report {
    pub(super) fn of(figures: &Figures) -> Self {
        Self {
            crash: Crash { runs: figures.crashes, outage_ms: figures.crash_outage },
            handover: HandOver {
                runs: figures.hand_overs,
                probes: figures.hand_over_probes,
                lost: figures.hand_over_lost,
            },
            two_answerers: figures.two_answerers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_documented_shape() {
        let figures = Figures {
            crashes: 2,
            crash_outage: Some(Spread { min: 200.0, median: 250.5, max: 301.0 }),
            hand_overs: 2,
            hand_over_probes: 3600,
            ..Figures::default()
        };
        let json = serde_json::to_string(&Report::of(&figures)).expect("plain data");
        assert_eq!(
            json,
            "{\"crash\":{\"runs\":2,\"outage_ms\":{\"min\":200.0,\"median\":250.5,\"max\":301.0}},\
             \"handover\":{\"runs\":2,\"probes\":3600,\"lost\":0},\"two_answerers\":0}"
        );
    }
}
