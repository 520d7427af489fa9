// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What waits to be sent: queues that are filled at once and taken from the front.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{attributes::Attributes, family::Family};

/// One for each family.
#[derive(Clone, Debug, Default)]
pub(super) struct Outboxes {
    ipv4: Outbox,
    ipv6: Outbox,
}

impl Outboxes {
    pub(super) fn get(&self, family: Family) -> &Outbox {
        match family {
            Family::Ipv4Unicast => &self.ipv4,
            Family::Ipv6Unicast => &self.ipv6,
        }
    }

    pub(super) fn get_mut(&mut self, family: Family) -> &mut Outbox {
        match family {
            Family::Ipv4Unicast => &mut self.ipv4,
            Family::Ipv6Unicast => &mut self.ipv6,
        }
    }
}

/// What waits of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    pub(super) round: Round,
    /// The peer asked for everything once more while it was being sent.
    pub(super) again: bool,
    pub(super) withdrawals: Queue,
    /// The last is sent first.
    groups: Vec<Group>,
}

/// What the routes that wait are part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Round {
    /// The first sending of everything; End-of-RIB follows.
    #[default]
    Initial,
    /// Changes.
    Idle,
    /// A repetition whose first mark was not sent yet.
    Marked,
    /// A repetition.
    Repeating,
}

/// Routes with equal attributes.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) attributes: Arc<Attributes>,
    pub(super) prefixes: Queue,
}

impl Outbox {
    /// Forgets what waits; it will be found again.
    pub(super) fn clear(&mut self) {
        self.withdrawals = Queue::default();
        self.groups.clear();
    }

    pub(super) fn fill(&mut self, mut groups: Vec<Group>) {
        groups.reverse();
        self.groups = groups;
    }

    /// The group to send from; it has at least one route.
    pub(super) fn next_group(&mut self) -> Option<&mut Group> {
        while self.groups.last().is_some_and(|group| group.prefixes.is_empty()) {
            self.groups.pop();
        }
        self.groups.last_mut()
    }

    pub(super) fn waiting(&self) -> usize {
        let announced: usize = self.groups.iter().map(|group| group.prefixes.rest().len()).sum();
        announced + self.withdrawals.rest().len()
    }
}

/// Prefixes that are taken from the front; what was taken is dropped with the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    prefixes: Vec<IpNet>,
    taken: usize,
}

impl Queue {
    pub(super) fn push(&mut self, prefix: IpNet) {
        self.prefixes.push(prefix);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn rest(&self) -> &[IpNet] {
        self.prefixes.get(self.taken..).unwrap_or_default()
    }

    /// Takes the first `count`. At least one always fits a message, or it would not wait here: whoever asks is never asked the same
    /// again.
    pub(super) fn take(&mut self, count: usize) -> &[IpNet] {
        debug_assert!(count > 0, "a route that fits no message waits");
        let before = self.taken;
        self.taken += count.max(1);
        self.prefixes.get(before..before + count).unwrap_or_default()
    }
}
