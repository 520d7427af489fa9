// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is needed to know of a Node.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::api::annotation;
use crate::reason::Reason;

/// Set on a Node, keeps load balancers away from it, whatever its value (KEP-1143).
const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Set by hand on a Node that is known to be off (KEP-2268).
const OUT_OF_SERVICE_TAINT: &str = "node.kubernetes.io/out-of-service";
/// Set by a cloud controller on a Node that is shut down.
const SHUTDOWN_TAINT: &str = "node.cloudprovider.kubernetes.io/shutdown";
/// Set by those who remove machines on a Node that is emptied and then deleted: the Cluster Autoscaler and Karpenter.
/// `DeletionCandidateOfClusterAutoscaler` is not among them: a candidate mostly stays, and addresses would move in vain.
const REMOVAL_TAINTS: [&str; 2] = ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];
/// The condition that says that a Node's network is not set up.
const NETWORK_UNAVAILABLE: &str = "NetworkUnavailable";

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
    /// The label `node.kubernetes.io/exclude-from-external-load-balancers`, and nothing else. It is about load balancers:
    /// FloatingIPs are not kept away by it.
    Excluded,
    /// The annotation `ferrolb.io/drain`.
    Draining,
    /// The taint `node.kubernetes.io/out-of-service`.
    OutOfService,
    /// The taint `node.cloudprovider.kubernetes.io/shutdown`.
    ShutDown,
    /// A taint that says that the machine is about to be removed.
    BeingRemoved,
    /// The condition `NetworkUnavailable` is `True`.
    NetworkUnavailable,
}

impl Away {
    /// The word for it.
    pub fn reason(self) -> Reason {
        match self {
            Self::Excluded => Reason::NodeExcluded,
            Self::Draining => Reason::NodeDrained,
            Self::OutOfService | Self::ShutDown | Self::BeingRemoved => Reason::NodeOutOfService,
            Self::NetworkUnavailable => Reason::NodeNetworkUnavailable,
        }
    }
}

impl fmt::Display for Away {
    /// What follows after the node's name in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "is labelled node.kubernetes.io/exclude-from-external-load-balancers",
            Self::Draining => "is drained (annotation ferrolb.io/drain); ferrolb undrain ends that",
            Self::OutOfService => "has the taint node.kubernetes.io/out-of-service",
            Self::ShutDown => "has the taint node.cloudprovider.kubernetes.io/shutdown",
            Self::BeingRemoved => "has a taint that says that the machine is about to be removed",
            Self::NetworkUnavailable => "has the condition NetworkUnavailable",
        })
    }
}

pub(super) fn build(nodes: &BTreeMap<String, Arc<Node>>) -> BTreeMap<String, NodeInfo> {
    nodes.iter().map(|(name, node)| (name.clone(), NodeInfo::from(node.as_ref()))).collect()
}

impl From<&Node> for NodeInfo {
    fn from(node: &Node) -> Self {
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let status = node.status.as_ref();
        let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
        Self {
            labels,
            // Host names stand in the same list; they are no addresses.
            addresses: addresses.iter().filter_map(|entry| entry.address.parse().ok()).collect(),
            away: away(node),
            ready: condition(node, "Ready"),
        }
    }
}

/// Why `node` must carry no address, the first that holds. Whether it is cordoned plays no part: a cordoned node goes on
/// serving what runs on it.
fn away(node: &Node) -> Option<Away> {
    let metadata = &node.metadata;
    let is_labelled = |key: &str| metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(key));
    let is_drained = || {
        let value = metadata.annotations.as_ref().and_then(|all| all.get(annotation::DRAIN));
        value.is_some_and(|value| !value.eq_ignore_ascii_case("false"))
    };
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let is_tainted = |key: &str| taints.iter().any(|taint| taint.key == key);
    if is_drained() {
        Some(Away::Draining)
    } else if is_tainted(OUT_OF_SERVICE_TAINT) {
        Some(Away::OutOfService)
    } else if is_tainted(SHUTDOWN_TAINT) {
        Some(Away::ShutDown)
    } else if REMOVAL_TAINTS.into_iter().any(is_tainted) {
        Some(Away::BeingRemoved)
    } else if condition(node, NETWORK_UNAVAILABLE) == Some(true) {
        Some(Away::NetworkUnavailable)
    } else if is_labelled(EXCLUDE_LABEL) {
        // The last: it is the one that does not keep FloatingIPs away.
        Some(Away::Excluded)
    } else {
        None
    }
}

/// Whether a condition of `node` holds; `None` when it has none of that type.
fn condition(node: &Node, type_: &str) -> Option<bool> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status == "True")
}
