// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where the programs are. Those that are missing are built, once for all tests of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A program of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// What the API server keeps its objects in.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kubectl.
    Kubectl,
    /// kube-proxy.
    KubeProxy,
    /// kube-controller-manager.
    ControllerManager,
}

impl Program {
    /// Its file name.
    pub const fn name(self) -> &'static str {
        match self {
            Program::Etcd => "etcd",
            Program::ApiServer => "kube-apiserver",
            Program::Kubectl => "kubectl",
            Program::KubeProxy => "kube-proxy",
            Program::ControllerManager => "kube-controller-manager",
        }
    }

    /// Its file: in `KUBEBUILDER_ASSETS` if that has one of the name, otherwise in our own cache, where it is built if it is missing
    /// (minutes; says so on standard error).
    ///
    /// # Errors
    /// It cannot be built; the message says what to install.
    pub fn file(self) -> Result<PathBuf> {
        let given = std::env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(self.name()));
        match given {
            Some(file) if file.is_file() => Ok(file),
            _ => Ok(build(self)?.join(self.name())),
        }
    }
}

/// Builds `program` where it is missing, and returns the folder of the cache that holds it.
fn build(program: Program) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let output = Command::new(&script)
        .arg(program.name())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", script.display()))?;
    ensure!(
        output.status.success(),
        "{} has failed ({}); what it said stands above",
        script.display(),
        output.status
    );
    let text = String::from_utf8(output.stdout).context("the folder's name is no UTF-8")?;
    Ok(PathBuf::from(text.trim_end_matches('\n')))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use ferrolb_lab::Site;

    use super::*;

    #[test]
    fn a_machine_with_an_old_go_is_told_what_to_install_unless_it_has_the_program() {
        let site = Site::open().unwrap();
        let made = |name: &str| {
            let file = site.folder().join(name);
            fs::write(&file, "#!/bin/sh\necho go1.21.5\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        };
        made("go");
        let path = std::env::var("PATH").unwrap_or_default();
        let check = || {
            let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("build"))
                .args(["--check", "kube-apiserver"])
                .env("FERROLB_CONTROL_PLANE", site.folder().join("cache"))
                .env("KUBEBUILDER_ASSETS", site.folder())
                .env("PATH", format!("{}:{path}", site.folder().display()))
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (could, said) = check();
        let wanted = "needs Go 1.26.0 or newer, and this is 1.21.5: install a newer one";
        assert!(!could && said.contains("kube-apiserver") && said.contains(wanted), "{said}");
        made("kube-apiserver");
        assert_eq!(check(), (true, String::new()));
    }
}
