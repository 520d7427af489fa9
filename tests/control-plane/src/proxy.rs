// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! kube-proxy, one on every node of a lab.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use ferrolb_lab::{Lab, Node, Process};

use crate::Program;

/// How kube-proxy programs the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Tables of its own.
    NFTables,
    /// Chains in the tables that iptables shares.
    IPTables,
}

/// Starts kube-proxy on `node`.
///
/// # Errors
/// It cannot be built or started.
pub(crate) fn start(lab: &Lab, node: &Node, kubeconfig: &Path, mode: ProxyMode) -> Result<Process> {
    let mode = match mode {
        ProxyMode::NFTables => "nftables",
        ProxyMode::IPTables => "iptables",
    };
    let mut command = Command::new(Program::KubeProxy.file()?);
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--hostname-override={}", node.name))
        .arg(format!("--proxy-mode={mode}"))
        .arg("--cluster-cidr=10.244.0.0/16,fd00:244::/32")
        .arg("--nodeport-addresses=primary")
        // These settings belong to the machine, which no network namespace may change.
        .args(["--conntrack-max-per-core=0", "--conntrack-min=0"])
        .args(["--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"]);
    lab.start(&format!("kube-proxy-{}", node.name), Some(&node.namespace), command)
}
