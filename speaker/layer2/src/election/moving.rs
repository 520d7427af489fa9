// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Planned moves: make before break. The old owner goes on answering until it hears the successor's claim. Thousands are
//! offered in turns (`turns.rs`).

use std::{collections::BTreeSet, time::Instant};

use super::{Doubts, Effect, Election, Situation, Turns};
use crate::{
    group::{MoveOut, Offer, Role},
    hello::{Claim, Delta, Hello},
    identity::{GroupId, NodeId},
    output::Cause,
    peer::Life,
    rank::ranked,
    rule::{self, Rule},
};

impl Election {
    /// Somebody wishes the group to move.
    pub(crate) fn move_on_request(&mut self, id: GroupId, to: Option<NodeId>) {
        self.begin_move(id, Cause::Requested, to);
    }

    /// Everything that we own should go to others.
    pub(crate) fn drain(&mut self) {
        for id in self.holdings.groups().collect::<Vec<_>>() {
            self.begin_move(id, Cause::Drain, None);
        }
    }

    /// Whether no offer is open or to be made: what is owned still, nobody can take.
    pub(crate) fn settled(&self) -> bool {
        let open = |id: GroupId| {
            let tenure = self.groups.get(&id).and_then(|group| group.tenure());
            tenure.is_some_and(|t| matches!(t.move_out, MoveOut::Waiting { .. } | MoveOut::Offered(_)))
        };
        !self.holdings.groups().any(open)
    }

    /// Gives up everything at once, and whatever it meant to tell of others. `told` if others can hear that.
    pub(crate) fn drop_all(&mut self, cause: Cause, told: bool, now: Instant) {
        self.doubts = Doubts::default();
        self.turns = Turns::default();
        for id in self.holdings.groups().collect::<Vec<_>>() {
            self.yield_group(id, None, cause, told, now);
        }
    }

    /// Gives up one group, if it is ours, and tells others.
    pub(super) fn resign(&mut self, id: GroupId, cause: Cause, s: Situation<'_>) {
        self.yield_group(id, None, cause, true, s.now);
        self.evaluate(id, cause, s);
    }

    /// After a change of intent: an owner that may no longer own moves out; one that may again stays.
    pub(super) fn recheck_eligibility(&mut self, id: GroupId) {
        let me = self.me;
        let Some(group) = self.groups.get_mut(&id) else { return };
        let may = group.may_be_mine(me);
        let Some(tenure) = group.tenure_mut() else { return };
        match &tenure.move_out {
            MoveOut::Waiting { cause, .. } | MoveOut::Offered(Offer { cause, .. })
                if may && *cause == Cause::NotEligible =>
            {
                tenure.move_out = MoveOut::No;
                self.schedule(id);
            }
            MoveOut::No | MoveOut::Stuck(_) if !may => self.begin_move(id, Cause::NotEligible, None),
            MoveOut::No | MoveOut::Stuck(_) | MoveOut::Waiting { .. } | MoveOut::Offered(_) => {}
        }
    }

    /// Somebody new is there: perhaps it takes what nobody took.
    pub(super) fn retry_stuck(&mut self) {
        for id in self.holdings.groups().collect::<Vec<_>>() {
            let stuck = match self.groups.get(&id).and_then(|group| group.tenure()).map(|t| &t.move_out) {
                Some(MoveOut::Stuck(cause)) => Some(*cause),
                _ => None,
            };
            if let Some(cause) = stuck {
                self.begin_move(id, cause, None);
            }
        }
    }

    fn begin_move(&mut self, id: GroupId, cause: Cause, only: Option<NodeId>) {
        let Some(tenure) = self.groups.get_mut(&id).and_then(|group| group.tenure_mut()) else { return };
        tenure.move_out = MoveOut::Waiting { cause, only };
        self.turns.wait(id);
        self.schedule(id);
    }

    /// The successor did not claim in time: on to the next.
    pub(super) fn expire_offer(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(tenure) = self.groups.get_mut(&id).and_then(|group| group.tenure_mut()) else { return };
        if !matches!(&tenure.move_out, MoveOut::Offered(offer) if offer.until <= s.now) {
            return;
        }
        if let MoveOut::Offered(offer) = std::mem::replace(&mut tenure.move_out, MoveOut::No) {
            self.offer_next(id, offer.cause, offer.only, offer.asked, s);
        }
    }

    /// Offers it to the best node that was not asked yet; its turn has come.
    pub(super) fn offer_next(
        &mut self,
        id: GroupId,
        cause: Cause,
        only: Option<NodeId>,
        mut asked: BTreeSet<NodeId>,
        s: Situation<'_>,
    ) {
        let me = self.me;
        let Some(group) = self.groups.get(&id) else { return };
        let may = group.may_be_mine(me);
        let able = self.candidates(&group.intent, s).into_iter().filter(|c| {
            let wanted = only.is_none_or(|only| only == c.node);
            // Who listens still may act in time, and is asked after the others.
            let steady = |life: &Life| !life.is_suspect() && !life.flags.draining;
            let steady = s.members.alive(c.node).is_some_and(steady);
            wanted && c.node != me && steady && !asked.contains(&c.node)
        });
        let next = ranked(id, able).first().copied();
        if let Some(next) = next {
            self.presumed.claim(next);
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(tenure) = group.tenure_mut() else { return };
        match next {
            Some(to) => {
                asked.insert(to);
                let until: Instant = s.now + self.timing.hand_over_timeout;
                tenure.move_out = MoveOut::Offered(Offer { cause, to, until, asked, only });
                let claim = Claim { group: id, term: tenure.term };
                self.effects.push(Effect::Offer { claim, to });
                if !rule::holds(Rule::MakeBeforeBreak) {
                    self.yield_group(id, Some(to), cause, true, s.now);
                }
            }
            None => {
                tenure.move_out = MoveOut::Stuck(cause);
                self.effects.push(Effect::NobodyTook { group: id, cause });
                // Without a data path, answering leads clients nowhere.
                if !may {
                    self.resign(id, Cause::NotEligible, s);
                }
            }
        }
        self.schedule(id);
    }

    /// Takes what an owner offers to us, if we can carry it and others hear us.
    pub(super) fn hear_offers(&mut self, hello: &Hello, s: Situation<'_>) {
        for delta in &hello.deltas {
            let Delta::HandOver { claim, to } = *delta else { continue };
            if to == self.me && s.active && s.proven && !s.draining {
                self.accept(claim, hello.node, s);
            }
        }
    }

    fn accept(&mut self, offered: Claim, from: NodeId, s: Situation<'_>) {
        let Some(group) = self.groups.get(&offered.group) else { return };
        let current = group.rival.is_some_and(|key| key.node == from && key.term == offered.term);
        let free = !matches!(group.role, Role::Owner(_));
        if current && free && group.may_be_mine(self.me) {
            self.claim(offered.group, Cause::HandedOver(from), None, s);
        }
    }
}
