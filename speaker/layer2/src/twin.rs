// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A second process that speaks in our node's name from another station: a cloned machine, a copied identity.
//!
//! Peers believe one process of a node, and each of the two hears that peers leave it out; so one of them must step aside.
//! Who owns more stays, of equals the one with the higher incarnation. The other says good-bye and speaks to its twin alone,
//! which echoes it: so both know that the other lives and is no recording, and the one that stepped aside comes back when
//! the twin has gone.

use std::{net::IpAddr, time::Instant};

use crate::{
    hello::{Echo, Hello},
    identity::Incarnation,
    timing::Timing,
};

/// What is known of the other process.
#[derive(Debug)]
pub(crate) struct Twin {
    incarnation: Incarnation,
    seq: u64,
    heard: Instant,
    /// When it last showed that it hears us.
    lived: Option<Instant>,
    /// Where it speaks from.
    pub(crate) source: IpAddr,
}

/// Which of two processes of a node goes on: compared in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// It has not stepped aside.
    pub(crate) acts: bool,
    /// How many groups it owns.
    pub(crate) owned: u32,
    /// Which process.
    pub(crate) incarnation: Incarnation,
}

impl Twin {
    /// Takes in a hello of it; `before` is what was known. `None` if it is a repetition.
    pub(crate) fn hear(
        before: Option<Self>,
        hello: &Hello,
        source: IpAddr,
        received: Instant,
        echoes_us: bool,
    ) -> Result<Self, Option<Self>> {
        let known = before.as_ref().filter(|twin| twin.incarnation == hello.incarnation);
        if known.is_some_and(|twin| hello.seq <= twin.seq) {
            return Err(before);
        }
        let lived = known.and_then(|twin| twin.lived).max(echoes_us.then_some(received));
        Ok(Self { incarnation: hello.incarnation, seq: hello.seq, heard: received, lived, source })
    }

    /// Whether it showed within the time after which a process is started anew that it hears us.
    pub(crate) fn lives(&self, now: Instant, timing: &Timing) -> bool {
        self.lived.is_some_and(|at| now.saturating_duration_since(at) < timing.listen)
    }

    /// What our hellos say of it, while that is fresh.
    pub(crate) fn echo(&self, now: Instant, timing: &Timing) -> Option<Echo> {
        let age = now.saturating_duration_since(self.heard);
        let Self { incarnation, seq, .. } = *self;
        (age <= timing.dead).then_some(Echo { incarnation, seq, age })
    }
}

impl Standing {
    /// Of the sender of a hello.
    pub(crate) fn of(hello: &Hello) -> Self {
        Self { acts: !hello.flags.aside, owned: hello.owned, incarnation: hello.incarnation }
    }
}
