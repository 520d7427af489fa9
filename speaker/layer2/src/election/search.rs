// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The first use of an address: before it is claimed, the segment is asked whether somebody outside the cluster has it. An
//! address that the cluster is known to have held is claimed at once: its clients wait.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Effect, Election, Situation};
use crate::{
    group::{Role, Search, Tenure},
    identity::{GroupId, MacAddr, Term},
    rule::{self, Rule},
};

/// How often the segment is asked.
const PROBES: u8 = 3;
/// Between two probes, and after the last.
const GAP: Duration = Duration::from_millis(200);
/// How long a search takes at least.
pub(super) const LENGTH: Duration = Duration::from_millis(600);
/// After an answer, the address is looked for again after so long (RFC 5227, section 2.1.1: RATE_LIMIT_INTERVAL).
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// Groups searched for at a time, so that a cluster that starts with thousands does not flood the segment.
const AT_ONCE: usize = 300;
const _: () = assert!(LENGTH.as_millis() == GAP.as_millis() * PROBES as u128);

impl Election {
    /// Nobody is known to have held the group since this process listens.
    pub(super) fn is_new(&self, id: GroupId) -> bool {
        self.claims.term(id) == Term::default() && rule::holds(Rule::FirstUse)
    }

    /// Asks for the group's addresses before it is claimed.
    pub(super) fn search(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if self.searched.len() >= AT_ONCE {
            group.role = Role::Contending { at: s.now + GAP, deferred: false };
            return;
        }
        self.searched.insert(id);
        group.role = Role::Searching(Search::from(s.now));
        self.go_on_searching(id, s);
    }

    /// Asks once more, or decides.
    pub(super) fn go_on_searching(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Role::Searching(search) = &mut group.role else { return };
        match search.advance(s, self.timing.ask_gap) {
            Progress::Waits => return,
            Progress::Asks => return self.effects.push(Effect::Probe(group.intent.addresses.clone())),
            Progress::Ends => {}
        }
        let stations = search.strangers(s);
        self.searched.remove(&id);
        if !stations.is_empty() {
            self.effects.extend(in_use(id, &stations));
            group.role = Role::Conflict { until: s.now + PAUSE, stations };
            group.since = s.now;
        } else if s.proven {
            self.claim_now(id, s);
        } else {
            self.wait_for_proof(id, s.now);
        }
    }

    /// A station says that it has the address: while it is searched for, that is the answer.
    pub(crate) fn hear_of(&mut self, address: IpAddr, mac: MacAddr) {
        let group = self.by_address.get(&address).and_then(|id| self.groups.get_mut(id));
        let search = match group.map(|group| &mut group.role) {
            Some(Role::Searching(search)) => search,
            Some(Role::Owner(Tenure { joining: Some(joining), .. }))
                if joining.addresses.contains(&address) =>
            {
                &mut joining.search
            }
            _ => return,
        };
        search.foreign.insert(address, mac);
    }

    /// When a candidate of this rank may begin: the others leave the search to the first, whose last probe waits for a hello
    /// that echoes one of its own.
    pub(super) fn search_ahead(&self, id: GroupId, rank: usize) -> Duration {
        let echoed = self.timing.hello * 2 + GAP * 2;
        if rank > 0 && self.is_new(id) { LENGTH.max(echoed) } else { Duration::ZERO }
    }
}

/// What a search does when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing now.
    Waits,
    /// It asks the segment once more.
    Asks,
    /// It knows enough.
    Ends,
}

impl Search {
    /// One that begins then.
    pub(super) fn from(begun: Instant) -> Self {
        Self { begun, left: PROBES, next: begun, foreign: BTreeMap::new() }
    }

    /// When it goes on.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Goes on if it is time.
    pub(super) fn advance(&mut self, s: Situation<'_>, ask_gap: Duration) -> Progress {
        if self.next > s.now {
            return Progress::Waits;
        }
        // Who is not heard asks nobody: the last probe waits for a sign that the search could have been answered.
        let heard = !self.foreign.is_empty() || self.was_heard(s);
        if self.left == 1 && !heard && s.proven {
            self.next = s.now + ask_gap;
            return Progress::Waits;
        }
        let Some(left) = self.left.checked_sub(1) else { return Progress::Ends };
        (self.left, self.next) = (left, s.now + GAP);
        Progress::Asks
    }

    /// Whether others surely heard us since it began.
    pub(super) fn was_heard(&self, s: Situation<'_>) -> bool {
        s.heard.is_some_and(|at| at >= self.begun)
    }

    /// Who answered and is none of us.
    pub(super) fn strangers(&self, s: Situation<'_>) -> BTreeMap<IpAddr, MacAddr> {
        let strange = |(_, mac): &(&IpAddr, &MacAddr)| !s.members.is_peer_station(**mac);
        self.foreign.iter().filter(strange).map(|(address, mac)| (*address, *mac)).collect()
    }
}

/// That these stations have addresses of the group.
pub(super) fn in_use(group: GroupId, stations: &BTreeMap<IpAddr, MacAddr>) -> impl Iterator<Item = Effect> {
    stations.iter().map(move |(address, mac)| Effect::InUse { group, address: *address, mac: *mac })
}
