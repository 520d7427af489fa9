// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The turns in which groups are offered. A node that is emptied of thousands and offers them all at once is busy with saying so,
//! and the successors with hearing it, while clients ask all three in vain.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use super::{Election, Situation};
use crate::{
    group::{Group, MoveOut},
    identity::GroupId,
};

/// Offers that may be unanswered at a time: a few milliseconds' work for who makes them and for who takes them up.
pub(super) const AT_ONCE: usize = 256;
/// Others come when so few are left of them: one for each that was taken would fill a hello each.
const AGAIN_AT: usize = AT_ONCE / 2;

/// Which groups wait to be offered, and which were lately.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: VecDeque<GroupId>,
    /// With the time from which on each holds nobody up, answered or not; soonest first.
    offered: VecDeque<(Instant, GroupId)>,
}

impl Turns {
    pub(super) fn wait(&mut self, group: GroupId) {
        self.waiting.push_back(group);
    }

    /// When the next turn comes at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        let last_too_many = self.offered.len().checked_sub(AGAIN_AT + 1)?;
        self.offered.get(last_too_many).map(|(until, _)| *until).filter(|_| !self.waiting.is_empty())
    }

    /// Whether so few are open, as `is_open` tells, that it is the turn of others.
    fn has_come(&mut self, now: Instant, is_open: impl Fn(GroupId) -> bool) -> bool {
        self.offered.retain(|(until, group)| *until > now && is_open(*group));
        self.offered.len() <= AGAIN_AT
    }
}

impl Election {
    /// Offers those whose turn has come. To be called after whatever may end an offer or ask for one.
    pub(crate) fn offer_in_turn(&mut self, s: Situation<'_>) {
        let groups = &self.groups;
        let is_open = |id| groups.get(&id).is_some_and(Group::is_offered);
        if self.turns.waiting.is_empty() || !self.turns.has_come(s.now, is_open) {
            return;
        }
        while self.turns.offered.len() < AT_ONCE
            && let Some(id) = self.turns.waiting.pop_front()
        {
            let tenure = self.groups.get(&id).and_then(Group::tenure);
            // Else it is gone, or may stay after all.
            let Some(&MoveOut::Waiting { cause, only }) = tenure.map(|tenure| &tenure.move_out) else {
                continue;
            };
            self.offer_next(id, cause, only, BTreeSet::new(), s);
            if self.groups.get(&id).is_some_and(Group::is_offered) {
                // Whoever needs longer than a hello's flight and a scheduling delay holds nobody up.
                self.turns.offered.push_back((s.now + self.timing.rank_step, id));
            }
        }
    }
}
