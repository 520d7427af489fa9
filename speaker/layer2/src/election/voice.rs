// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Quiet take-overs that become loud: when the old node's kernel stopped serving, or has served for long enough.

use super::{Effect, Election};
use crate::{
    group::Voice,
    hello::Claim,
    identity::{GroupId, NodeId},
};

impl Election {
    /// The nodes whose kernels still serve what we took quietly.
    pub(crate) fn quiet_hosts(&self) -> Vec<NodeId> {
        self.quiet.keys().copied().collect()
    }

    /// The node's kernel stopped serving, or has served for long enough: its clients are told to move.
    pub(crate) fn raise_voice(&mut self, host: NodeId) {
        for id in self.quiet.remove(&host).unwrap_or_default() {
            self.announce_aloud(id);
        }
    }

    pub(super) fn announce_aloud(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let addresses = group.answered();
        let Some(tenure) = group.tenure_mut() else { return };
        if let Voice::Quiet { of, .. } = std::mem::replace(&mut tenure.voice, Voice::Loud) {
            let claim = Claim { group: id, term: tenure.term };
            self.effects.push(Effect::Announce { claim, addresses, was_quiet: true });
            self.unquiet(of, id);
        }
        self.schedule(id);
    }

    pub(super) fn unquiet(&mut self, host: NodeId, id: GroupId) {
        if let Some(groups) = self.quiet.get_mut(&host) {
            groups.remove(&id);
            if groups.is_empty() {
                self.quiet.remove(&host);
            }
        }
    }
}
