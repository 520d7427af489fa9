// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who may be taken for dead, and who for alive.

use std::time::{Duration, Instant};

use ferrolb_layer2::NodeId;

use super::{Book, SOUND, Scene, Violation};
use crate::{
    network::Port,
    node::{Health, SCHEDULING},
};

/// Nobody is taken for alive who died so long ago.
const LONG_DEAD: Duration = Duration::from_secs(1);

impl Book {
    pub(crate) fn heard(&mut self, from: Port, to: Port, now: Instant) {
        if let Some(heard) = self.heard.get_mut(to.0 * self.nodes + from.0) {
            *heard = Some(now);
        }
    }

    /// S5, S21: nobody calls silent who is heard, by itself or by a third party between the two, nor one that it only
    /// missed because it stood still itself.
    pub(super) fn check_silence(
        &self,
        node: usize,
        silent: NodeId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(silent) = scene.only(silent) else { return Ok(()) };
        if self.is_within_reach(node, silent, scene) {
            return Err(Violation(format!("S5: node {node} calls node {silent} silent, which is well")));
        }
        let heard = self.heard.get(node * self.nodes + silent).copied().flatten();
        // What arrives late and out of order is no sign of life.
        let Some(heard) = heard.filter(|_| scene.network.undisturbed_for(SOUND, scene.now)) else {
            return Ok(());
        };
        // Of a new process that is heard the old one is silent none the less.
        let changed = scene.nodes.get(silent).map(|node| scene.since(node.changed));
        if changed.is_some_and(|ago| ago < self.timing.dead * 2) {
            return Ok(());
        }
        // Nor does one that nobody hears believe who was started anew while it stood still.
        let thawed =
            scene.nodes.get(node).is_some_and(|judge| scene.since(judge.changed) < self.timing.dead * 2);
        if thawed && scene.network.blocked() > 0 {
            return Ok(());
        }
        let shortest = ferrolb_layer2::Timing::DEFAULT.dead;
        let tolerated = shortest.saturating_sub(scene.network.flight() + SCHEDULING * 2);
        let age = scene.since(heard);
        if age < tolerated {
            return Err(Violation(format!("S5: node {node} calls node {silent} silent, heard {age:?} ago")));
        }
        Ok(())
    }

    /// Whether a live peer can be heard: questions and answers pass, or a third node hears both.
    fn is_within_reach(&self, node: usize, silent: usize, scene: Scene<'_>) -> bool {
        let (network, now) = (scene.network, scene.now);
        // The one that judges may have stood still.
        let judge = scene
            .nodes
            .get(node)
            .is_some_and(|n| n.health() == Health::Well && scene.since(n.moved) >= SOUND);
        if !judge || !scene.is_well_for(silent, SOUND) || !network.undisturbed_for(SOUND, now) {
            return false;
        }
        let joined = |a: usize, b: usize| network.joined_for(Port(a), Port(b), SOUND, now);
        let relays = |r: usize| {
            r != node && r != silent && scene.is_well_for(r, SOUND) && joined(node, r) && joined(r, silent)
        };
        let rested = scene.nodes.get(node).is_some_and(|n| scene.since(n.changed) >= SOUND);
        // Where multicast gets lost, whoever was away or apart is asked in vain until it is believed again.
        let filtered = network.multicast_loss() > 0.0;
        let so_long = network.disturbed().map_or(SOUND, |at| scene.since(at));
        let always_there = scene.is_well_for(node, so_long)
            && scene.is_well_for(silent, so_long)
            && network.joined_for(Port(node), Port(silent), so_long, now);
        (joined(node, silent) && (!filtered || always_there))
            || (rested && !filtered && (0..scene.nodes.len()).any(relays))
    }

    /// S17: nobody takes for alive who is long dead, whatever recordings of it are heard. Only what lay unread while the listener
    /// stood still looks as if it were said now, for as long as a peer may be silent.
    pub(super) fn check_revival(
        &self,
        node: usize,
        other: NodeId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some(other) = scene.only(other).and_then(|other| scene.nodes.get(other)) else { return Ok(()) };
        let dead = other.speaker.is_none() && scene.since(other.changed) > LONG_DEAD;
        let unread = scene.nodes.get(node).is_some_and(|listener| {
            listener.froze.is_some_and(|froze| froze <= other.changed + LONG_DEAD)
                && scene.since(listener.changed) < self.timing.dead
        });
        if dead && !unread {
            return Err(Violation(format!(
                "S17: node {node} takes {:?} for alive, which is dead",
                other.port
            )));
        }
        Ok(())
    }

    /// Notes who hears nobody or is heard by nobody.
    pub(super) fn note_cut_off(&mut self, scene: Scene<'_>) {
        if self.noted == Some(scene.network.revision()) {
            return;
        }
        self.noted = Some(scene.network.revision());
        for number in 0..scene.nodes.len() {
            let (deaf, mute) = scene.network.cut_off(Port(number));
            if deaf || mute {
                self.cut_off.entry(number).or_insert(scene.now);
            } else {
                self.cut_off.remove(&number);
            }
        }
    }

    /// Whether it hears nobody, or nobody hears it, for so long that it must know. What it asked before is answered for as long as
    /// question and answer travel, and which of several questions an answer belongs to nobody can tell: it may be taken for one
    /// to the latest, which nobody heard.
    pub(super) fn knows_that_it_is_cut_off(&self, node: usize, scene: Scene<'_>) -> bool {
        let patience = self.timing.dead + scene.network.flight() * 2 + SCHEDULING * 2;
        let since = self.cut_off.get(&node).and_then(|since| scene.network.straggler().max(Some(*since)));
        since.is_some_and(|since| scene.since(since) > patience)
    }
}
