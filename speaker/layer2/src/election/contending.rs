// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who claims what nobody holds: those with room before those that hold their share, each after as many steps as others rank
//! before it, and only who is heard.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{COLD, Election, Situation};
use crate::{
    group::Role,
    identity::{GroupId, NodeId, Term},
    input::GroupIntent,
    load,
    output::Cause,
    rank::{self, Candidate, ranked},
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
        let steady = candidates.iter().filter(|c| !c.shaky && !c.reluctant).count();
        let order = ranked(id, candidates);
        let rank = order.iter().position(|node| *node == self.me).unwrap_or(all);
        let rank = match (s.shaky, steady, deferred) {
            // The only steady one lets nobody go first, whatever it holds; while our penalty ends, it may rank itself behind us.
            (true, 1, _) => rank.saturating_add(1),
            // The penalty counts before the load (C.3-2): those who hold their share already come before us, too.
            (true, 2.., _) => all.saturating_add(rank).saturating_add(1),
            // Peers that do not know yet that we are full wait for us as if we were not.
            (_, _, true) => all.max(rank),
            (_, _, false) => rank,
        };
        let rank = if rule::holds(Rule::RankDelay) { rank } else { 0 };
        let mut delay = listen
            + self.search_ahead(id, rank)
            + self.timing.rank_step * u32::try_from(rank).unwrap_or(u32::MAX);
        if rank >= 3 {
            delay += self.timing.rank_step.mul_f64(self.random.f64());
        }
        let at = (s.now + delay).max(self.wait_for_expected(id, s).unwrap_or(s.now));
        if let Some(group) = self.groups.get_mut(&id) {
            group.role = Role::Contending { at, deferred };
        }
        if at <= s.now && !(s.behind && rule::holds(Rule::CatchingUp)) {
            self.claim_if_proven(id, s);
        }
        self.schedule(id);
    }

    /// Until when a better-ranked candidate is waited for that was not heard yet, of a group that nobody is known to have held.
    fn wait_for_expected(&self, id: GroupId, s: Situation<'_>) -> Option<Instant> {
        let until = self.began.map(|at| at + COLD);
        let until = until.filter(|until| s.now < *until && rule::holds(Rule::ColdStart))?;
        let intent = &self.groups.get(&id)?.intent;
        let rank = |node| (intent.preferences.get(&node).copied().unwrap_or_default(), rank::score(id, node));
        let mine = rank(self.me);
        let better = |node: &&NodeId| rank(**node) > mine && !s.members.is_alive(**node);
        let expected = intent.candidates.iter().find(better);
        expected.filter(|_| self.claims.term(id) == Term::default()).map(|_| until)
    }

    /// Everybody who is up and may carry the group, and whether each holds its share already: of as much as those get who are
    /// preferred alike.
    pub(super) fn candidates(&self, intent: &GroupIntent, s: Situation<'_>) -> Vec<Candidate> {
        let held = |owned: u32| usize::try_from(owned).unwrap_or(usize::MAX);
        let mine =
            Candidate { node: self.me, reluctant: s.draining, shaky: s.shaky, preference: 0, full: false };
        let starts = self.starts(s);
        let peers = s.members.candidates(&intent.candidates).map(|(candidate, life)| {
            let reluctant = candidate.reluctant || (life.flags.listening && !starts);
            let holds = held(life.owned).saturating_add(self.presumed.of(candidate.node));
            (Candidate { reluctant, ..candidate }, holds)
        });
        let mine = intent.candidates.contains(&self.me).then(|| {
            // What we search for is as good as ours.
            (mine, held(self.holdings.len()).saturating_add(self.searched.len()))
        });
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

    /// Whether we began to act a moment ago, so that who listens still may have come up with us: a whole segment that comes up
    /// is shared by rank. Later, who listens is waited for in vain: it claims nothing before others have.
    fn starts(&self, s: Situation<'_>) -> bool {
        self.began.is_some_and(|at| s.now.saturating_duration_since(at) < self.timing.listen)
    }

    /// Whether we hold our share and somebody willing, who is preferred as much, does not.
    fn defers(&self, candidates: &[Candidate]) -> bool {
        let Some(mine) = candidates.iter().find(|c| c.node == self.me && c.full) else { return false };
        let has_room = |c: &Candidate| !c.full && !c.shaky && !c.reluctant;
        candidates.iter().any(|c| has_room(c) && c.preference >= mine.preference)
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
        if !s.proven {
            return self.wait_for_proof(id, s.now);
        }
        if self.is_new(id) {
            return self.search(id, s);
        }
        self.claim_now(id, s);
    }

    pub(super) fn wait_for_proof(&mut self, id: GroupId, now: Instant) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.role = Role::Unproven;
            group.since = now;
            self.unproven.insert(id);
        }
    }

    /// Others hear us: who waited for that contends anew, so that ranks decide.
    ///
    /// Whoever waited for longer than a dead interval, or lost several peers at a time, was cut off from them, and may hear
    /// owners again in a moment whom it took for dead: it listens for them before it claims what they never lost. A node
    /// that never had a peer does not: the first client that it hears waits.
    pub(crate) fn proof_arrived(&mut self, s: Situation<'_>) {
        for id in std::mem::take(&mut self.unproven) {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if !matches!(group.role, Role::Unproven) {
                continue;
            }
            let waited = s.now.saturating_duration_since(group.since);
            let waited_long = waited > self.timing.dead && !s.members.is_empty();
            let cut_off = waited_long || s.members.fell_silent_since(group.since, &self.timing) > 1;
            let listen = if cut_off { self.timing.suspect } else { Duration::ZERO };
            group.role = Role::Standby;
            self.contend(id, listen, s);
        }
    }

    pub(super) fn claim_now(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(group) = self.groups.get(&id) else { return };
        let cause = group.vacancy;
        // The old node's kernel goes on serving clients that hold its MAC: moving them would reset their connections.
        let quiet = match cause {
            _ if group.intent.bound && rule::holds(Rule::BoundAloud) => None,
            _ if !rule::holds(Rule::QuietTakeOver) => None,
            Cause::Silence(node) | Cause::Restarted(node) if s.members.host_lives(node, s.now) => Some(node),
            _ => None,
        };
        self.claim(id, cause, quiet, s);
    }
}
