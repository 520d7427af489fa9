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
        if !rule::holds(Rule::Relay) || !self.groups.contains_key(&id) {
            return;
        }
        let alive = |node| s.members.is_alive(node);
        // Of several that notice, the first to speak spares the others.
        let some = self.timing.hello.mul_f64(self.random.f64());
        match kind {
            ChangeKind::Claimed if self.claims.is_disputed(id, alive) => {
                // Whoever hears the higher claim has yielded, and its next hello says so.
                let heard_by = s.now + self.timing.hello;
                self.doubts.note(id, Doubt::Disputed { heard_by }, heard_by + self.timing.hello + some);
            }
            ChangeKind::Resigned | ChangeKind::Lapsed if self.is_vacant(id, s) => {
                let claim = Claim { group: id, term: self.claims.term(id) };
                self.doubts.note(id, Doubt::Vacant { owner: from, claim }, s.now + self.timing.dead + some);
            }
            ChangeKind::Claimed | ChangeKind::Resigned | ChangeKind::Lapsed => {}
        }
    }

    /// Looks at one doubt whose time has come; `false` if there is none.
    pub(super) fn settle_doubt(&mut self, s: Situation<'_>) -> bool {
        let Some(id) = self.doubts.looks.pop_due(s.now) else { return false };
        let alive = |node| s.members.is_alive(node);
        match self.doubts.kinds.remove(&id) {
            Some(doubt @ Doubt::Disputed { heard_by }) if s.active => {
                let best = self.claims.best(id, alive);
                let defied = |best: NodeId| self.claims.is_defied(id, best, heard_by, alive);
                if let Some(best) = best.filter(|best| !self.holds(id) && defied(best.node)) {
                    let claim = Claim { group: id, term: best.term };
                    self.effects.push(Effect::Relay { claim, owner: best.node, stands: true });
                    self.doubts.note(id, doubt, s.now + PAUSE);
                }
            }
            Some(Doubt::Vacant { owner, claim }) if s.active && self.is_vacant(id, s) => {
                self.effects.push(Effect::Relay { claim, owner, stands: false });
            }
            Some(Doubt::Disputed { .. } | Doubt::Vacant { .. }) | None => {}
        }
        true
    }

    /// Somebody else spoke. It may be one of those whom the two do not hear: if it does not help, the next one speaks.
    fn wait_for_effect(&mut self, id: GroupId, s: Situation<'_>) {
        let planned = self.doubts.looks.get(id);
        let some = self.timing.hello.mul_f64(self.random.f64());
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
