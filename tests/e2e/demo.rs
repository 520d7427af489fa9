// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The demo itself, for root and for an ordinary user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::unistd::Uid;
use serde_json::Value;

use crate::alone;
use crate::cluster::binary;

/// An account without rights; on every Linux, nobody.
const NOBODY: u32 = 65534;

#[test]
fn the_demo_runs_for_an_ordinary_user_and_reports_its_figures() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    // The folder that cargo builds in may be closed to others.
    let program = folder.path().join("ferrolb");
    fs::copy(binary(), &program).context("copying the binary")?;
    let report = folder.path().join("report.json");
    let mut demo = Command::new(&program);
    demo.args(["demo", "--runs", "1", "--no-keepalived", "--report"])
        .arg(&report)
        .current_dir("/")
        .stdin(Stdio::null());
    if Uid::effective().is_root() {
        demo.uid(NOBODY).gid(NOBODY).env("HOME", folder.path());
    }
    let output = demo.output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}");

    let report: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    // A run counts unless the probers stalled four times, as they may on a busy machine.
    assert!(report["crash"]["runs"].as_u64().is_some_and(|runs| runs <= 1), "{report}");
    assert!(report["crash"].get("outage_ms").is_some(), "{report}");
    assert!(report["handover"]["runs"].as_u64().is_some_and(|runs| runs <= 1), "{report}");
    assert!(report["handover"]["lost"].is_u64() && report["handover"]["probes"].is_u64(), "{report}");
    assert!(report["two_answerers"].is_u64(), "{report}");
    assert!(said.contains("What clients noticed"), "{said}");
    Ok(())
}
