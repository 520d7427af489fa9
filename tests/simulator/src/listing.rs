// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How a process learns which groups there are: at once, or part by part as from a driver that has thousands of them.

use std::time::{Duration, Instant};

use ferrolb_layer2::{GroupId, GroupIntent, Input};

use crate::node::{GroupPlan, Node, Step};

/// When to look again whether a process goes on that stands still: later, also where no time passes between two parts.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The size of the parts, and the time between two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) size: usize,
    pub(crate) pause: Duration,
}

/// What a process was not told of yet.
#[derive(Debug)]
pub(crate) struct Untold {
    groups: Vec<GroupId>,
    parts: Parts,
}

impl Node {
    /// A process that was just started knows nothing of its groups, and learns of them so.
    pub(crate) fn learn(&mut self, parts: Option<Parts>) {
        self.untold = parts.map(|parts| Untold { groups: self.plan.keys().copied().collect(), parts });
    }

    /// Whether the process was told of the group.
    pub(crate) fn was_told(&self, group: GroupId) -> bool {
        self.untold.as_ref().is_none_or(|untold| !untold.groups.contains(&group))
    }

    /// Gives in the list as it is now; of a list that is told in parts, as much as was told.
    pub(crate) fn give_list(&mut self, now: Instant) -> Vec<Step> {
        let told: Vec<GroupIntent> =
            self.plan.iter().filter(|(id, _)| self.was_told(**id)).map(intent).collect();
        match self.untold {
            None => self.give(now, Input::Groups(told)),
            Some(_) => self.give(now, Input::Change { set: told, gone: Vec::new() }),
        }
    }

    /// Gives in the next part. What follows from it, and when the one after it comes.
    pub(crate) fn give_part(&mut self, now: Instant) -> (Vec<Step>, Option<Duration>) {
        let runs = self.speaker.as_ref().is_some_and(|speaker| !speaker.frozen);
        let Some(untold) = &mut self.untold else { return (Vec::new(), None) };
        let pause = untold.parts.pause;
        if !runs {
            return (Vec::new(), Some(pause.max(LOOK_AGAIN)));
        }
        let size = untold.parts.size.clamp(1, untold.groups.len().max(1));
        let part: Vec<GroupId> = untold.groups.drain(..size.min(untold.groups.len())).collect();
        let complete = untold.groups.is_empty();
        let set = part.iter().filter_map(|id| Some(intent((id, self.plan.get(id)?)))).collect();
        let mut steps = self.give(now, Input::Change { set, gone: Vec::new() });
        if complete {
            self.untold = None;
            steps.extend(self.give(now, Input::Complete));
        }
        self.changed = now;
        (steps, (!complete).then_some(pause))
    }
}

fn intent((id, plan): (&GroupId, &GroupPlan)) -> GroupIntent {
    GroupIntent {
        id: *id,
        addresses: plan.addresses.clone(),
        candidates: plan.candidates.as_slice().into(),
        preferences: Default::default(),
        ready: plan.ready,
        bound: plan.bound,
    }
}
