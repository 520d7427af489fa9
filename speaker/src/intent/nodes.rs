// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which nodes advertisements select.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{Advertisement, Away, NodeInfo, Snapshot};

use super::{InterfaceRule, Obstacle};

/// The nodes, and which of them sets of advertisements select: thousands of addresses share a few sets.
pub(super) struct Nodes<'a> {
    nodes: &'a BTreeMap<String, NodeInfo>,
    selected: RefCell<BTreeMap<Vec<&'a str>, Arc<BTreeSet<String>>>>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Nodes { nodes: &snapshot.nodes, selected: RefCell::default() }
    }

    /// The nodes that one of `advertisements` selects and that nothing keeps away. A node that is not Ready is not
    /// kept away: whether it is alive, its hellos say.
    pub(super) fn selected_by(&self, advertisements: &[&'a Advertisement]) -> Arc<BTreeSet<String>> {
        let key = advertisements.iter().map(|advertisement| advertisement.name.as_str()).collect();
        let mut selected = self.selected.borrow_mut();
        let set = selected.entry(key).or_insert_with(|| {
            let eligible = |info: &NodeInfo| {
                info.away.is_none()
                    && advertisements.iter().any(|advertisement| advertisement.selects_node(info))
            };
            let names = self.nodes.iter().filter(|(_, info)| eligible(info)).map(|(name, _)| name.clone());
            Arc::new(names.collect())
        });
        Arc::clone(set)
    }

    /// Why `node` is not among those that `advertisements` select.
    pub(super) fn why_not_selected(&self, node: &str, advertisements: &[&Advertisement]) -> Obstacle {
        match self.nodes.get(node) {
            None => Obstacle::new(
                Reason::NotFound,
                format!(
                    "there is no Node {node}; without a cluster, write one (kind: Node, metadata.name: {node})"
                ),
            ),
            Some(NodeInfo { away: Some(away), .. }) => {
                Obstacle::new(Reason::NodeNotSelected, format!("Node {node} {}", why_away(*away)))
            }
            Some(_) => Obstacle::new(
                Reason::NodeNotSelected,
                format!("no nodeSelector of {} matches Node {node}", name_all(advertisements)),
            ),
        }
    }

    /// Where `node` announces what `advertisements` cover: only those that select it count, their interfaces add up, and
    /// one that names none means all that fit.
    pub(super) fn interfaces<'b>(
        &self,
        node: &str,
        advertisements: impl Iterator<Item = &'b Advertisement>,
    ) -> InterfaceRule {
        let info = self.nodes.get(node);
        let mut named = BTreeSet::new();
        for advertisement in advertisements.filter(|it| info.is_some_and(|info| it.selects_node(info))) {
            if advertisement.interfaces.is_empty() {
                return InterfaceRule::OnLink;
            }
            named.extend(advertisement.interfaces.iter().cloned());
        }
        if named.is_empty() { InterfaceRule::OnLink } else { InterfaceRule::Named(named) }
    }
}

pub(super) fn name_all(advertisements: &[&Advertisement]) -> String {
    let names: Vec<&str> = advertisements.iter().map(|advertisement| advertisement.name.as_str()).collect();
    format!("L2Advertisement {}", names.join(", "))
}

fn why_away(away: Away) -> &'static str {
    match away {
        Away::Excluded => "is labelled node.kubernetes.io/exclude-from-external-load-balancers",
        Away::Draining => "is annotated ferrolb.io/drain",
        Away::OutOfService => "has a taint that says that it is off",
    }
}
