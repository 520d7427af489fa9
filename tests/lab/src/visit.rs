// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Running a command in a namespace of a lab that another process keeps up.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use nix::unistd::Uid;

use crate::leftovers::{self, LabName};
use crate::{Namespace, rights, shell};

/// Runs `command` in the namespace that the newest lab calls `short` (`client`, `n1`, `pod2`), with this process's standard streams, and
/// waits for it. Only labs count whose maker was started with the word `word`: tests may have labs of their own up. Without root's rights,
/// a lab in a user namespace of the same user is meant.
///
/// # Errors
/// There is no such lab, or none with such a namespace, or the command cannot be started.
pub fn run(word: &str, short: &str, command: &[String]) -> Result<ExitStatus> {
    let (program, arguments) = command.split_first().context("no command to run")?;
    let by_word = |lab: &LabName| lab.maker_was_told(word);
    if rights::check().is_ok()
        && let Some(full) = newest(leftovers::namespaces(), short, by_word)
    {
        return inside(&Namespace::open(&full)?, program, arguments);
    }
    let (lab, pid) = in_user_namespace(by_word).context("no lab is up, or none of yours")?;
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &pid.to_string(), "--user", "--preserve-credentials", "--mount", "--"])
        .args(["ip", "netns", "exec", &format!("{lab}-{short}"), program])
        .args(arguments)
        .env("PATH", shell::search_path());
    command.status().context("starting nsenter(1) of util-linux")
}

fn inside(namespace: &Namespace, program: &str, arguments: &[String]) -> Result<ExitStatus> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", shell::search_path());
    namespace.run(|| command.status().with_context(|| format!("starting {program}")))
}

/// The full name of the namespace that the newest of `these` labs calls `short`.
fn newest(names: Vec<String>, short: &str, these: impl Fn(&LabName) -> bool) -> Option<String> {
    let found = names
        .into_iter()
        .filter_map(|name| Some((LabName::parse(&name)?, name)))
        .filter(|(lab, _)| these(lab));
    let found = found.filter(|(lab, name)| name.strip_prefix(&format!("{lab}-")) == Some(short));
    found.max().map(|(_, name)| name)
}

/// The newest of `these` labs of this user that lives in a user namespace of its own, with a process of it.
fn in_user_namespace(these: impl Fn(&LabName) -> bool) -> Option<(LabName, u32)> {
    let own = fs::read_link("/proc/self/ns/user").ok()?;
    let user = Uid::current().as_raw();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == user))
        .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|theirs| theirs != own))
        .filter_map(|pid| Some((leftovers::mark_of(pid)?, pid)))
        .filter(|(lab, _)| these(lab))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lab;

    #[test]
    fn the_newest_lab_with_such_a_namespace_is_visited() {
        let names = ["flb-9-100-0-client", "flb-8-200-0-client", "flb-8-200-1-n1", "flb-x-client", "client"];
        let newest = |short| newest(names.map(str::to_owned).into(), short, |_| true);
        assert_eq!(newest("client").as_deref(), Some("flb-8-200-0-client"));
        assert_eq!(newest("n1").as_deref(), Some("flb-8-200-1-n1"));
        assert_eq!(newest("n2"), None);
    }

    #[test]
    fn a_command_runs_inside_and_its_end_is_reported() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let show = ["addr", "show", "dev", "eth0"].map(str::to_owned);
            assert!(inside(&lab.client, "ip", &show)?.success());
            assert!(!inside(&lab.client, "false", &[])?.success());
            Ok(())
        });
    }
}
