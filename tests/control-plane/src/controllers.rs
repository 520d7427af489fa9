// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! kube-controller-manager, with few of its controllers: most tests want to make every object themselves.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use ferrolb_lab::{Namespace, Process, Site};

use crate::Program;

/// What is missed without them: a deleted namespace stays, and so does what a deleted object owned.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller";

/// Starts it.
///
/// # Errors
/// It cannot be built or started.
pub(crate) fn start(site: &Site, namespace: Option<&Namespace>, kubeconfig: &Path) -> Result<Process> {
    let mut command = Command::new(Program::ControllerManager.file()?);
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--controllers={CONTROLLERS}"))
        .arg("--leader-elect=false")
        // It serves nothing that a test asks for.
        .arg("--secure-port=0");
    site.start("kube-controller-manager", namespace, command)
}
