// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where the routers are: at their addresses, or wherever an interface shows them.

use std::collections::BTreeMap;
use std::future;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::PeerTarget;
use tokio::sync::watch;

use super::super::lookout::{Lookout, Sighting};
use crate::intent::{Obstacle, Router};
use crate::kernel::links::Links;

/// The look-outs of this node, one for each interface that a BGPPeer names.
pub(super) struct Lookouts {
    links: watch::Receiver<Arc<Links>>,
    on: BTreeMap<String, Lookout>,
}

/// Where a router is, and what people should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: SocketAddr,
    pub(super) note: Option<String>,
}

impl Lookouts {
    pub(super) fn new(links: watch::Receiver<Arc<Links>>) -> Self {
        Self { links, on: BTreeMap::new() }
    }

    /// Where this router is now, or why this node does not know. An interface is looked at from the first question on.
    pub(super) fn place(&mut self, router: &Router) -> Result<Place, Obstacle> {
        let settings = &router.settings;
        let port = settings.port.get();
        match &settings.target {
            PeerTarget::Address(address) => {
                Ok(Place { at: SocketAddr::new(address.to_canonical(), port), note: None })
            }
            PeerTarget::Interface(name) => {
                let begin = || Lookout::start(name, self.links.clone());
                match self.on.entry(name.clone()).or_insert_with(begin).sighting() {
                    Sighting::None(why) => {
                        Err(Obstacle { reason: Reason::RouterNotReached, message: why.into() })
                    }
                    Sighting::Router { address, link, note } => {
                        Ok(Place { at: SocketAddrV6::new(address, port, 0, link).into(), note })
                    }
                }
            }
        }
    }

    /// Looks at the interfaces of these routers and at no others.
    pub(super) fn keep<'a>(&mut self, routers: impl Iterator<Item = &'a Router> + Clone) {
        self.on.retain(|name, _| {
            let mut routers = routers.clone();
            routers.any(|router| matches!(&router.settings.target, PeerTarget::Interface(on) if on == name))
        });
    }

    /// Waits until something else is seen on one of the interfaces.
    pub(super) async fn changed(&mut self) {
        if self.on.is_empty() {
            return future::pending().await;
        }
        let changes = self.on.values_mut().map(|lookout| Box::pin(lookout.changed()));
        futures::future::select_all(changes).await;
    }
}
