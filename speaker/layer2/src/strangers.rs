// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Stations outside the cluster that use an address that we carry.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use crate::{
    identity::MacAddr,
    rule::{self, Rule},
    timing::Timing,
};

/// Who was heard with our addresses, and whom people were told of.
///
/// A peer announces what it claimed a moment before its hello says so; so a station is judged one dead interval after it was
/// heard, when a claim would have ended our ownership.
#[derive(Debug)]
pub(crate) struct Strangers {
    timing: Timing,
    heard: BTreeMap<IpAddr, (MacAddr, Instant)>,
    defended: BTreeMap<IpAddr, Instant>,
}

impl Strangers {
    pub(crate) fn new(timing: Timing) -> Self {
        Self { timing, heard: BTreeMap::new(), defended: BTreeMap::new() }
    }

    /// A station that is not known to be a peer's says that it has an address of ours.
    pub(crate) fn heard(&mut self, address: IpAddr, mac: MacAddr, now: Instant) {
        let silent = self.defended.get(&address).is_some_and(|at| now < *at + self.timing.defence);
        if !silent || !rule::holds(Rule::DefencePace) {
            self.heard.entry(address).or_insert((mac, now + self.timing.dead));
        }
    }

    /// When the next station is to be judged.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heard.values().map(|(_, at)| *at).min()
    }

    /// The stations to be judged now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(IpAddr, MacAddr)> {
        let due = self.heard.iter().filter(|(_, (_, at))| *at <= now);
        let due: Vec<(IpAddr, MacAddr)> = due.map(|(address, (mac, _))| (*address, *mac)).collect();
        due.iter().for_each(|(address, _)| {
            self.heard.remove(address);
        });
        due
    }

    /// The address is defended now, and not again for a while.
    pub(crate) fn defend(&mut self, address: IpAddr, now: Instant) {
        let pause = self.timing.defence;
        self.defended.retain(|_, at| now < *at + pause);
        self.defended.insert(address, now);
    }

    /// The address is ours no more.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        self.heard.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    #[test]
    fn a_station_is_judged_after_a_claim_could_have_come_and_defended_against_once_in_ten_seconds() {
        let (start, t) = (Instant::now(), Timing::DEFAULT);
        let address = IpAddr::from([192, 0, 2, 10]);
        let mut strangers = Strangers::new(t);
        strangers.heard(address, MAC, start);
        strangers.heard(address, MAC, start + Duration::from_millis(100));
        assert_eq!(strangers.next(), Some(start + t.dead));
        assert_eq!(strangers.due(start + t.dead), [(address, MAC)]);
        strangers.defend(address, start + t.dead);
        strangers.heard(address, MAC, start + Duration::from_secs(5));
        assert_eq!(strangers.next(), None);
        strangers.heard(address, MAC, start + Duration::from_secs(11));
        assert!(strangers.next().is_some());
        strangers.forget(address);
        assert_eq!(strangers.next(), None);
    }
}
