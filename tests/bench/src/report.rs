// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Everything that was measured, on disk after each run of anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bgp::{announce, peers, routes, services};
use crate::{arp, burst, calm, crowd, cut, darkness, failover, idle, partition, quiet, restart, scale};

/// The figures. What is not there was not measured.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) failover: Vec<failover::Record>,
    pub(crate) partition: Vec<partition::Record>,
    pub(crate) darkness: Vec<darkness::Record>,
    pub(crate) crash_at_scale: Vec<scale::Crash>,
    pub(crate) hand_over_at_scale: Vec<scale::HandOver>,
    pub(crate) arp: Vec<arp::Figures>,
    pub(crate) crowd: Vec<crowd::Figures>,
    pub(crate) quiet: Vec<quiet::Figures>,
    pub(crate) idle: Vec<idle::Figures>,
    pub(crate) cut: Vec<cut::Record>,
    pub(crate) restart: Vec<restart::Record>,
    pub(crate) calm: Vec<calm::Figures>,
    pub(crate) burst: Vec<burst::Row>,
    pub(crate) routes: Vec<routes::Record>,
    pub(crate) peers: Vec<peers::Record>,
    pub(crate) services: Vec<services::Figures>,
    pub(crate) announce: Vec<announce::Figures>,
}

/// The report, and where it is kept.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) report: Report,
    path: Option<PathBuf>,
}

impl Book {
    /// Reads what an earlier run left at `path`, if there is something.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let text = match path.map(|path| (path, fs::read_to_string(path))) {
            None => None,
            Some((_, Ok(text))) => Some(text),
            Some((_, Err(error))) if error.kind() == std::io::ErrorKind::NotFound => None,
            Some((path, Err(error))) => {
                return Err(error).with_context(|| format!("reading the report {}", path.display()));
            }
        };
        let report = match (text, path) {
            (Some(text), Some(path)) => serde_json::from_str(&text).with_context(|| {
                format!("{} is no report of this version: name another file, or remove it", path.display())
            })?,
            _ => Report::default(),
        };
        Ok(Self { report, path: path.map(Path::to_owned) })
    }

    /// Writes it beside, then renames.
    pub(crate) fn save(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let beside = path.with_extension("new");
        let text = serde_json::to_string_pretty(&self.report)?;
        fs::write(&beside, text + "\n").with_context(|| format!("writing {}", beside.display()))?;
        fs::rename(&beside, path).with_context(|| format!("putting {} in place", path.display()))
    }
}

/// How long new things may be begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(Option<Instant>);

impl Budget {
    pub(crate) fn of_minutes(minutes: Option<u64>) -> Self {
        Self(minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60)))
    }

    /// Nothing new is to be begun; says so.
    pub(crate) fn is_spent(self) -> bool {
        let spent = self.0.is_some_and(|until| Instant::now() > until);
        if spent {
            println!("The budget is spent; the same command with the same --report goes on from here.");
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_is_not_there_is_an_empty_one_and_one_that_is_no_report_is_refused() {
        let folder = std::env::temp_dir().join(format!("ferrolb-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("room on the disk");
        let path = folder.join("report.json");
        let book = Book::open(Some(&path)).expect("an empty one");
        assert!(book.report.failover.is_empty());
        book.save().expect("room on the disk");
        Book::open(Some(&path)).expect("what was written");
        fs::write(&path, "{\"of\": \"something else\"}").expect("room on the disk");
        let error = Book::open(Some(&path)).expect_err("no report");
        assert!(format!("{error:#}").contains("remove it"), "{error:#}");
        fs::remove_dir_all(&folder).expect("it was there");
    }
}
