// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which addresses clients asked for lately, and who: theirs are the connections that break first.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::identity::MacAddr;

/// A question counts as recent for one to two of these.
const PERIOD: Duration = Duration::from_secs(30);
/// Addresses kept per period. Anybody on the segment can ask for anything, so there must be an end.
const LIMIT: usize = 16_384;
/// Of each address, so many who asked for it are remembered per period; the last ones.
const ASKERS: usize = 16;

/// A client that asked for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its station.
    pub mac: MacAddr,
    /// Its own address, to which an answer goes.
    pub address: IpAddr,
}

/// Two generations of questions: forgetting is one swap, and needs no time per address.
#[derive(Debug)]
pub(super) struct Demand {
    current: BTreeMap<IpAddr, Vec<Asker>>,
    previous: BTreeMap<IpAddr, Vec<Asker>>,
    since: Instant,
}

impl Demand {
    pub(super) fn new(now: Instant) -> Self {
        Self { current: BTreeMap::new(), previous: BTreeMap::new(), since: now }
    }

    pub(super) fn note(&mut self, address: IpAddr, asker: Asker, now: Instant) {
        self.turn(now);
        if self.current.len() >= LIMIT && !self.current.contains_key(&address) {
            return;
        }
        let askers = self.current.entry(address).or_default();
        askers.retain(|known| known.address != asker.address);
        if askers.len() >= ASKERS {
            askers.remove(0);
        }
        askers.push(asker);
    }

    pub(super) fn recent(&mut self, address: IpAddr, now: Instant) -> bool {
        self.turn(now);
        self.current.contains_key(&address) || self.previous.contains_key(&address)
    }

    /// Who asked for the address lately, whoever asked last first.
    pub(super) fn askers(&mut self, address: IpAddr, now: Instant) -> Vec<Asker> {
        self.turn(now);
        let of = |period: &BTreeMap<IpAddr, Vec<Asker>>| period.get(&address).cloned().unwrap_or_default();
        let mut askers = of(&self.current);
        askers.reverse();
        for before in of(&self.previous).into_iter().rev() {
            if askers.iter().all(|known| known.address != before.address) {
                askers.push(before);
            }
        }
        askers
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
