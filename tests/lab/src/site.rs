// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where processes of a test or a benchmark live, with or without network namespaces around them.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::leftovers::{self, LabName};
use crate::{Namespace, Process};

/// Sites made by this process so far.
static SITES: AtomicU32 = AtomicU32::new(0);

/// A name that marks processes and a folder for their logs. Both are removed on drop; what a killed run left is removed when the
/// next site is opened.
#[derive(Debug)]
pub struct Site {
    name: LabName,
    folder: TempDir,
}

impl Site {
    /// Opens one.
    ///
    /// # Errors
    /// The temporary folder cannot be made, or what is left of dead runs cannot be removed.
    pub fn open() -> Result<Self> {
        leftovers::remove_dead()?;
        let name = LabName::own(SITES.fetch_add(1, Ordering::Relaxed))?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir()
            .context("making the lab's folder")?;
        Ok(Self { name, folder })
    }

    /// The name with which everything of this site begins.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// A folder of its own for configuration, state and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `command` inside `namespace`, or where this process is if it is `None`. Its output goes to `<name>.log` in the folder,
    /// which is its working directory too.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, name: &str, namespace: Option<&Namespace>, command: Command) -> Result<Process> {
        Process::start(name, namespace, command, &self.name.to_string(), self.folder.path())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = leftovers::remove(|lab| *lab == self.name) {
            eprintln!("lab: {error:#}");
        }
    }
}
