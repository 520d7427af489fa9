// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How often to speak among so many: what a node hears must not grow without bound with the segment.

use crate::{engine::Segment, timing::Timing, view::Pace};

impl Segment {
    /// Follows the number of nodes that are heard. Slower times are taken on step by step, since a peer judges by what the
    /// last hello that it received said; faster ones at once.
    pub(super) fn keep_pace(&mut self) {
        let nodes = self.members.all_alive().count().saturating_add(1);
        let wanted = self.profile.among(nodes);
        let step = self.profile.with_hello(self.timing.hello + self.timing.hello / 4);
        let timing = if wanted.hello > step.hello { step } else { wanted };
        if timing != self.timing {
            self.timing = timing;
            self.members.follow(timing);
            self.election.follow(timing);
            self.proof.follow(timing);
        }
    }

    /// The times in force, if they are slower than those of the profile.
    pub(super) fn slowed(&self) -> Option<Pace> {
        let Timing { hello, dead, .. } = self.timing;
        (self.timing != self.profile).then_some(Pace { hello, dead })
    }
}
