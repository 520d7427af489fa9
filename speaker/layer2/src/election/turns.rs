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
        self.offered.front().map(|(until, _)| *until).filter(|_| !self.waiting.is_empty())
    }

    /// Whether one more may be offered. `is_open` tells whether an offer stands.
    fn is_next(&mut self, now: Instant, is_open: impl Fn(GroupId) -> bool) -> bool {
        if self.offered.len() >= AT_ONCE {
            self.offered.retain(|(until, group)| *until > now && is_open(*group));
        }
        self.offered.len() < AT_ONCE
    }
}

impl Election {
    /// Offers those whose turn has come. To be called after whatever may end an offer or ask for one.
    pub(crate) fn offer_in_turn(&mut self, s: Situation<'_>) {
        while !self.turns.waiting.is_empty() {
            let groups = &self.groups;
            if !self.turns.is_next(s.now, |id| groups.get(&id).is_some_and(Group::is_offered)) {
                return;
            }
            let Some(id) = self.turns.waiting.pop_front() else { return };
            let tenure = self.groups.get(&id).and_then(|group| group.tenure());
            // Else it is gone, or may stay after all.
            if let Some(&MoveOut::Waiting { cause, only }) = tenure.map(|tenure| &tenure.move_out) {
                self.offer_next(id, cause, only, BTreeSet::new(), s);
            }
            // Whoever needs longer than a hello's flight and a scheduling delay holds nobody up.
            self.turns.offered.push_back((s.now + self.timing.rank_step, id));
        }
    }
}
