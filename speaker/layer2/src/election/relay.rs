// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one node tells others of a third that they may not hear: on a segment where A hears B, and B hears C, but A and C do not
//! hear each other, both would answer for what each took. Whoever hears two that hold the same tells of the higher claim, and
//! of its end, if nobody takes what it held. A claim told so stands for as long as anybody echoes its owner.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Effect, Election, Situation};
use crate::{
    agenda::Agenda,
    claims::ChangeKind,
    hello::{Claim, Delta, Hello},
    identity::{GroupId, NodeId},
    output::Cause,
    rule::{self, Rule},
};

/// What this node told it tells again after so long, if nothing helped.
const PAUSE: Duration = Duration::from_secs(1);

/// What peers may not agree on, each with the time to look whether that is so.
#[derive(Debug)]
pub(super) struct Doubts {
    looks: Agenda<GroupId>,
    kinds: BTreeMap<GroupId, Doubt>,
}

#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// Several hold the group; it is a dispute once the lower claim is confirmed after this time.
    Disputed { heard_by: Instant },
    /// This claim was given up, and nobody held the group then.
    Vacant { owner: NodeId, claim: Claim },
}

impl Default for Doubts {
    fn default() -> Self {
        Self { looks: Agenda::new(), kinds: BTreeMap::new() }
    }
}

impl Doubts {
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.next()
    }

    fn note(&mut self, group: GroupId, doubt: Doubt, at: Instant) {
        self.kinds.insert(group, doubt);
        self.looks.set(group, Some(at));
    }
}

impl Election {
    /// A peer began or ceased to hold the group: others may not have heard of it.
    pub(super) fn doubt(&mut self, id: GroupId, kind: ChangeKind, from: NodeId, s: Situation<'_>) {
        match kind {
            ChangeKind::Claimed => self.doubt_claims(id, s),
            ChangeKind::Resigned | ChangeKind::Lapsed => self.doubt_vacancy(id, from, s),
        }
    }

    /// Claims came to count, or the group to matter: of several claimants some may not hear each other.
    pub(super) fn doubt_claims(&mut self, id: GroupId, s: Situation<'_>) {
        let known = rule::holds(Rule::Relay) && self.groups.contains_key(&id);
        if known && self.claims.is_disputed(id, |node| s.members.is_alive(node)) {
            // Whoever hears the higher claim has yielded, and its next hello says so.
            let heard_by = s.now + self.timing.hello;
            let at = heard_by + self.timing.hello + self.turn();
            self.doubts.note(id, Doubt::Disputed { heard_by }, at);
        }
    }

    fn doubt_vacancy(&mut self, id: GroupId, owner: NodeId, s: Situation<'_>) {
        let known = rule::holds(Rule::Relay) && self.groups.contains_key(&id);
        if known && self.is_vacant(id, s) {
            let claim = Claim { group: id, term: self.claims.term(id) };
            let at = s.now + self.timing.dead + self.turn();
            self.doubts.note(id, Doubt::Vacant { owner, claim }, at);
        }
    }

    /// Of several that notice the same, the first to speak spares the others.
    fn turn(&mut self) -> Duration {
        self.timing.hello.mul_f64(self.random.f64())
    }

    /// Looks at one doubt whose time has come; `false` if there is none.
    pub(super) fn settle_doubt(&mut self, s: Situation<'_>) -> bool {
        let Some(id) = self.doubts.looks.pop_due(s.now) else { return false };
        let alive = |node| s.members.is_alive(node);
        match self.doubts.kinds.remove(&id) {
            // It may be the only one that hears both, and speaks once it knows enough to act.
            Some(doubt) if !s.active => {
                if self.is_open(id, doubt, s) {
                    self.doubts.note(id, doubt, s.now + self.timing.hello);
                }
            }
            Some(doubt @ Doubt::Disputed { heard_by }) if self.is_open(id, doubt, s) => {
                let best = self.claims.best(id, alive);
                if let Some(best) = best.filter(|best| self.claims.is_defied(id, best.node, heard_by, alive))
                {
                    let claim = Claim { group: id, term: best.term };
                    self.effects.push(Effect::Relay { claim, owner: best.node, stands: true });
                }
                // Perhaps the lower claim was not confirmed yet: nodes of slower times speak less often.
                self.doubts.note(id, Doubt::Disputed { heard_by: s.now }, s.now + PAUSE);
            }
            Some(doubt @ Doubt::Vacant { owner, claim }) if self.is_open(id, doubt, s) => {
                self.effects.push(Effect::Relay { claim, owner, stands: false });
            }
            Some(Doubt::Disputed { .. } | Doubt::Vacant { .. }) | None => {}
        }
        true
    }

    /// Whether it is still as it was when the doubt arose.
    fn is_open(&self, id: GroupId, doubt: Doubt, s: Situation<'_>) -> bool {
        match doubt {
            Doubt::Disputed { .. } => {
                !self.holds(id) && self.claims.is_disputed(id, |node| s.members.is_alive(node))
            }
            Doubt::Vacant { .. } => self.is_vacant(id, s),
        }
    }

    /// Somebody else spoke. It may be one of those whom the two do not hear: if it does not help, the next one speaks.
    fn wait_for_effect(&mut self, id: GroupId, s: Situation<'_>) {
        let planned = self.doubts.looks.get(id);
        let some = self.turn();
        let (doubt, at) = match self.doubts.kinds.get(&id) {
            Some(Doubt::Disputed { .. }) => {
                let heard_by = s.now + self.timing.hello;
                (Doubt::Disputed { heard_by }, heard_by + self.timing.hello + some)
            }
            Some(vacant @ Doubt::Vacant { .. }) => (*vacant, s.now + PAUSE + some),
            None => return,
        };
        self.doubts.note(id, doubt, planned.map_or(at, |planned| planned.max(at)));
    }

    fn is_vacant(&self, id: GroupId, s: Situation<'_>) -> bool {
        !self.holds(id) && self.claims.best(id, |node| s.members.is_alive(node)).is_none()
    }

    /// Takes in what a peer tells of others. Of whom we hear ourselves we know better.
    pub(super) fn hear_relays(&mut self, hello: &Hello, received: Instant, s: Situation<'_>) {
        for delta in &hello.deltas {
            let Delta::Relayed { claim, owner, stands } = *delta else { continue };
            self.wait_for_effect(claim.group, s);
            let unheard = s.members.is_unheard(owner, s.now);
            if unheard && self.claims.hear_relayed(owner, claim, stands, received) {
                self.evaluate(claim.group, Cause::Resigned(owner), s);
            }
        }
    }
}
