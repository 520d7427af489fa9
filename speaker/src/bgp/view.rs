// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A session as people see it.

use std::net::SocketAddr;

use ferrolb_bgp::{PeerView, State, Unsendable};
use ipnet::IpNet;

/// A session at this moment.
#[derive(Clone, Debug)]
pub struct View {
    /// State, capabilities, last error and counters.
    pub peer: PeerView,
    /// Our end of the connection and the peer's.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// What this node knows about why there is no session, beyond the last error.
    pub hint: Option<String>,
    /// What people should know of the peer, whether there is a session or not.
    pub note: Option<String>,
    /// The routes that it was told.
    pub routes: RoutesView,
}

/// What a peer was told.
#[derive(Clone, Debug, Default)]
pub struct RoutesView {
    /// Routes that it shall know; `None` before that is known.
    pub wished: Option<usize>,
    /// Routes that it knows once it has read everything.
    pub sent: usize,
    /// Routes that wait to be sent or withdrawn.
    pub waiting: usize,
    /// Messages that routes were sent in, since the peer was configured.
    pub messages: u64,
    /// How many routes this session cannot carry.
    pub unsendable: usize,
    /// Some of those, and why.
    pub unsendable_examples: Vec<(IpNet, Unsendable)>,
}

impl View {
    /// Whether there is a session.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.peer.state == State::Established
    }

    /// Why there is no session, or why the last one ended.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        let ending = self.peer.last_error.as_ref().map(|(_, ending)| ending.to_string());
        match (ending, &self.hint) {
            (Some(ending), Some(hint)) => Some(format!("{ending} ({hint})")),
            (ending, hint) => ending.or_else(|| hint.clone()),
        }
    }

    /// The peer knows exactly what it shall know, as far as this session can carry it.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        let RoutesView { wished, sent, waiting, unsendable, .. } = self.routes;
        self.is_established() && waiting == 0 && wished == Some(sent + unsendable)
    }
}
