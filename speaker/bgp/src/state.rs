// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How far a session is.

use std::fmt;

/// The states of RFC 4271, section 8.2.2, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing is tried: not ready, stopped, or pausing after an error.
    Idle,
    /// A connection is being made.
    Connect,
    /// The peer may connect, or we will again in a while.
    Active,
    /// Connected: the peer's OPEN is awaited.
    OpenSent,
    /// It was accepted: the peer's KEEPALIVE is awaited.
    OpenConfirm,
    /// Routes may be sent.
    Established,
}

impl State {
    /// Every state, in order.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Connect, Self::Active, Self::OpenSent, Self::OpenConfirm, Self::Established];

    /// Its name in the RFC, in statuses and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
