// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Groups whose addresses are on their owner's interface, where they outlive its process for a while.

use std::time::Duration;

use ferrolb_layer2::GroupId;

use super::{Book, Scene, Violation};
use crate::{
    kernel::{LEASE, RENEWED},
    node::{Health, Node},
};

/// A live process that hears of another owner takes the address away within this time.
const NOTICED: Duration = Duration::from_millis(500);

impl Book {
    /// S20: beside the new owner the kernel of one whose process died or stands still may answer, but no longer than an address
    /// lives; beside a live owner nobody does.
    pub(super) fn check_bound(&mut self, scene: Scene<'_>) -> Result<(), Violation> {
        let plans = scene.nodes.first().into_iter().flat_map(|node| &node.plan);
        let bound: Vec<GroupId> = plans.filter(|(_, plan)| plan.bound).map(|(group, _)| *group).collect();
        bound.into_iter().try_for_each(|group| self.check_second(group, scene))
    }

    fn check_second(&mut self, group: GroupId, scene: Scene<'_>) -> Result<(), Violation> {
        let owners: Vec<usize> = self.who_answers(group, scene).collect();
        let has = |(number, node): (usize, &Node)| {
            let kernel = node.reachable() && node.has_bound(group, scene.now);
            (kernel || owners.contains(&number)).then_some(number)
        };
        let all: Vec<usize> = scene.nodes.iter().enumerate().filter_map(has).collect();
        if all.len() < 2 {
            self.doubled.remove(&group);
            return Ok(());
        }
        let lasted = scene.since(*self.doubled.entry(group).or_insert(scene.now));
        self.longest_doubled = self.longest_doubled.max(lasted);
        let excused = all.iter().filter_map(|number| scene.nodes.get(*number)).any(|node| {
            let stands = matches!(node.health(), Health::Frozen | Health::SpeakerDead);
            stands || scene.since(node.changed) < RENEWED
        });
        if lasted > if excused { LEASE + NOTICED } else { NOTICED } {
            return Err(Violation(format!("S20: nodes {all:?} answer for {group:?} since {lasted:?}")));
        }
        Ok(())
    }
}
