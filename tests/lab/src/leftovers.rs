// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What dead runs left behind. A lab's name carries the process that made it and when that process started, so that a lab whose maker
//! is gone is known for sure, even after process ids went round.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::namespace;
use crate::shell;

/// Set in the environment of every process of a lab to the lab's name.
pub(crate) const MARK: &str = "FERROLB_LAB";
const PREFIX: &str = "flb";

/// A lab's name: `flb-<pid>-<start time in clock ticks>-<count>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LabName {
    // The order of the fields makes the newest lab the greatest.
    started: u64,
    pid: u32,
    count: u32,
}

impl LabName {
    /// The name of the `count`th lab of this process.
    pub(crate) fn own(count: u32) -> Result<Self> {
        let pid = std::process::id();
        let started = start_time(pid).context("reading when this process started from /proc")?;
        Ok(Self { pid, started, count })
    }

    /// The lab that the namespace or mark `name` belongs to.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        if parts.next() != Some(PREFIX) {
            return None;
        }
        let pid = parts.next()?.parse().ok()?;
        let started = parts.next()?.parse().ok()?;
        let count = parts.next()?.parse().ok()?;
        Some(Self { pid, started, count })
    }

    /// Whether the process `pid` made it.
    pub(crate) fn made_by(&self, pid: u32) -> bool {
        self.pid == pid && self.maker_lives()
    }

    /// Whether its maker lives and was started with `word` among its arguments.
    pub(crate) fn maker_was_told(&self, word: &str) -> bool {
        let line =
            fs::read(Path::new("/proc").join(self.pid.to_string()).join("cmdline")).unwrap_or_default();
        self.maker_lives() && line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    }

    fn maker_lives(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

impl std::fmt::Display for LabName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}-{}-{}-{}", self.pid, self.started, self.count)
    }
}

/// Removes the processes and namespaces of labs whose maker is gone.
pub(crate) fn remove_dead() -> Result<()> {
    remove(|lab| !lab.maker_lives())
}

/// Removes every process, namespace and temporary folder of the labs that `this` picks.
pub(crate) fn remove(this: impl Fn(&LabName) -> bool) -> Result<()> {
    for pid in marked_processes(&this) {
        // ESRCH: it ended by itself in the meantime.
        match kill(pid, Signal::SIGKILL) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("killing the left-over process {pid}")),
        }
    }
    remove_folders(&this);
    let doomed: String = namespaces()
        .into_iter()
        .filter(|name| LabName::parse(name).is_some_and(|lab| this(&lab)))
        .map(|name| format!("netns del {name}\n"))
        .collect();
    if doomed.is_empty() {
        return Ok(());
    }
    // -force: two labs that clean up at the same time may both want the same left-over gone.
    match shell::feed("ip", &["-force", "-batch", "-"], &doomed) {
        Ok(_) => Ok(()),
        Err(error) if namespaces().iter().any(|name| LabName::parse(name).is_some_and(|lab| this(&lab))) => {
            Err(error)
        }
        Err(_) => Ok(()),
    }
}

/// Temporary folders; those of another user, which cannot be removed, are that user's affair.
fn remove_folders(this: &impl Fn(&LabName) -> bool) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().and_then(LabName::parse).is_some_and(|lab| this(&lab)) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Names under `/run/netns`; none if the folder is not there yet.
pub(crate) fn namespaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir(namespace::folder()) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn marked_processes(this: &impl Fn(&LabName) -> bool) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| mark_of(*pid).is_some_and(|lab| this(&lab)))
        .filter_map(|pid| i32::try_from(pid).ok().map(Pid::from_raw))
        .collect()
}

pub(crate) fn mark_of(pid: u32) -> Option<LabName> {
    let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let (key, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
        (key == MARK).then(|| LabName::parse(value))?
    })
}

/// Field 22 of `/proc/<pid>/stat`, proc(5). The second field may hold spaces and brackets, so count from the last bracket.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_the_way_through_a_namespace_name() {
        let name = LabName::own(3).expect("this process has a start time");
        assert_eq!(LabName::parse(&format!("{name}-n1")), Some(name));
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for name in ["blue", "flb", "flb-x-1-1", "cni-1234-5678-9", "flbn-1-2-3"] {
            assert_eq!(LabName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_process_id_that_was_given_to_somebody_else_is_a_dead_maker() {
        let mut name = LabName::own(1).expect("this process has a start time");
        assert!(name.maker_lives());
        name.started += 1;
        assert!(!name.maker_lives());
    }
}
