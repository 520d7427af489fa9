// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The last text of each manifest that held no mistake, kept on the disk: who starts beside a broken manifest goes on with
//! what it held before, as a process that ran all the time does.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::state::{Role, StateError, replace};

/// The folder's name in that of the role.
const MANIFESTS: &str = "manifests";
/// Manifests may hold what only their owner may read.
const FOR_OWNER: u32 = 0o600;

/// The texts, each under the name of its manifest.
#[derive(Debug)]
pub(crate) struct LastGood {
    folder: PathBuf,
    /// Whether it has been told that nothing can be kept.
    told: bool,
}

impl LastGood {
    /// Those of `role`, under the state folder.
    ///
    /// # Errors
    /// The role's name cannot be part of a path.
    pub(crate) fn new(state: &Path, role: &Role) -> Result<Self, StateError> {
        Ok(Self { folder: state.join(role.folder()?).join(MANIFESTS), told: false })
    }

    /// What was kept of the manifest at `path`.
    pub(super) fn read(&self, path: &Path) -> Option<String> {
        fs::read_to_string(self.place(path)?).ok()
    }

    /// Keeps `text` for the manifest at `path`. A disk that refuses is told once: all goes on without it.
    pub(super) fn keep(&mut self, path: &Path, text: &str) {
        let Some(place) = self.place(path) else { return };
        if fs::read(&place).is_ok_and(|held| held == text.as_bytes()) {
            return;
        }
        match replace(&place, text.as_bytes(), FOR_OWNER) {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                warn!(%error, "a start beside a broken manifest would do without what it held before");
            }
            Err(_) => {}
        }
    }

    /// Forgets the manifests that are not among `present`.
    pub(super) fn retain<'a>(&self, present: impl Iterator<Item = &'a PathBuf>) {
        let names: BTreeSet<&OsStr> = present.filter_map(|path| path.file_name()).collect();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !names.contains(entry.file_name().as_os_str())
                && let Err(error) = fs::remove_file(entry.path())
            {
                warn!(file = %entry.path().display(), %error, "cannot remove what was kept of a manifest that is gone");
            }
        }
    }

    fn place(&self, path: &Path) -> Option<PathBuf> {
        Some(self.folder.join(path.file_name()?))
    }
}
