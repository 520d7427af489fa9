// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who claims what nobody holds: those with room before those that hold their share, each after as many steps as others rank
//! before it, and only who is heard.

use std::{collections::BTreeMap, time::Duration};

use super::{Election, Situation};
use crate::{
    group::Role,
    identity::GroupId,
    input::GroupIntent,
    load,
    output::Cause,
    rank::{Candidate, ranked},
    rule::{self, Rule},
};

impl Election {
    /// Claims after `listen` and as much more as our rank demands.
    pub(super) fn contend(&mut self, id: GroupId, listen: Duration, s: Situation<'_>) {
        let Some(group) = self.groups.get(&id) else { return };
        let candidates = self.candidates(&group.intent, s);
        let first = ranked(id, candidates.iter().copied()).first().copied();
        self.wait(id, candidates, listen, s);
        if let Some(first) = first.filter(|first| *first != self.me) {
            self.presumed.claim(first);
        }
    }

    /// Waits for those of `candidates` that come before us.
    fn wait(&mut self, id: GroupId, candidates: Vec<Candidate>, listen: Duration, s: Situation<'_>) {
        let all = candidates.len();
        let deferred = self.defers(&candidates);
        let order = ranked(id, candidates);
        let rank = order.iter().position(|node| *node == self.me).unwrap_or(all);
        // Peers that do not know yet that we are full wait for us as if we were not.
        let rank = if deferred { all.max(rank) } else { rank };
        let rank = if rule::holds(Rule::RankDelay) { rank } else { 0 };
        let mut delay = listen + self.timing.rank_step * u32::try_from(rank).unwrap_or(u32::MAX);
        if rank >= 3 {
            delay += self.timing.rank_step.mul_f64(self.random.f64());
        }
        if let Some(group) = self.groups.get_mut(&id) {
            group.role = Role::Contending { at: s.now + delay, deferred };
        }
        if delay.is_zero() {
            self.claim_if_proven(id, s);
        }
        self.schedule(id);
    }

    /// Everybody who is up and may carry the group, and whether each holds its share already: of as much as those get who are
    /// preferred alike.
    pub(super) fn candidates(&self, intent: &GroupIntent, s: Situation<'_>) -> Vec<Candidate> {
        let held = |owned: u32| usize::try_from(owned).unwrap_or(usize::MAX);
        let mine = Candidate { node: self.me, reluctant: s.draining, preference: 0, full: false };
        let peers = s.members.candidates(&intent.candidates).map(|(candidate, life)| {
            (candidate, held(life.owned).saturating_add(self.presumed.of(candidate.node)))
        });
        let mine = intent.candidates.contains(&self.me).then(|| (mine, held(self.holdings.len())));
        let preferred = |node| intent.preferences.get(&node).copied().unwrap_or_default();
        let all: Vec<_> = peers
            .chain(mine)
            .map(|(c, holds)| (Candidate { preference: preferred(c.node), ..c }, holds))
            .collect();
        let mut willing: BTreeMap<u32, usize> = BTreeMap::new();
        for (candidate, _) in all.iter().filter(|(candidate, _)| !candidate.reluctant) {
            *willing.entry(candidate.preference).or_default() += 1;
        }
        let cap = |c: &Candidate| {
            load::cap(self.groups.len(), willing.get(&c.preference).copied().unwrap_or_default())
        };
        let bound = rule::holds(Rule::LoadBound);
        all.iter().map(|(c, holds)| Candidate { full: bound && *holds >= cap(c), ..*c }).collect()
    }

    /// Whether we hold our share and somebody willing, who is preferred as much, does not.
    fn defers(&self, candidates: &[Candidate]) -> bool {
        let Some(mine) = candidates.iter().find(|c| c.node == self.me && c.full) else { return false };
        candidates.iter().any(|c| !c.full && !c.reluctant && c.preference >= mine.preference)
    }

    /// Our turn has come; if we have got our share meanwhile, we wait once more for those that have not.
    pub(super) fn claim_in_turn(&mut self, id: GroupId, deferred: bool, s: Situation<'_>) {
        let Some(group) = self.groups.get(&id) else { return };
        let candidates = self.candidates(&group.intent, s);
        if !deferred && self.defers(&candidates) {
            return self.wait(id, candidates, Duration::ZERO, s);
        }
        self.claim_if_proven(id, s);
    }

    fn claim_if_proven(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !s.proven {
            group.role = Role::Unproven;
            group.since = s.now;
            self.unproven.insert(id);
            return;
        }
        let cause = group.vacancy;
        // The old node's kernel goes on serving clients that hold its MAC: moving them would reset their connections.
        let quiet = match cause {
            _ if group.intent.bound || !rule::holds(Rule::QuietTakeOver) => None,
            Cause::Silence(node) | Cause::Restarted(node) if s.members.host_lives(node, s.now) => Some(node),
            _ => None,
        };
        self.claim(id, cause, quiet, s);
    }
}
