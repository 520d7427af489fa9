// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What must be so once enough time has passed.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ferrolb_layer2::{GroupId, Phase};

use super::{Book, RACE, SETTLED, SOUND, Scene, Violation, is_calm};
use crate::{
    network::Port,
    node::{Health, Node, SCHEDULING},
};

/// So long at most two that do not hear each other answer for one group while somebody hears both.
const MEDIATED: Duration = Duration::from_secs(2);
/// While nothing happens, agreement is checked so often.
const AGREED: Duration = Duration::from_millis(500);

impl Book {
    /// S2: two nodes that can hear each other answer for one group only for as long as a claim travels.
    pub(crate) fn check_overlaps(&mut self, scene: Scene<'_>) -> Result<(), Violation> {
        if self.contested.is_empty() && self.overlaps.is_empty() {
            return Ok(());
        }
        if !scene.network.is_sound() {
            self.overlaps.clear();
            return self.check_mediated(scene);
        }
        let contested = std::mem::take(&mut self.contested);
        self.overlaps.retain(|group, _| contested.contains(group));
        let checked = contested.iter().try_for_each(|group| self.check_overlap(*group, scene));
        self.contested = contested;
        checked
    }

    fn check_overlap(&mut self, group: GroupId, scene: Scene<'_>) -> Result<(), Violation> {
        if self.who_answers(group, scene).nth(1).is_none() {
            self.overlaps.remove(&group);
            return Ok(());
        }
        let answering = self.answering(group, scene);
        let since = *self.overlaps.entry(group).or_insert(scene.now);
        let lasted = scene.since(since);
        let lossy = if scene.network.loss() > 0.0 { self.timing.hello * 2 } else { Duration::ZERO };
        let bound = scene.network.flight() * 2 + self.timing.hello + SCHEDULING * 4 + lossy;
        self.longest_overlap = self.longest_overlap.max(lasted);
        // Peers that were separated for long must believe each other first.
        let healing = scene.network.sound_for(scene.now) < self.timing.dead
            || answering
                .iter()
                .any(|n| scene.nodes.get(*n).is_some_and(|node| scene.since(node.changed) < SOUND));
        let bound = if healing { bound + self.timing.dead } else { bound };
        if lasted > bound {
            return Err(Violation(format!("S2: nodes {answering:?} answer for {group:?} since {lasted:?}")));
        }
        Ok(())
    }

    /// Rule 9: two nodes that have long known but do not hear each other do not both answer for long while a third hears both.
    fn check_mediated(&self, scene: Scene<'_>) -> Result<(), Violation> {
        if !scene.network.undisturbed_for(MEDIATED, scene.now)
            || scene.network.unchanged_for(scene.now) < MEDIATED
            || scene.network.multicast_loss() > 0.0
        {
            return Ok(());
        }
        // Of many groups that the same two hold, it is asked once who is between them.
        let mut between = None;
        for group in &self.contested {
            let mut answering = self.who_answers(*group, scene);
            let (Some(first), Some(second)) = (answering.next(), answering.next()) else { continue };
            let pair = (first, second);
            let third = match between {
                Some((known, third)) if known == pair => third,
                _ => self.mediator(pair, scene),
            };
            between = Some((pair, third));
            let long = |n: usize| {
                let tenure = self.owners.get(group).and_then(|owners| owners.get(&n));
                tenure.is_some_and(|tenure| scene.since(tenure.since) > MEDIATED)
            };
            if let Some(third) = third.filter(|_| long(first) && long(second)) {
                let text =
                    format!("nodes {first} and {second} answer for {group:?}, though {third} hears both");
                return Err(Violation(format!("rule 9: {text}")));
            }
        }
        Ok(())
    }

    /// Who has long heard both, if they have long known each other and been as they are.
    fn mediator(&self, (first, second): (usize, usize), scene: Scene<'_>) -> Option<usize> {
        let settled = |n: usize| {
            let moved = scene.nodes.get(n).is_none_or(|node| scene.since(node.changed) < MEDIATED);
            scene.is_well_for(n, MEDIATED) && !moved
        };
        let joined = |a: usize, b: usize| scene.network.joined_for(Port(a), Port(b), MEDIATED, scene.now);
        let between = |third: &usize| {
            let part = [first, second];
            !part.contains(third) && settled(*third) && part.iter().all(|n| joined(*n, *third))
        };
        // What is passed on of somebody means nothing to whoever does not know him yet.
        let know = |one: usize, other: usize| {
            let other = scene.nodes.get(other).map(|node| node.id);
            let met = other.and_then(|other| self.met.get(&(one, other)));
            met.is_some_and(|at| scene.since(*at) >= MEDIATED)
        };
        let third = (0..scene.nodes.len()).find(between)?;
        let steady = settled(first) && settled(second);
        (steady && know(first, second) && know(second, first)).then_some(third)
    }

    /// What depends on the clock alone.
    pub(crate) fn check(
        &mut self,
        groups: &BTreeMap<IpAddr, GroupId>,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        self.note_cut_off(scene);
        self.check_bound(scene)?;
        self.check_served(groups, scene)?;
        self.check_half_dead(scene)?;
        if is_calm(scene) && self.agreed_at.is_none_or(|at| scene.since(at) >= AGREED) {
            self.agreed_at = Some(scene.now);
            for group in groups.values() {
                self.check_settled(*group, scene)?;
            }
            self.note_known(scene);
        }
        Ok(())
    }

    /// S5: after one death in a world at rest everything is served again in time.
    fn check_served(
        &mut self,
        groups: &BTreeMap<IpAddr, GroupId>,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(at) = self.episode.served_by.filter(|at| *at <= scene.now) else { return Ok(()) };
        // Nobody else knows whose data path is not in place: it is waited for by rank (C.3-2), by those that keep falling silent
        // once more.
        let ranks = u32::try_from(scene.nodes.len()).unwrap_or(u32::MAX) * 2;
        let is_late = scene.now >= at + self.timing.rank_step * ranks;
        let is_first = !std::mem::replace(&mut self.episode.looked, true);
        if is_late {
            self.episode.served_by = None;
        } else if !is_first {
            return Ok(());
        }
        for group in groups.values() {
            if !is_late
                && scene.nodes.iter().any(|n| n.health() == Health::Well && n.is_waited_for_in_vain(*group))
            {
                continue;
            }
            let able = |n: &&Node| n.health() == Health::Well && n.may_carry(*group) && scene.is_warm(n);
            let able = scene.nodes.iter().filter(able).count();
            let answering = self.answering(*group, scene);
            if able >= 2 && answering.is_empty() && !self.foreign.in_use(*group) {
                return Err(Violation(format!("S5: nobody answers for {group:?} in time after a death")));
            }
        }
        Ok(())
    }

    /// Who is deaf, or cannot be heard, owns nothing any more once the others, who are well, could know.
    fn check_half_dead(&self, scene: Scene<'_>) -> Result<(), Violation> {
        let network = scene.network;
        let others = network.ports.saturating_sub(1);
        let patience = self.timing.dead * 3 + SETTLED;
        if network.blocked() != others
            || !network.undisturbed_for(SOUND, scene.now)
            || network.multicast_loss() > 0.0
            || network.unchanged_for(scene.now) < patience
            || scene.nodes.iter().any(|node| scene.since(node.changed) < patience)
        {
            return Ok(());
        }
        for number in 0..scene.nodes.len() {
            let (deaf, mute) = network.cut_off(Port(number));
            if (!deaf && !mute) || !scene.is_well_for(number, SOUND) {
                continue;
            }
            // Who started lately leaves to better-ranked nodes, heard or not, what it never heard of (C.0-7): the claim of one
            // that cannot be heard is the only one then.
            let warm = |n: &usize| scene.nodes.get(*n).is_some_and(|node| scene.is_warm(node));
            let successors: Vec<usize> = (0..scene.nodes.len())
                .filter(|n| *n != number && scene.is_well_for(*n, patience))
                .filter(warm)
                .collect();
            for (group, owners) in &self.owners {
                let able =
                    successors.iter().filter(|n| scene.nodes.get(**n).is_some_and(|n| n.may_carry(*group)));
                if able.count() >= 2 && owners.contains_key(&number) && owners.len() == 1 {
                    return Err(Violation(format!(
                        "S1: node {number}, deaf or mute, is left to own {group:?}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// S1, S10: without trouble each group has one owner, whom everybody knows.
    fn check_settled(&self, group: GroupId, scene: Scene<'_>) -> Result<(), Violation> {
        let able = scene.nodes.iter().filter(|n| n.health() == Health::Well && n.may_carry(group)).count();
        let answering = self.answering(group, scene);
        let [owner] = answering[..] else {
            let spoke = self.client_spoke.is_some_and(|at| scene.since(at) > SOUND);
            let warm = |n: &Node| n.health() == Health::Well && n.may_carry(group) && scene.is_warm(n);
            if answering.is_empty() && !scene.nodes.iter().any(warm) {
                return Ok(());
            }
            if answering.is_empty() && self.foreign.in_use(group) {
                return Ok(());
            }
            if answering.is_empty() && (able == 0 || (able == 1 && !spoke)) {
                return Ok(());
            }
            return Err(Violation(format!("S1: {able} nodes could own {group:?}, {answering:?} answer")));
        };
        let owner_id = scene.nodes.get(owner).map(|n| n.id);
        // What a stranger had is taken when that is noticed, some time into the peace.
        let tenure = self.owners.get(&group).and_then(|owners| owners.get(&owner));
        if tenure.is_some_and(|tenure| scene.since(tenure.since) < RACE) {
            return Ok(());
        }
        for (number, node) in scene.nodes.iter().enumerate() {
            let Some(speaker) = node.speaker.as_ref().filter(|_| node.health() == Health::Well) else {
                continue;
            };
            let segment = &speaker.segment;
            // Whoever stepped aside hears no more of the node in whose name it spoke.
            let looks = segment.phase() != Phase::Aside && segment.intent(group).is_some();
            if looks && segment.owner(group) != owner_id {
                return Err(Violation(format!(
                    "S10: node {owner} owns {group:?}, node {number} sees another"
                )));
            }
        }
        Ok(())
    }
}
