// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Node objects of machines that run no kubelet.

use std::fmt::Write as _;

use anyhow::Result;
use ferrolb_lab::{Node, Place};
use serde_json::json;

use crate::Kubectl;

/// What keeps Pods off a Node that was just created; no controller takes it away here.
const NOT_READY: &str = "node.kubernetes.io/not-ready-";

/// Creates the Nodes, ready, with their addresses on the segment.
///
/// # Errors
/// The API server refuses.
pub(crate) fn create(kubectl: &Kubectl, nodes: &[Node]) -> Result<()> {
    let mut objects = String::new();
    for node in nodes {
        let (name, index) = (&node.name, node.index);
        writeln!(
            objects,
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}}}}}, \
             spec: {{podCIDR: 10.244.{index}.0/24, podCIDRs: [10.244.{index}.0/24, 'fd00:244:{index}::/64']}}}}"
        )?;
    }
    kubectl.create(&objects)?;
    for node in nodes {
        report(kubectl, node.place(), true)?;
    }
    kubectl.run(&["taint", "nodes", "--all", NOT_READY]).map(drop)
}

/// Writes what a kubelet reports, or the node controller after its death.
///
/// # Errors
/// The API server refuses.
pub(crate) fn report(kubectl: &Kubectl, place: Place, ready: bool) -> Result<()> {
    let (ready, reason) = if ready { ("True", "KubeletReady") } else { ("Unknown", "NodeStatusUnknown") };
    let status = json!({"status": {
        "addresses": [
            {"type": "InternalIP", "address": place.ipv4()},
            {"type": "InternalIP", "address": place.ipv6()},
        ],
        "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": ""}],
    }});
    let (name, patch) = (place.name(), status.to_string());
    kubectl.run(&["patch", "node", &name, "--subresource=status", "--type=merge", "-p", &patch]).map(drop)
}
