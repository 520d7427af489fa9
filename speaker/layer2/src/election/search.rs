// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The first use of an address: before it is claimed, the segment is asked whether somebody outside the cluster has it. An
//! address that the cluster is known to have held is claimed at once: its clients wait.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Effect, Election, Situation};
use crate::{
    group::{Role, Search},
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
        group.role = Role::Searching(Search { begun: s.now, left: PROBES, next: s.now, foreign: None });
        self.go_on_searching(id, s);
    }

    /// Asks once more, or decides.
    pub(super) fn go_on_searching(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Role::Searching(search) = &mut group.role else { return };
        if search.next > s.now {
            return;
        }
        // Who is not heard asks nobody: the last probe waits for a sign that the search could have been answered.
        let heard = search.foreign.is_some() || s.heard.is_some_and(|at| at >= search.begun);
        if search.left == 1 && !heard && s.proven {
            search.next = s.now + self.timing.ask_gap;
            return;
        }
        if let Some(left) = search.left.checked_sub(1) {
            (search.left, search.next) = (left, s.now + GAP);
            self.effects.push(Effect::Probe(group.intent.addresses.clone()));
            return;
        }
        let foreign = search.foreign.filter(|(_, mac)| !s.members.is_peer_station(*mac));
        self.searched.remove(&id);
        match foreign {
            Some((address, mac)) => {
                group.role = Role::Conflict { until: s.now + PAUSE, mac };
                group.since = s.now;
                self.effects.push(Effect::InUse { group: id, address, mac });
            }
            None if s.proven => self.claim_now(id, s),
            None => self.wait_for_proof(id, s.now),
        }
    }

    /// A station says that it has the address: while it is searched for, that is the answer.
    pub(crate) fn hear_of(&mut self, address: IpAddr, mac: MacAddr) {
        let group = self.by_address.get(&address).and_then(|id| self.groups.get_mut(id));
        if let Some(Role::Searching(search)) = group.map(|group| &mut group.role) {
            search.foreign = Some((address, mac));
        }
    }

    /// When a candidate of this rank may begin: the others leave the search to the first, whose last probe waits for a hello
    /// that echoes one of its own.
    pub(super) fn search_ahead(&self, id: GroupId, rank: usize) -> Duration {
        let echoed = self.timing.hello * 2 + GAP * 2;
        if rank > 0 && self.is_new(id) { LENGTH.max(echoed) } else { Duration::ZERO }
    }
}

impl Search {
    /// When it goes on.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }
}
