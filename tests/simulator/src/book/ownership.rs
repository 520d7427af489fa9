// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who may claim, and who may let go.

use std::time::Duration;

use ferrolb_layer2::{Cause, GroupId, NodeId, Term};

use super::{Book, Moves, RACE, SOUND, Scene, Violation, answers};
use crate::{
    network::Port,
    node::{Health, SCHEDULING, Step},
};

impl Book {
    /// S5, S7, S21: nobody claims from an owner who is well.
    pub(super) fn check_claim(
        &self,
        node: usize,
        group: GroupId,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        if scene.network.sound_for(scene.now) < SOUND {
            return Ok(());
        }
        for (owner, tenure) in self.owners.get(&group).into_iter().flatten().filter(|(o, _)| **o != node) {
            let well = scene.is_well_for(*owner, SOUND) && scene.since(tenure.since) >= RACE;
            let machine = scene.nodes.get(*owner).map(|machine| machine.id);
            let agreed = matches!(cause, Cause::HandedOver(from) if Some(from) == machine);
            if well && !agreed {
                let text = "which is well";
                return Err(Violation(format!(
                    "S5: node {node} took {group:?} ({cause}) from {owner}, {text}"
                )));
            }
        }
        Ok(())
    }

    /// S6: nobody claims for the silence of an owner that it believes to be up.
    pub(crate) fn check_causes(&self, node: usize, step: &Step, scene: Scene<'_>) -> Result<(), Violation> {
        for (group, silent) in &step.blames {
            let Some(owner) = scene.only(*silent) else { continue };
            let Some(tenure) = self.owners.get(group).and_then(|owners| owners.get(&owner)) else { continue };
            // A new process of it may have claimed a moment ago, or where nothing came through but what an attacker repeated.
            let could_not_hear = scene.network.blocked_since(Port(owner), Port(node), tenure.since);
            if scene.since(tenure.since) >= RACE && !could_not_hear {
                let text = format!("for the silence of {owner}, which it hears");
                return Err(Violation(format!("S6: node {node} claims {group:?} {text}")));
            }
        }
        Ok(())
    }

    /// S3: who hears nothing, or is heard by nobody, claims nothing once it can know.
    pub(super) fn check_audible_claim(
        &self,
        node: usize,
        group: GroupId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        if self.knows_that_it_is_cut_off(node, scene) {
            return Err(Violation(format!("S3: node {node} claimed {group:?} though it is cut off")));
        }
        Ok(())
    }

    /// S14: who holds a quarter more than its share claims nothing while another has room, who hears of it just as well.
    pub(super) fn check_share(
        &self,
        node: usize,
        group: GroupId,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let agreed = matches!(cause, Cause::HandedOver(_));
        if agreed || !self.episode.clear || scene.network.sound_for(scene.now) < SOUND {
            return Ok(());
        }
        // What falls to the shaky by their share, others take beyond theirs.
        if (0..scene.nodes.len()).any(|n| is_shaky(n, scene)) {
            return Ok(());
        }
        // Who was not told of all groups knows no share of them yet.
        if scene.nodes.iter().any(|node| node.untold.is_some()) {
            return Ok(());
        }
        let groups = scene.nodes.get(node).map_or(0, |n| n.plan.len());
        let cap = |nodes: usize| (groups * 5).div_ceil(nodes.max(1) * 4);
        let held = |n: usize| self.owners.values().filter(|owners| owners.contains_key(&n)).count();
        let acts = |n: &usize| scene.is_well_for(*n, SOUND) && scene.nodes.get(*n).is_some_and(answers);
        let well: Vec<usize> = (0..scene.nodes.len()).filter(acts).collect();
        // Nodes may differ on how many they are.
        let (most, least) = (cap(well.len()), cap(scene.nodes.len()));
        // Who started lately leaves what is new to others that it expects.
        let waits =
            |n: usize| cause == Cause::FirstUse && !scene.nodes.get(n).is_some_and(|n| scene.is_warm(n));
        let has_room =
            |n: usize| n != node && held(n) < least && !waits(n) && Self::would_take(n, node, group, scene);
        match well.iter().find(|n| has_room(**n)) {
            Some(other) if held(node) >= most => {
                let text = format!("and holds {} of {groups}; {other} holds {}", held(node), held(*other));
                Err(Violation(format!("S14: node {node} claimed {group:?} ({cause}) {text}")))
            }
            _ => Ok(()),
        }
    }

    /// C.0-7: who is first to start does not take it all while nodes are expected that never ran.
    pub(super) fn check_cold_start(
        &mut self,
        node: usize,
        group: GroupId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        if self.ever.keys().any(|(other, known)| *known == group && *other != node) {
            return Ok(());
        }
        let claims = self.first_claims.entry(node).or_default();
        *claims += 1;
        let expected = scene.nodes.iter().filter(|n| n.born.is_none()).count();
        let Some(machine) = scene.nodes.get(node) else { return Ok(()) };
        let young = machine.born.is_some_and(|at| scene.since(at) < Duration::from_secs(10));
        let groups = machine.plan.len();
        if young && expected >= 3 && groups >= 20 && *claims > groups * 3 / 4 {
            let text = format!("{claims} of {groups} groups while {expected} nodes are expected");
            return Err(Violation(format!("C.0-7: node {node} claimed {text}")));
        }
        Ok(())
    }

    /// Rule 11: who lost its link three times within a minute claims nothing that another could who did not.
    pub(super) fn check_modest(
        &self,
        node: usize,
        group: GroupId,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let minute = Duration::from_secs(60);
        let pulls = self.pulled.get(&node).map(Vec::as_slice).unwrap_or_default();
        let mut lately = pulls.iter().rev().take(3).filter(|at| scene.since(**at) < minute);
        let agreed = matches!(cause, Cause::HandedOver(_));
        if lately.by_ref().count() < 3
            || agreed
            || !self.episode.clear
            || scene.network.sound_for(scene.now) < SOUND
        {
            return Ok(());
        }
        let another =
            |n: usize| n != node && scene.is_well_for(n, SOUND) && Self::would_take(n, node, group, scene);
        match (0..scene.nodes.len()).find(|n| another(*n)) {
            Some(other) => {
                Err(Violation(format!("rule 11: node {node} claimed {group:?} ({cause}) before {other}")))
            }
            None => Ok(()),
        }
    }

    /// Whether `other` may carry the group, is not shaky, and hears of a death no later than `node`: of another version, some
    /// do so later than all ranks take.
    fn would_take(other: usize, node: usize, group: GroupId, scene: Scene<'_>) -> bool {
        let dead = |n: usize| scene.nodes.get(n).map(|n| n.timing.dead);
        let may = scene.nodes.get(other).is_some_and(|n| n.may_carry(group));
        let acts = scene.nodes.get(other).is_some_and(answers);
        may && acts && dead(other) <= dead(node) && !is_shaky(other, scene)
    }

    /// Of a speaker that just died on a node that lives, clients that hold its MAC are left alone.
    pub(super) fn check_quiet(
        node: usize,
        group: GroupId,
        cause: Cause,
        quiet: bool,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let plan = scene.nodes.get(node).and_then(|node| node.plan.get(&group));
        if plan.is_some_and(|plan| plan.bound) {
            let text = "though the old kernel serves nobody for long";
            let quiet = quiet.then(|| Violation(format!("S20: node {node} took {group:?} quietly, {text}")));
            return quiet.map_or(Ok(()), Err);
        }
        let Cause::Silence(silent) = cause else { return Ok(()) };
        let Some(silent) = scene.only(silent).and_then(|silent| scene.nodes.get(silent)) else {
            return Ok(());
        };
        let died = scene.since(silent.changed);
        let lives = silent.health() == Health::SpeakerDead
            && scene.is_well_for(node, SOUND)
            && scene.network.loss() == 0.0
            && scene.network.sound_for(scene.now) >= SOUND
            // Its kernel was asked a moment ago; a claim that waited longer for its turn may have forgotten the answer.
            && died.as_millis() < 400;
        if lives && !quiet {
            let text = "whose kernel still serves them";
            return Err(Violation(format!(
                "C.0-5: node {node} moves the clients of {:?}, {text}",
                silent.port
            )));
        }
        Ok(())
    }

    /// S10: a process never claims under a term that it claimed under before.
    pub(super) fn check_term(&mut self, node: usize, group: GroupId, term: Term) -> Result<(), Violation> {
        let ever = self.ever.entry((node, group)).or_insert(term);
        *ever = term.max(*ever);
        if let Some(known) = self.known.get(&(node, group)).filter(|known| **known >= term) {
            let text = format!("under {term:?}, though it heard of {known:?}");
            return Err(Violation(format!("S10: node {node} claimed {group:?} {text}")));
        }
        match self.terms.insert((node, group), term) {
            Some(before) if before >= term => {
                Err(Violation(format!("S10: node {node} claimed {group:?} under {term:?} after {before:?}")))
            }
            _ => Ok(()),
        }
    }

    /// In a world at rest everybody has heard of every claim.
    pub(super) fn note_known(&mut self, scene: Scene<'_>) {
        let heard: Vec<usize> = (0..scene.nodes.len())
            .filter(|n| scene.is_well_for(*n, SOUND) && scene.nodes.get(*n).is_some_and(answers))
            .collect();
        for (group, owners) in &self.owners {
            let mut tenures = owners.iter();
            let (Some((owner, tenure)), None) = (tenures.next(), tenures.next()) else { continue };
            if heard.contains(owner) && scene.since(tenure.since) >= SOUND {
                self.known.extend(heard.iter().map(|node| ((*node, *group), tenure.term)));
            }
        }
    }

    /// S11: one change of a world at rest moves no group more than twice. Claims under one term, each made before the other can
    /// have been heard, are one move: the keys decide where to (C.3-1), and S2 how soon.
    pub(super) fn check_moves(
        &mut self,
        group: GroupId,
        term: Term,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let at = scene.now;
        let moves = self.episode.moves.entry(group).or_insert(Moves { count: 0, term, at });
        let unheard = scene.since(moves.at) <= scene.network.flight() + SCHEDULING;
        let race = moves.count > 0 && moves.term == term && unheard;
        if !race {
            *moves = Moves { count: moves.count + 1, term, at };
        }
        if self.episode.clear && moves.count > 2 {
            return Err(Violation(format!("S11: {group:?} moved {} times after one change", moves.count)));
        }
        Ok(())
    }

    /// S6, S8, S9: who lets go of a group that it moved does so after the successor has it; who yields does so to a claim
    /// that is not lower.
    pub(super) fn check_yield(
        &self,
        node: usize,
        group: GroupId,
        term: Term,
        to: Option<NodeId>,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(to) = to else { return Ok(()) };
        let Some(successor) = scene.only(to) else { return Ok(()) };
        let successor = Some(successor);
        let theirs = successor.and_then(|s| self.owners.get(&group)?.get(&s));
        // Who stood still hears first what processes claimed that have ended since.
        let stood_still = scene.nodes.get(node).is_some_and(|n| scene.since(n.changed) < SOUND);
        let before = successor.and_then(|s| self.ever.get(&(s, group))).filter(|_| stood_still);
        let lower = |theirs: Term| theirs < term && before.is_none_or(|before| *before < term);
        if let Some(theirs) = theirs.filter(|theirs| lower(theirs.term)) {
            let text = format!("{term:?} to {successor:?} with {:?}", theirs.term);
            return Err(Violation(format!("S9: node {node} yielded {group:?} {text}")));
        }
        let planned = matches!(cause, Cause::Drain | Cause::Requested | Cause::NotEligible);
        let taken = theirs.is_some()
            || before.is_some_and(|before| *before > term)
            || successor.is_some_and(|s| scene.nodes.get(s).is_some_and(|n| n.health() != Health::Well));
        if planned && !taken && scene.network.sound_for(scene.now) > SOUND {
            return Err(Violation(format!(
                "S8: node {node} let go of {group:?} before {successor:?} had it"
            )));
        }
        Ok(())
    }
}

/// Whether the node says that it leaves what is free to others, or did a moment ago.
fn is_shaky(node: usize, scene: Scene<'_>) -> bool {
    let before = scene.now.checked_sub(SOUND).unwrap_or(scene.now);
    let speaker = scene.nodes.get(node).and_then(|node| node.speaker.as_ref());
    speaker.is_some_and(|speaker| speaker.segment.is_shaky(before))
}
