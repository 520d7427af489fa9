// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Back from the fixed-size identities on the wire to the names that people use, and events in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_layer2::{Cause, Event, GroupId, NodeId, PeerDownCause};

use crate::group::Group;

/// Who a station can be that answers for an address of ours and that none of the believed peers is.
pub(crate) const STRANGER: &str = "outside the cluster or a node that this one does not hear";

/// The names behind the identities. One that no object names is shown as its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    nodes: BTreeMap<NodeId, String>,
    /// In ascending order.
    groups: Arc<[(GroupId, Arc<str>)]>,
}

impl Names {
    /// The names of the nodes of a cluster, and of groups.
    pub(crate) fn new<'a>(
        cluster: &str,
        nodes: impl IntoIterator<Item = &'a String>,
        groups: impl IntoIterator<Item = &'a Group>,
    ) -> Self {
        let groups = groups.into_iter().map(|group| (group.id(), Arc::clone(group.name())));
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable_by_key(|(id, _)| *id);
        groups.dedup_by_key(|(id, _)| *id);
        Self { groups: groups.into(), ..Self::default() }.with_nodes(cluster, nodes)
    }

    /// The same groups, with the names of these nodes.
    pub(crate) fn with_nodes<'a>(&self, cluster: &str, nodes: impl IntoIterator<Item = &'a String>) -> Self {
        let nodes = nodes.into_iter().map(|name| (NodeId::of(cluster, name), name.clone()));
        Self { nodes: nodes.collect(), groups: Arc::clone(&self.groups) }
    }

    /// The node's name.
    pub(crate) fn node(&self, id: NodeId) -> String {
        self.nodes.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The group's name.
    pub(crate) fn group(&self, id: GroupId) -> String {
        let found = self.groups.binary_search_by_key(&id, |(id, _)| *id).ok();
        let name = found.and_then(|position| self.groups.get(position)).map(|(_, name)| name.to_string());
        name.unwrap_or_else(|| format!("{:016x}", id.0))
    }

    /// Why something moved, as the end of a sentence.
    pub(crate) fn cause(&self, cause: Cause) -> String {
        match cause {
            Cause::Silence(node) => format!("silence of {}", self.node(node)),
            Cause::Restarted(node) => format!("restart of {}", self.node(node)),
            Cause::Resigned(node) => format!("given up by {}", self.node(node)),
            Cause::HandedOver(node) => format!("handed over with {}", self.node(node)),
            Cause::HigherClaim(node) => format!("newer claim of {}", self.node(node)),
            Cause::Lapsed(node) => format!("no longer listed by {}", self.node(node)),
            Cause::Deaf(node) => format!("{} hears nobody", self.node(node)),
            Cause::FirstUse
            | Cause::NotEligible
            | Cause::Requested
            | Cause::LinkDown
            | Cause::Drain
            | Cause::Duplicate
            | Cause::OwnStall => cause.to_string(),
        }
    }

    /// What happened, as a sentence.
    pub(crate) fn event(&self, event: &Event) -> String {
        match event {
            Event::Claimed { group, term, cause, quiet } => {
                let quietly = if *quiet { ", quietly: the old node still serves its clients" } else { "" };
                format!("took {} (term {}): {}{quietly}", self.group(*group), term.0, self.cause(*cause))
            }
            Event::Announcing { group } => format!("announces {} from now on", self.group(*group)),
            Event::Yielded { group, term, to, cause } => {
                let to = to.map(|node| format!(" to {}", self.node(node))).unwrap_or_default();
                format!("gave up {} (term {}){to}: {}", self.group(*group), term.0, self.cause(*cause))
            }
            Event::NobodyTook { group, cause } => {
                format!(
                    "keeps {}, which should move ({}): nobody took it",
                    self.group(*group),
                    self.cause(*cause)
                )
            }
            Event::PeerUp(node) => format!("hears {}", self.node(*node)),
            Event::PeerDown(node, cause) => {
                let why = match cause {
                    PeerDownCause::Silence => "it fell silent",
                    PeerDownCause::Deaf => "it speaks, but hears nobody",
                    PeerDownCause::Restarted => "its speaker was restarted",
                    PeerDownCause::Left => "it said good-bye",
                    PeerDownCause::LinkDown => "the own link is down",
                };
                format!("no longer hears {}: {why}", self.node(*node))
            }
            Event::ForeignAnswer { address, mac } => {
                format!("{address} is carried here, but {mac}, {STRANGER}, uses it too")
            }
            Event::InUse { group, address, mac } => {
                let group = self.group(*group);
                format!(
                    "does not answer for {address} of {group}: {mac}, {STRANGER}, has it; asks again in a minute"
                )
            }
            Event::DuplicateIdentity { node, source } => {
                format!("{source} also speaks as {}: is a second speaker running?", self.node(*node))
            }
            Event::SteppedAside { source } => format!(
                "does nothing while {source} speaks in this node's name: give one of the two another identity"
            ),
            Event::Shaky(duration) => {
                format!(
                    "this node fell silent three times within a minute; for {} s it takes only what nobody else can",
                    duration.as_secs()
                )
            }
            Event::Stalled(duration) => {
                format!(
                    "this process stood still for {} ms; listening before answering again",
                    duration.as_millis()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_layer2::Term;

    use super::*;

    #[test]
    fn known_identities_are_shown_by_name_and_others_by_number() {
        let nodes = ["n1".to_owned()];
        let groups = ["default/web".into()];
        let names = Names::new("prod", &nodes, &groups);
        let event = Event::Claimed {
            group: GroupId::of("default/web"),
            term: Term(7),
            cause: Cause::Silence(NodeId::of("prod", "n1")),
            quiet: false,
        };
        assert_eq!(names.event(&event), "took default/web (term 7): silence of n1");
        let stranger = NodeId::of("prod", "n9");
        assert_eq!(names.node(stranger), stranger.to_string());
        assert_eq!(names.group(GroupId(7)), "0000000000000007");
    }
}
