// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB in the same cluster instead of FerroLB: its own programs and definitions, from a folder of the user's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ferrolb_control_plane::{Account, Cluster, METALLB_NAMESPACE as NAMESPACE};
use ferrolb_lab::{Node, Process};
use serde_json::json;

use super::cluster::ADDRESSES;

/// What Pods are, by the label `component`; the speakers find each other by it.
const SPEAKER: &str = "speaker";
/// The same of the controller, and its Pod.
const CONTROLLER: &str = "controller";

/// A MetalLB: running speakers, and a controller for as long as it is wanted.
pub(super) struct MetalLB {
    folder: PathBuf,
    speakers: Vec<Process>,
    controller: Option<Process>,
}

impl MetalLB {
    /// Brings what is in `folder` into the cluster: the definitions under `crds/`, the program `speaker` on every node.
    pub(super) fn install(cluster: &Cluster, folder: &Path) -> Result<Self> {
        let kubectl = cluster.plane().kubectl();
        let definitions = folder.join("crds");
        let definitions = definitions.to_str().context("the folder's name is not UTF-8")?;
        kubectl.run(&["apply", "--server-side", "-f", definitions])?;
        kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        kubectl.run(&["create", "namespace", NAMESPACE])?;
        // Both programs look for the Pod that they are.
        let nodes = &cluster.lab().nodes;
        let first = nodes.first().context("a cluster has nodes")?;
        let speakers = nodes.iter().map(|node| (pod(node), SPEAKER, node));
        for (name, component, node) in speakers.chain([(CONTROLLER.to_owned(), CONTROLLER, first)]) {
            let object = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"component": component}},
                "spec": {"nodeName": node.name, "containers": [{"name": "all", "image": "metallb"}]},
            });
            kubectl.create(&object.to_string())?;
            let address = node.place().ipv4().to_string();
            let status = json!({"status": {
                "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": address,
            }});
            let (pod, status) = (format!("pod/{name}"), status.to_string());
            kubectl.run(&[
                "patch",
                "-n",
                NAMESPACE,
                &pod,
                "--subresource=status",
                "--type=merge",
                "-p",
                &status,
            ])?;
        }
        for (kind, spec) in
            [("IPAddressPool", json!({"addresses": [ADDRESSES]})), ("L2Advertisement", json!({}))]
        {
            let object = json!({
                "apiVersion": "metallb.io/v1beta1", "kind": kind,
                "metadata": {"name": "all", "namespace": NAMESPACE}, "spec": spec,
            });
            kubectl.create(&object.to_string())?;
        }
        let secret = cluster.lab().folder().join("memberlist");
        fs::create_dir_all(&secret)?;
        fs::write(secret.join("secretkey"), "0123456789abcdef0123456789abcdef")?;
        let start = |node: &Node| {
            let mut command = program(cluster, folder, SPEAKER, &pod(node))?;
            command
                .env("METALLB_NODE_NAME", &node.name)
                .env("METALLB_ML_BIND_ADDR", node.place().ipv4().to_string())
                .env("METALLB_ML_LABELS", format!("component={SPEAKER}"))
                .env("METALLB_ML_SECRET_KEY_PATH", &secret);
            cluster.lab().start(&pod(node), Some(&node.namespace), command)
        };
        let speakers = nodes.iter().map(start).collect::<Result<_>>()?;
        Ok(Self { folder: folder.to_owned(), speakers, controller: None })
    }

    /// Starts the program `controller` beside the API server.
    pub(super) fn start_controller(&mut self, cluster: &Cluster) -> Result<()> {
        let mut command = program(cluster, &self.folder, CONTROLLER, CONTROLLER)?;
        command.arg("--webhook-mode=disabled");
        self.controller =
            Some(cluster.lab().start("metallb-controller", cluster.plane().namespace(), command)?);
        Ok(())
    }

    /// The controller's process.
    pub(super) fn controller(&mut self) -> Result<&mut Process> {
        self.controller.as_mut().context("MetalLB's controller does not run")
    }

    /// The speakers' processes.
    pub(super) fn speakers(&mut self) -> impl Iterator<Item = &mut Process> {
        self.speakers.iter_mut()
    }
}

/// The Pod of the speaker on `node`.
fn pod(node: &Node) -> String {
    format!("{SPEAKER}-{}", node.name)
}

fn program(cluster: &Cluster, folder: &Path, name: &str, pod: &str) -> Result<Command> {
    let mut command = Command::new(folder.join(name));
    command
        .args(["--port=0", "--log-level=error"])
        .env("KUBECONFIG", cluster.plane().kubeconfig(&Account::admin())?)
        .env("METALLB_NAMESPACE", NAMESPACE)
        .env("METALLB_POD_NAME", pod);
    Ok(command)
}
