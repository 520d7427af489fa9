// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Stations outside the cluster that use its addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use ferrolb_layer2::{GroupId, Timing};

use super::{Book, SOUND, Scene, Violation};
use crate::network::Port;

/// A search that began before the station came may have asked it for the last time.
const ASKED: Duration = Duration::from_millis(700);

/// A search whose first question was answered has found somebody after so long at most, also where its process stood still for a
/// moment.
const FOUND: Duration = Duration::from_millis(900);

/// Who uses what.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// By whom, and since when.
    squatted: BTreeMap<GroupId, (Port, Instant)>,
    /// Groups that were ever used by others.
    ever: BTreeSet<GroupId>,
    /// Groups that nobody took for that.
    in_use: BTreeSet<GroupId>,
    /// When each node last defended an address.
    defended: BTreeMap<(usize, IpAddr), Instant>,
}

impl Foreign {
    /// Whether it was found in use: then it may be that nobody takes it for a minute.
    pub(super) fn in_use(&self, group: GroupId) -> bool {
        self.in_use.contains(&group)
    }

    /// Its process ended, and with it the memory of what it defended.
    pub(super) fn forget(&mut self, node: usize) {
        self.defended.retain(|(other, _), _| *other != node);
    }
}

impl Book {
    /// A station uses the addresses of a group from now on, or no longer.
    pub(crate) fn squatted(&mut self, group: GroupId, by: Option<(Port, Instant)>) {
        match by {
            Some(by) => {
                self.foreign.squatted.entry(group).or_insert(by);
                self.foreign.ever.insert(group);
            }
            None => {
                self.foreign.squatted.remove(&group);
            }
        }
    }

    /// Whether nobody was ever found to use an address of the group.
    pub(crate) fn is_undisputed(&self, group: GroupId) -> bool {
        !self.foreign.in_use(group)
    }

    /// S19: what a station outside the cluster answers for is not claimed for the first time.
    pub(super) fn check_first_use(
        &self,
        node: usize,
        group: GroupId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some((port, since)) = self.foreign.squatted.get(&group) else { return Ok(()) };
        let claimed = self.ever.keys().any(|(other, known)| *known == group && *other != node)
            || self.happened(node, group);
        let asked =
            scene.since(*since) >= ASKED && scene.network.joined_for(*port, Port(node), ASKED, scene.now);
        let heard = scene.network.undisturbed_for(SOUND, scene.now);
        if !claimed && asked && heard {
            return Err(Violation(format!("S19: node {node} claimed {group:?}, which a station has")));
        }
        Ok(())
    }

    /// Whether the node claimed the group before now.
    fn happened(&self, node: usize, group: GroupId) -> bool {
        self.ever.get(&(node, group)).is_some_and(|term| term.0 > 1)
    }

    /// S19: an address is defended at most once in ten seconds.
    pub(super) fn check_defence(
        &mut self,
        node: usize,
        address: IpAddr,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        match self.foreign.defended.insert((node, address), scene.now) {
            Some(before) if scene.since(before) < Timing::DEFAULT.defence => {
                let ago = scene.since(before);
                Err(Violation(format!("S19: node {node} defended {address} again after {ago:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Nobody leaves a group alone for a station that there never was.
    pub(super) fn check_in_use(
        &mut self,
        node: usize,
        group: GroupId,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        self.foreign.in_use.insert(group);
        // A node of the cluster whose hellos do not arrive is a stranger, too, also if it let go after it had answered.
        let lately =
            |other: &usize| self.let_go.get(&(*other, group)).is_some_and(|at| scene.since(*at) <= FOUND);
        let owned = self.owners(group).chain((0..self.nodes).filter(lately)).any(|owner| owner != node);
        if self.foreign.ever.contains(&group) || owned {
            return Ok(());
        }
        Err(Violation(format!("S19: node {node} found {group:?} in use, which nobody else has")))
    }
}
