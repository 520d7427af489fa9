// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Hellos that say nothing new, as nearly all do: ten thousand a second among a thousand nodes. They are checked like any other
//! and then change nothing but when their sender, and those whom it echoes, were heard.

use std::{net::IpAddr, time::Instant};

use super::{Segment, State};
use crate::hello::Outline;

impl Segment {
    /// Takes in an authentic hello if nothing follows from it. Otherwise nothing has changed, and it wants a closer look.
    ///
    /// As long as others hear us nothing waits for proof, so that an echo of ours is no news either.
    pub(super) fn hear_routine(
        &mut self,
        outline: &Outline<'_>,
        source: IpAddr,
        received: Instant,
        now: Instant,
    ) -> bool {
        let heard = self.audible && self.proof.holds(now);
        if self.state != State::Active || !heard || self.election.waits_for_proof() {
            return false;
        }
        let Some(quiet) = outline.quiet() else { return false };
        let echoed = self.echoed(quiet.echoes(), received);
        let Some(peer) = self.members.expected(outline, source) else { return false };
        if !self.election.confirm(outline, quiet, received) {
            return false;
        }
        peer.go_on(outline, quiet, received, &self.timing);
        if let Some(sent) = echoed {
            self.proof.echoed(sent);
        }
        for echo in quiet.echoes().filter(|echo| echo.incarnation != self.me.incarnation) {
            self.members.vouch(&echo, received);
        }
        self.counts.hellos_heard = self.counts.hellos_heard.saturating_add(1);
        true
    }
}
