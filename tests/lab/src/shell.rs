// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Running the tools that build the lab, and saying which one is missing.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `tool` with `script` on its standard input and returns its output.
///
/// # Errors
/// The tool is not installed, or it failed; what it said is in the message.
pub(crate) fn feed(tool: &str, args: &[&str], script: &str) -> Result<String> {
    let spawned = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("PATH", search_path())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("`{tool}` is not installed: the lab needs iproute2, nftables and util-linux")
        }
        Err(error) => return Err(error).with_context(|| format!("starting {tool}")),
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).with_context(|| format!("feeding {tool}"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("waiting for {tool}"))?;
    if !output.status.success() {
        bail!("{tool} {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The file that `program` is: itself if it names a folder, otherwise looked for in [`search_path`].
///
/// # Errors
/// There is none.
pub(crate) fn find(program: &OsStr) -> Result<PathBuf> {
    if Path::new(program).components().count() > 1 {
        let exists = Path::new(program).exists();
        anyhow::ensure!(exists, "there is no program {}", Path::new(program).display());
        return Ok(std::path::absolute(program)?);
    }
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("`{}` is not installed", Path::new(program).display()))
}

/// `PATH` with the folders of system tools, which an ordinary user's often lacks.
pub(crate) fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}
