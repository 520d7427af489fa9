// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kernel of a node whose groups are bound: it answers for addresses on its interface by itself. Each has a lifetime that
//! the driver renews as long as the engine owns the group, so that the addresses of a process that ended or stands still go.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use ferrolb_layer2::{Event, GroupId};

use crate::node::Node;

/// The lifetime of an address.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// How often it is renewed.
pub(crate) const RENEWED: Duration = Duration::from_secs(1);

/// The groups whose addresses are on the interface, and until when.
#[derive(Debug, Default)]
pub(crate) struct BoundAddresses(BTreeMap<GroupId, Instant>);

impl Node {
    /// The driver puts an address in place with its claim, and takes it away as soon as another has it.
    pub(crate) fn follow_event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Claimed { group, .. } if self.plan.get(group).is_some_and(|plan| plan.bound) => {
                self.bound.0.insert(*group, now + LEASE);
            }
            Event::Yielded { group, .. } => {
                self.bound.0.remove(group);
            }
            _ => {}
        }
    }

    /// The driver's regular look, if its process runs.
    pub(crate) fn renew_addresses(&mut self, now: Instant) {
        let Some(speaker) = self.speaker.as_ref().filter(|speaker| !speaker.frozen) else { return };
        let bound = self.plan.iter().filter(|(_, plan)| plan.bound).map(|(group, _)| *group);
        let owned = bound.filter(|group| speaker.segment.owns(*group));
        self.bound.0 = owned.map(|group| (group, now + LEASE)).collect();
    }

    /// The machine went off, or a new process cleared away what an old one left.
    pub(crate) fn drop_addresses(&mut self) {
        self.bound.0.clear();
    }

    /// Whether the kernel answers for the addresses of a group.
    pub(crate) fn has_bound(&self, group: GroupId, now: Instant) -> bool {
        self.bound.0.get(&group).is_some_and(|until| now < *until)
    }

    /// Whether the kernel answers for the address of a group.
    pub(crate) fn has_bound_address(&self, address: IpAddr, now: Instant) -> bool {
        let has =
            |group: &GroupId| self.plan.get(group).is_some_and(|plan| plan.addresses.contains(&address));
        self.bound.0.keys().any(|group| has(group) && self.has_bound(*group, now))
    }
}
