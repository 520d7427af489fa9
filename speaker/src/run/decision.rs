// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node does at the moment, and whether new objects change that.

use std::sync::Arc;

use ferrolb_config::snapshot::{Away, NodeInfo};
use ferrolb_config::{Freshness, Objects};

use crate::intent::{Follower, Intent};
use crate::names::Names;
use crate::options::Options;
use crate::status::Known;

/// What new objects bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    No,
    /// Routers are spoken to or told otherwise; every address is carried and led as before.
    OfRouters,
    /// Anything.
    OfAddresses,
}

/// What is done, and from which objects that follows.
pub(super) struct Decision(Follower);

impl Decision {
    /// There is nothing to decide from yet.
    pub(super) fn new(options: &Options) -> Self {
        Self(Follower::new(&options.node_name, options.mode))
    }

    /// What is done.
    pub(super) fn intent(&self) -> &Arc<Intent> {
        self.0.intent()
    }

    /// Whether there was anything to decide from yet. A view that lacks a whole kind says nothing: an address must not
    /// be given up because its Services cannot be read. Kinds that speak of routers alone hold nothing up.
    pub(super) fn is_made(&self) -> bool {
        self.0.has_begun()
    }

    /// Whether there is something to do, or why not.
    pub(super) fn readiness(&self, freshness: &Freshness) -> Result<(), String> {
        if self.is_made() {
            return Ok(());
        }
        let unknown: Vec<&str> = freshness.unknown_of_addresses().collect();
        Err(format!("objects of the kind {} could not be read yet", unknown.join(", ")))
    }

    /// Decides anew, as far as these objects differ in what decisions are made of.
    pub(super) fn take(&mut self, objects: &Arc<Objects>) -> News {
        let before = self.is_made().then(|| Arc::clone(self.intent()));
        let may = before.is_some() || objects.freshness.unknown_of_addresses().next().is_none();
        if !may || !self.0.follow(objects) {
            News::No
        } else if before.is_some_and(|before| before.carries_as(self.intent())) {
            News::OfRouters
        } else {
            News::OfAddresses
        }
    }

    /// What reports need of it. Whoever is a candidate is one of the nodes that there are.
    pub(super) fn known(&self, options: &Options, objects: &Objects, before: &Known) -> Known {
        let nodes = objects.nodes.keys().chain([&options.node_name]);
        let names = if Arc::ptr_eq(&before.intent.vips, &self.intent().vips) {
            before.names.with_nodes(&options.cluster, nodes)
        } else {
            let groups = self.intent().vips.values().map(|vip| &vip.group);
            Names::new(&options.cluster, nodes, groups)
        };
        Known {
            names,
            intent: Arc::clone(self.intent()),
            freshness: objects.freshness.clone(),
            away: away(options, objects),
        }
    }
}

/// Why this node must carry no address, if it must not.
pub(super) fn away(options: &Options, objects: &Objects) -> Option<Away> {
    objects.nodes.get(&options.node_name).and_then(|node| NodeInfo::from(node.as_ref()).away)
}
