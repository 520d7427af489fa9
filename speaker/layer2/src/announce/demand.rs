// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which addresses clients asked for lately: theirs are the connections that break first.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

/// A question counts as recent for one to two of these.
const PERIOD: Duration = Duration::from_secs(30);
/// Addresses kept per period. Anybody on the segment can ask for anything, so there must be an end.
const LIMIT: usize = 16_384;

/// Two generations of questions: forgetting is one swap, and needs no time per address.
#[derive(Debug)]
pub(super) struct Demand {
    current: BTreeSet<IpAddr>,
    previous: BTreeSet<IpAddr>,
    since: Instant,
}

impl Demand {
    pub(super) fn new(now: Instant) -> Self {
        Self { current: BTreeSet::new(), previous: BTreeSet::new(), since: now }
    }

    pub(super) fn note(&mut self, address: IpAddr, now: Instant) {
        self.turn(now);
        if self.current.len() < LIMIT {
            self.current.insert(address);
        }
    }

    pub(super) fn recent(&mut self, address: IpAddr, now: Instant) -> bool {
        self.turn(now);
        self.current.contains(&address) || self.previous.contains(&address)
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < PERIOD {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age >= 2 * PERIOD {
            self.previous.clear();
        }
        self.since = now;
    }
}
