// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The demo itself, for root and for an ordinary user.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

use crate::alone;
use crate::cluster::binary;

/// An account without rights; on every Linux, nobody.
const NOBODY: u32 = 65534;
/// The demo takes half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn the_demo_runs_for_an_ordinary_user_reports_its_figures_and_lets_itself_be_looked_into() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    // The folder that cargo builds in may be closed to others.
    let program = folder.path().join("ferrolb");
    fs::copy(binary(), &program).context("copying the binary")?;
    let (report, told) = (folder.path().join("report.json"), folder.path().join("told"));
    let ferrolb = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir("/").stdin(Stdio::null());
        if Uid::effective().is_root() {
            command.uid(NOBODY).gid(NOBODY).env("HOME", folder.path());
        }
        command
    };

    let output = File::create(&told)?;
    let mut demo = ferrolb(&["demo", "--keep", "--runs", "1", "--no-keepalived", "--report"]);
    let mut demo = demo.arg(&report).stderr(output.try_clone()?).stdout(output).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let said = fs::read_to_string(&told)?;
        if said.contains("stays up") || demo.try_wait()?.is_some() || Instant::now() > deadline {
            break said;
        }
        thread::sleep(Duration::from_millis(100));
    };
    println!("{said}");
    let look =
        ferrolb(&["demo", "exec", "client", "--", "ip", "-brief", "addr", "show", "dev", "eth0"]).output()?;
    // Whatever was found, the demo must not outlive the test.
    kill(Pid::from_raw(i32::try_from(demo.id())?), Signal::SIGTERM)?;
    let ended = demo.wait()?;

    assert!(said.contains("What clients noticed") && said.contains("stays up"), "{said}");
    let seen = String::from_utf8_lossy(&look.stdout);
    assert!(seen.contains("198.51.100.50/24"), "{seen}{}", String::from_utf8_lossy(&look.stderr));
    assert_eq!(
        ended.code(),
        Some(128 + Signal::SIGTERM as i32),
        "told to end, it takes the lab down and says why it ended"
    );

    let report: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    // A run counts unless the probers stalled four times, as they may on a busy machine.
    assert!(report["crash"]["runs"].as_u64().is_some_and(|runs| runs <= 1), "{report}");
    assert!(report["crash"].get("outage_ms").is_some(), "{report}");
    assert!(report["handover"]["runs"].as_u64().is_some_and(|runs| runs <= 1), "{report}");
    assert!(report["handover"]["lost"].is_u64() && report["handover"]["probes"].is_u64(), "{report}");
    assert!(report["two_answerers"].is_u64(), "{report}");
    Ok(())
}
