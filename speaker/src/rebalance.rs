// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Moves what this node owns to where preferences and the load bound want it: always, or only what it took in a dark time.
//!
//! When a whole segment was dark (the switch restarted, a cluster starts), the first node back takes everything. That is
//! right at that moment and would be wrong for ever, so what was claimed then may be moved again for a while. Every node
//! computes the same plan from the same claims, and carries out its own part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_layer2::balance::{Standing, transfers};
use ferrolb_layer2::{GroupId, GroupState, GroupView, NodeId, Phase, SegmentView};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::intent::VipIntent;
use crate::layer2::{Ended, Layer2, Observed};
use crate::options::Rebalance;
use crate::status::Known;

/// What is claimed within this time after a dark segment came back may be moved again, …
const SETTLE: Duration = Duration::from_secs(60);
/// … until so long after it came back.
const MOVABLE: Duration = Duration::from_secs(180);
/// How often it is looked whether something should move, …
const LOOK: Duration = Duration::from_secs(5);
/// … and how often while something moves; each time one part in this many of what the node owns is offered.
const PACE: Duration = Duration::from_millis(500);
const PART: usize = 100;
/// A node that did not take a group is not offered it again before this.
const AGAIN: Duration = Duration::from_secs(60);

/// Who balances.
pub(crate) struct Balancer<'a> {
    /// This node's identity on the wire.
    pub(crate) me: NodeId,
    /// The cluster's name.
    pub(crate) cluster: &'a str,
    pub(crate) mode: Rebalance,
    pub(crate) layer2: &'a Layer2,
    pub(crate) known: watch::Receiver<Arc<Known>>,
    /// Told: how many groups of this node should be elsewhere.
    pub(crate) elsewhere: watch::Sender<usize>,
}

impl Balancer<'_> {
    /// Works until dropped.
    ///
    /// # Errors
    /// The layer-2 thread has ended.
    pub(crate) async fn run(self) -> Result<Infallible, Ended> {
        let observed = self.layer2.observed();
        let mut balance = Balance::default();
        loop {
            let due = {
                // Whoever tells must not wait for us.
                let (known, observed) = (Arc::clone(&self.known.borrow()), Arc::clone(&observed.borrow()));
                let vips: Vec<&VipIntent> = known.intent.vips.values().map(Arc::as_ref).collect();
                let id = |node: &str| NodeId::of(self.cluster, node);
                balance.due(&observed, &vips, id, (self.me, self.mode), Instant::now())
            };
            self.elsewhere
                .send_if_modified(|told| std::mem::replace(told, balance.elsewhere) != balance.elsewhere);
            let pause = if due.is_empty() { LOOK } else { PACE };
            for (group, to) in due {
                self.layer2.hand_over(group, Some(to)).await?;
            }
            sleep(pause).await;
        }
    }
}

/// What has to be remembered between two looks.
#[derive(Debug, Default)]
struct Balance {
    /// By interface: whether the segment is awake, and since when if it was dark before.
    segments: BTreeMap<String, Waking>,
    offered: BTreeMap<(GroupId, NodeId), Instant>,
    /// Groups of this node that should be elsewhere, whether or not they may move.
    elsewhere: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waking {
    active: bool,
    after_dark: Option<Instant>,
}

impl Balance {
    /// What this node should hand over now, and to whom.
    fn due(
        &mut self,
        observed: &Observed,
        vips: &[&VipIntent],
        id: impl Fn(&str) -> NodeId,
        (me, mode): (NodeId, Rebalance),
        now: Instant,
    ) -> Vec<(GroupId, NodeId)> {
        self.offered.retain(|_, at| now.saturating_duration_since(*at) < AGAIN);
        self.segments.retain(|name, _| observed.segments.contains_key(name));
        self.elsewhere = 0;
        let mut due = Vec::new();
        for (name, report) in &observed.segments {
            let waking = self.segments.entry(name.clone()).or_default();
            waking.follow(&report.view, me, now);
            let waking = *waking;
            let may_move = |group: &GroupView| mode == Rebalance::Paced || waking.covers(group, now);
            if !is_steady(&report.view) {
                continue;
            }
            // Of those that would do, one that nobody took lately comes last: it must not keep the others waiting.
            let offered: BTreeSet<GroupId> = self.offered.keys().map(|(group, _)| *group).collect();
            let all = standings(&report.view, vips, &id, me).into_iter();
            let (lately, mut standings): (Vec<_>, Vec<_>) =
                all.partition(|standing| offered.contains(&standing.group));
            standings.extend(lately);
            let owned = standings.iter().filter(|standing| standing.owner == me).count();
            let mine: Vec<_> = transfers(&standings, report.view.groups.len())
                .into_iter()
                .filter(|it| it.from == me)
                .collect();
            self.elsewhere += mine.len();
            let may: BTreeSet<GroupId> =
                report.view.groups.iter().filter(|group| may_move(group)).map(|group| group.id).collect();
            let movable = mine
                .iter()
                .filter(|it| may.contains(&it.group) && !self.offered.contains_key(&(it.group, it.to)));
            let batch: Vec<_> = movable.take(1 + owned / PART).map(|it| (it.group, it.to)).collect();
            self.offered.extend(batch.iter().map(|key| (*key, now)));
            due.extend(batch);
        }
        due
    }
}

impl Waking {
    fn follow(&mut self, view: &SegmentView, me: NodeId, now: Instant) {
        // A process that stood still kept what it has.
        let active = matches!(view.phase, Phase::Active | Phase::Stalled);
        if active && !self.active {
            let others = view.groups.iter().any(|group| group.owner.is_some_and(|owner| owner != me));
            self.after_dark = (!others).then_some(now);
        }
        self.active = active;
    }

    /// Whether the group was claimed when the segment had just come back, and may still move because of that.
    fn covers(&self, group: &GroupView, now: Instant) -> bool {
        self.after_dark.is_some_and(|woke| {
            group.since.saturating_duration_since(woke) < SETTLE
                && now.saturating_duration_since(woke) < MOVABLE
        })
    }
}

/// Whether nothing moves, and all claims of all peers are known.
fn is_steady(view: &SegmentView) -> bool {
    let moves = view.groups.iter().any(|group| matches!(group.state, GroupState::Offering(_)));
    view.phase == Phase::Active
        && view.proven
        && !view.draining
        && !moves
        && view.peers.iter().all(|peer| peer.complete)
}

fn standings(
    view: &SegmentView,
    vips: &[&VipIntent],
    id: impl Fn(&str) -> NodeId,
    me: NodeId,
) -> Vec<Standing<GroupId, NodeId>> {
    let wanted: BTreeMap<GroupId, &VipIntent> = vips.iter().map(|vip| (vip.group.id(), *vip)).collect();
    let takes = |node: NodeId| {
        node == me || view.peers.iter().any(|peer| peer.node == node && !peer.draining && !peer.suspect)
    };
    let mut able: BTreeMap<(*const _, *const _), Arc<BTreeMap<NodeId, u32>>> = BTreeMap::new();
    let owned = view.groups.iter().filter_map(|group| Some((group, group.owner?, *wanted.get(&group.id)?)));
    owned
        .map(|(group, owner, vip)| {
            let able = able
                .entry((Arc::as_ptr(&vip.candidates), Arc::as_ptr(&vip.preferences)))
                .or_insert_with(|| {
                    let weight = |node: &String| vip.preferences.get(node).copied().unwrap_or_default();
                    let nodes = vip.candidates.iter().map(|node| (id(node), weight(node)));
                    Arc::new(nodes.filter(|(node, _)| takes(*node)).collect())
                });
            Standing { group: group.id, owner, able: Arc::clone(able) }
        })
        .collect()
}

#[cfg(test)]
mod tests;
