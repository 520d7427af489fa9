// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is needed to know of a Node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::api::annotation;

/// Set on a Node, keeps load balancers away from it, whatever its value (KEP-1143).
const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Set by hand on a Node that is known to be off (KEP-2268).
const OUT_OF_SERVICE_TAINT: &str = "node.kubernetes.io/out-of-service";
/// Set by a cloud controller on a Node that is shut down.
const SHUTDOWN_TAINT: &str = "node.cloudprovider.kubernetes.io/shutdown";

/// What is needed to know of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeInfo {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its own addresses, in the order that its status lists them.
    pub addresses: Vec<IpAddr>,
    /// Why it must carry no address, if it must not.
    pub away: Option<Away>,
    /// Its condition Ready; `None` when it has none, as without a cluster.
    pub ready: Option<bool>,
}

/// Why a node must carry no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`.
    Excluded,
    /// The annotation `ferrolb.io/drain`.
    Draining,
    /// A taint that says that the node is off.
    OutOfService,
}

pub(super) fn build(nodes: &BTreeMap<String, Arc<Node>>) -> BTreeMap<String, NodeInfo> {
    nodes.iter().map(|(name, node)| (name.clone(), NodeInfo::from(node.as_ref()))).collect()
}

impl From<&Node> for NodeInfo {
    fn from(node: &Node) -> Self {
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let annotations = node.metadata.annotations.as_ref();
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        let status = node.status.as_ref();
        let away = if labels.contains_key(EXCLUDE_LABEL) {
            Some(Away::Excluded)
        } else if annotations
            .and_then(|all| all.get(annotation::DRAIN))
            .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
        {
            Some(Away::Draining)
        } else if taints
            .iter()
            .any(|taint| matches!(taint.key.as_str(), OUT_OF_SERVICE_TAINT | SHUTDOWN_TAINT))
        {
            Some(Away::OutOfService)
        } else {
            None
        };
        let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        Self {
            labels,
            // Host names stand in the same list; they are no addresses.
            addresses: addresses.iter().filter_map(|entry| entry.address.parse().ok()).collect(),
            away,
            ready: conditions
                .iter()
                .find(|condition| condition.type_ == "Ready")
                .map(|condition| condition.status == "True"),
        }
    }
}
