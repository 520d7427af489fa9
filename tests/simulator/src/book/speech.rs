// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What may be sent.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use ferrolb_layer2::{Destination, GroupId, Heard};

use super::{Book, Scene, Violation, answers};

/// More hellos than this in a second would be a storm.
const STORM: u32 = 400;
/// So long at most after an announcement to all clients are told in person.
const IN_PERSON: Duration = Duration::from_millis(500);

impl Book {
    pub(crate) fn hello_sent(
        &mut self,
        node: usize,
        to: Destination,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        if to == Destination::Multicast {
            self.note_gap(node, scene);
        }
        let (since, count) = self.hellos.entry(node).or_insert((scene.now, 0));
        if scene.since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (scene.now, 0);
        }
        *count += 1;
        if *count > STORM {
            return Err(Violation(format!("node {node} sent {count} hellos within a second")));
        }
        Ok(())
    }

    /// Whom nobody heard for so long that others may have taken over must listen.
    fn note_gap(&mut self, node: usize, scene: Scene<'_>) {
        let Some(machine) = scene.nodes.get(node) else { return };
        let before = self.spoke.insert(node, scene.now);
        let gap = before.map(|at| scene.since(at)).unwrap_or_default();
        let unplugged = before.is_some_and(|at| machine.moved >= at);
        let timing = machine.timing;
        if gap > timing.dead.saturating_sub(timing.hello) && !unplugged {
            self.must_listen.insert(node, scene.now + timing.hello * 2 - Duration::from_millis(1));
        }
    }

    /// S3, S4: a speaker sends a frame: an answer or an announcement of an address that it must own, or something else.
    pub(crate) fn frame_sent(
        &mut self,
        node: usize,
        heard: &Heard,
        prompted_at: Option<Instant>,
        groups: &BTreeMap<IpAddr, GroupId>,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some((address, _)) = heard.asserted() else { return Ok(()) };
        let Some(group) = groups.get(&address) else { return Ok(()) };
        self.note_cut_off(scene);
        let at = scene.since(self.start);
        let owner = self.owners.get(group).is_some_and(|nodes| nodes.contains_key(&node));
        let active = scene.nodes.get(node).is_some_and(answers);
        if !owner || !active {
            let text = format!("(owner {owner}, active {active})");
            return Err(Violation(format!("S3: node {node} spoke for {address} {text}")));
        }
        if self.must_listen.get(&node).is_some_and(|until| scene.now < *until) {
            let text = "though it stood still a moment ago";
            return Err(Violation(format!("S4: node {node} spoke for {address} {text}")));
        }
        // Who asked lately is told in person, after all were told.
        let told = || {
            let mut lately = self.announced.iter().rev().take_while(|(before, ..)| at - *before < IN_PERSON);
            lately.any(|(_, who, what)| (*who, *what) == (node, address))
        };
        match (is_answer(heard), prompted_at) {
            (true, Some(prompted)) => {
                self.answered.push((at, node, address));
                let age = scene.since(prompted);
                // What is told in person may fall due during a standstill, and so come out with the first frame that is read after it.
                if age > self.timing.request_max_age && !told() {
                    return Err(Violation(format!("S4: node {node} answered for {address} after {age:?}")));
                }
                return Ok(());
            }
            (true, None) if !told() => {
                let text = "which it did not announce";
                return Err(Violation(format!("S4: node {node} told a client of {address}, {text}")));
            }
            (true, None) => {}
            (false, _) => self.announced.push((at, node, address)),
        }
        // Who asks as nobody is answered by what all hear.
        if prompted_at.is_some() && matches!(heard, Heard::NeighborAdvertisement { .. }) {
            return Ok(());
        }
        if self.knows_that_it_is_cut_off(node, scene) {
            return Err(Violation(format!(
                "S3: node {node} announced {address} though nobody could hear of it"
            )));
        }
        Ok(())
    }
}

/// Whether the frame is an answer to one station rather than an announcement to all.
fn is_answer(heard: &Heard) -> bool {
    match heard {
        Heard::ArpReply { dst, .. } => !dst.is_multicast(),
        Heard::NeighborAdvertisement { solicited, .. } => *solicited,
        Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => false,
    }
}
