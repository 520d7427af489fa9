// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Kubeconfig files: one for each account, with its token and the server's CA in files beside it, as in a pod.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::Account;

/// Writes the kubeconfig of `account` into `folder` and returns its path. The CA is the file `ca.crt` there.
pub(crate) fn write(folder: &Path, account: &Account, server: &str) -> Result<PathBuf> {
    let name = account.file_name();
    let token = folder.join(format!("{name}.token"));
    let file = folder.join(format!("{name}.kubeconfig"));
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": authority(folder)}}],
        "users": [{"name": "test", "user": {"tokenFile": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    fs::write(&token, account.token()).with_context(|| format!("writing {}", token.display()))?;
    fs::write(&file, text.to_string()).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// The file with the CA of the API server's certificate.
pub(crate) fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.crt")
}
