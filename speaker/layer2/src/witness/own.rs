// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that this node carries itself: whether anybody else answers for them.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    Witness,
    watch::{Step, Watch},
};
use crate::view::GroupView;

/// After a claim: whoever had the address before has yielded. The engine's first probe comes later.
const YIELDED: Duration = Duration::from_millis(500);

impl Witness {
    /// Nothing is asked of what this node carries, unless somebody else answers the engine's own probes.
    pub(super) fn follow_own(&mut self, group: &GroupView) {
        let (id, owner, term) = (group.id, self.me, group.term);
        for address in &group.addresses {
            let is_known = |watch: &Watch| (watch.group, watch.owner, watch.term) == (id, owner, term);
            if !self.watches.get(address).is_some_and(is_known) {
                self.forget(*address);
                let watch = Watch::resting(id, owner, term, *address, group.since + YIELDED);
                self.watches.insert(*address, watch);
                self.own = self.own.saturating_add(1);
            }
        }
    }

    /// Nobody else answers for what is carried here: nothing is asked until somebody does.
    pub(super) fn rest(&mut self, address: IpAddr, now: Instant) {
        if let Some(watch) = self.watches.get_mut(&address) {
            watch.verdict = None;
        }
        self.enter(address, Step::Resting, now);
        self.agenda.remove(&(now, address));
    }
}
