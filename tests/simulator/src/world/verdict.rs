// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What can be asked of a world that has come to rest.

use std::collections::BTreeSet;

use ferrolb_layer2::{NodeId, Phase, SegmentView, Timing};

use super::World;
use crate::{book::Violation, node::Node};

impl World {
    /// Every group is answered for by one node.
    ///
    /// # Errors
    /// Names one that is not.
    pub fn is_served(&self) -> Result<(), Violation> {
        (0..self.setup.groups).map(|group| (group, self.answering(group))).try_for_each(|(group, nodes)| {
            let text = format!("S1: in the end {nodes:?} answer for group {group}");
            let disputed = nodes.is_empty() && !self.book.is_undisputed(Self::group(group));
            if nodes.len() == 1 || disputed { Ok(()) } else { Err(Violation(text)) }
        })
    }

    /// S18: of the nodes that share an identity, all but one stepped aside.
    ///
    /// # Errors
    /// Names them if more act.
    pub fn is_single(&self) -> Result<(), Violation> {
        let acts = |node: &&Node| {
            node.speaker.as_ref().is_some_and(|speaker| speaker.segment.phase() != Phase::Aside)
        };
        let acting: Vec<NodeId> = self.nodes.iter().filter(acts).map(|node| node.id).collect();
        let distinct: BTreeSet<NodeId> =
            self.nodes.iter().filter(|n| n.speaker.is_some()).map(|n| n.id).collect();
        if acting.len() == distinct.len() {
            return Ok(());
        }
        Err(Violation(format!("S18: {} processes act for {} nodes", acting.len(), distinct.len())))
    }

    /// Every node that runs speaks as seldom as their number demands, and grants the others as much more silence.
    ///
    /// # Errors
    /// Names one that does not.
    pub fn keeps_pace(&self) -> Result<(), Violation> {
        let running = (0..self.nodes.len()).filter_map(|node| Some((node, self.view(node)?)));
        let running: Vec<_> = running.collect();
        let due = self.setup.pace_among(running.len());
        let pace = |view: &SegmentView| {
            view.slowed.map_or((Timing::DEFAULT.hello, Timing::DEFAULT.dead), |pace| (pace.hello, pace.dead))
        };
        let wrong = running.iter().find(|(_, view)| pace(view) != (due.hello, due.dead));
        wrong.map_or(Ok(()), |(node, view)| {
            let (hello, dead) = pace(view);
            let text = format!("every {hello:?} and grants {dead:?} among {} nodes", running.len());
            Err(Violation(format!("rule 2: node {node} speaks {text}")))
        })
    }
}
