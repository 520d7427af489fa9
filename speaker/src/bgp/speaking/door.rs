// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where routers may connect to this node, if anywhere.

use std::net::SocketAddr;

use super::super::{Arrivals, Listener, PeerSettings};

/// What `--bgp-listen` asked for.
pub(super) struct Door {
    addresses: Vec<SocketAddr>,
    listener: Option<Listener>,
}

impl Door {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, listener: None }
    }

    /// The connections that this router makes, unless none shall be taken. A port that was not to be had is tried again with the
    /// next router.
    ///
    /// # Errors
    /// Why none can be taken, in words.
    pub(super) fn arrivals(&mut self, peer: &PeerSettings) -> Result<Option<Arrivals>, String> {
        if self.addresses.is_empty() {
            return Ok(None);
        }
        let cannot = |error: &dyn std::fmt::Display| {
            format!("the router cannot connect to this node (--bgp-listen): {error}")
        };
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => Listener::open(&self.addresses).map_err(|error| cannot(&error))?,
        };
        let listener = self.listener.insert(listener);
        let (ip, password) = (peer.transport.peer.ip(), peer.transport.password.as_ref());
        listener.expect(ip, password).map(Some).map_err(|error| cannot(&error))
    }
}
