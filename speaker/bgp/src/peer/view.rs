// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A peer as people see it.

use std::time::Instant;

use crate::{error::Ending, message::Kind, negotiated::Negotiated, open::Open, state::State};

use super::Direction;

/// A peer at this moment.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// The state of the connection that is furthest.
    pub state: State,
    /// Which side made that connection.
    pub direction: Option<Direction>,
    /// What we said we can do.
    pub ours: Option<Open>,
    /// What the peer said.
    pub theirs: Option<Open>,
    /// What both come to.
    pub negotiated: Option<Negotiated>,
    /// Since when there is a session.
    pub established: Option<Instant>,
    /// When the next attempt is made, if we pause.
    pub next_attempt: Option<Instant>,
    /// When and why a session or an attempt ended last.
    pub last_error: Option<(Instant, Ending)>,
    /// What was counted.
    pub counts: Counts,
}

/// What a peer counted since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages received, of the types in [`Kind::ALL`].
    pub received: [u64; Kind::ALL.len()],
    /// Messages sent, likewise; those that [`RibOut`](crate::RibOut) makes are not among them.
    pub sent: [u64; Kind::ALL.len()],
    /// Sessions that were set up.
    pub sessions: u64,
    /// Attempts and connections that led to none.
    pub failures: u64,
    /// Routes that the peer announced; none is kept.
    pub routes_announced: u64,
    /// Routes that it withdrew.
    pub routes_withdrawn: u64,
    /// Wrong attributes that a session survived (RFC 7606).
    pub attribute_faults: u64,
}

impl Counts {
    pub(super) fn count(messages: &mut [u64; Kind::ALL.len()], kind: Kind) {
        let place = Kind::ALL.iter().position(|other| *other == kind);
        if let Some(count) = place.and_then(|place| messages.get_mut(place)) {
            *count = count.saturating_add(1);
        }
    }

    /// How many messages of this type were received.
    pub fn received(&self, kind: Kind) -> u64 {
        Self::of(&self.received, kind)
    }

    /// How many messages of this type were sent.
    pub fn sent(&self, kind: Kind) -> u64 {
        Self::of(&self.sent, kind)
    }

    fn of(messages: &[u64], kind: Kind) -> u64 {
        Kind::ALL.into_iter().zip(messages).find(|(other, _)| *other == kind).map_or(0, |(_, count)| *count)
    }
}
