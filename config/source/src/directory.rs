// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Follows a folder of manifests and the state folder.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::reason::{Location, Reason, Refusal, Severity};
use ferrolb_config::{Object, Objects};
use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::files::{Files, LastGood, Look, Saved};
use crate::merge::{Merged, merge};
use crate::state::{CONTROLLER, NODES, OPERATOR, Role, SPEAKER_PREFIX, STATUS, StateError, VIRTUAL_IPS};

mod kept;
mod notice;

use kept::{kept_by, reads};
use notice::Notice;

/// Changes that come within this time are read together.
const GATHER: Duration = Duration::from_millis(10);
/// After a notice the folders are read once more: a folder made a moment ago is watched only from a moment later on.
const ECHO: Duration = Duration::from_millis(100);
/// How often the folders are read without any notice: machines that share a folder give none.
const RESCAN: Duration = Duration::from_secs(5);
/// The same where the kernel gives no notices at all.
const RESCAN_BLIND: Duration = Duration::from_millis(500);
/// How often a source that is not there is looked for.
const RETRY: Duration = Duration::from_millis(500);

/// Why a folder cannot be followed. The text holds the cause, so that one line in a log says it all.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// There is no such folder.
    #[error("the folder {} does not exist: create it, or correct --source", .0.display())]
    Missing(PathBuf),
    /// It is something else than a folder, or may not be read.
    #[error("cannot read the folder {path}: {error}", path = path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
    /// What is written would be read as if people had written it.
    #[error("--state {state} lies inside --source {source_folder}: choose a state folder outside of it", state = state.display(), source_folder = source_folder.display())]
    StateInsideSource {
        /// The state folder.
        state: PathBuf,
        /// The source folder.
        source_folder: PathBuf,
    },
    /// There can be no folder for what this process keeps.
    #[error(transparent)]
    State(#[from] StateError),
    /// The reading task ended early.
    #[error("the task that reads the folders ended")]
    Ended,
}

/// A folder of manifests together with a state folder.
///
/// Read are the files `*.yaml`, `*.yml` and `*.json` of the source folder itself, as `kubectl apply -f` takes them: not
/// those of folders in it, and none whose name begins with a dot. Links are followed, so a mounted ConfigMap will do.
#[derive(Debug)]
pub struct Directory {
    source: PathBuf,
    state: PathBuf,
    /// Who reads, if it is one of those that write.
    role: Option<Role>,
    source_files: Files,
    state_files: Files,
    /// Why the source itself cannot be read at the moment.
    gone: Option<Refusal>,
    foreign: BTreeSet<String>,
    /// When the objects change although no file does: when the next speaker falls silent.
    expires: Option<Instant>,
}

impl Directory {
    /// Reads both folders once. Blocks on the disk.
    ///
    /// # Errors
    /// See [`DirectoryError`]. Files that cannot be used are no error but stand in [`Objects::refused`].
    pub fn read(source: &Path, state: &Path) -> Result<Objects, DirectoryError> {
        let mut directory = Self::open(source, state, None)?;
        directory.look();
        Ok(directory.merge().objects)
    }

    /// The first VirtualIP among the manifests of `source`, if there is one. Such records were made elsewhere and are
    /// handed out with the rest, so no controller may live on this source. Blocks on the disk.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub fn first_virtual_ip(source: &Path) -> Result<Option<Location>, DirectoryError> {
        let unreadable = |error| DirectoryError::Unreadable { path: source.to_owned(), error };
        let mut files = Files::new(Saved::Anyhow, |object| object);
        files.look(&manifests(source).map_err(unreadable)?, Instant::now());
        let mut objects = files.held().flat_map(|(path, held)| held.objects.iter().map(move |it| (path, it)));
        let found = objects.find(|(_, placed)| matches!(placed.object, Object::VirtualIP(_)));
        Ok(found.map(|(path, placed)| placed.location(path)))
    }

    /// Follows both folders until the last receiver is gone. The first value is what the folders hold now; it does not
    /// come before the source folder exists, so nobody takes a folder that is not mounted yet for an empty one.
    ///
    /// With a `role`, what a manifest last held without a mistake is kept in the role's folder under the state folder, and
    /// stays in force if the process starts anew beside a manifest with mistakes.
    ///
    /// # Errors
    /// See [`DirectoryError`]; a folder that does not exist is waited for, with a line in the log.
    pub async fn watch(
        source: PathBuf,
        state: PathBuf,
        role: Option<Role>,
    ) -> Result<watch::Receiver<Arc<Objects>>, DirectoryError> {
        let mut told = false;
        let directory = loop {
            match Self::open(&source, &state, role.as_ref()) {
                Ok(directory) => break directory,
                Err(DirectoryError::Missing(path)) => {
                    if !told {
                        error!(folder = %path.display(), "the folder does not exist; waiting for it");
                        told = true;
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        };
        // Watched before it is read: what changes in between is read twice rather than missed.
        let changed = Arc::new(Notify::new());
        let root = state.clone();
        let is_read = move |path: &Path| reads(role.as_ref(), path.strip_prefix(&root).unwrap_or(path));
        let notice = Notice::new(&source, &state, is_read, Arc::clone(&changed));
        let (directory, first, look) = scan(directory).await?;
        // Where nothing was found, nothing changed.
        let (sender, receiver) = watch::channel(Arc::new(first.unwrap_or_default()));
        tokio::spawn(follow(directory, notice, changed, sender, look));
        Ok(receiver)
    }

    fn open(source: &Path, state: &Path, role: Option<&Role>) -> Result<Self, DirectoryError> {
        match fs::read_dir(source) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DirectoryError::Missing(source.to_owned()));
            }
            Err(error) => return Err(DirectoryError::Unreadable { path: source.to_owned(), error }),
        }
        for folder in [state.to_owned(), state.join(CONTROLLER), state.join(CONTROLLER).join(VIRTUAL_IPS)] {
            // One that nobody made yet holds nothing; one that may not be read must not look as if it did.
            match fs::read_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DirectoryError::Unreadable { path: folder, error });
                }
                Ok(_) | Err(_) => {}
            }
        }
        if real(state).starts_with(real(source)) {
            return Err(DirectoryError::StateInsideSource {
                state: state.to_owned(),
                source_folder: source.to_owned(),
            });
        }
        let last_good = role.map(|role| LastGood::new(state, role)).transpose()?;
        let (of_manifests, of_state) = kept_by(role);
        Ok(Self {
            source: source.to_owned(),
            state: state.to_owned(),
            role: role.cloned(),
            source_files: Files::remembered(of_manifests, last_good),
            state_files: Files::new(Saved::Whole, of_state),
            gone: None,
            foreign: BTreeSet::new(),
            expires: None,
        })
    }

    /// Reads what changed.
    fn look(&mut self) -> Look {
        let now = Instant::now();
        let mut look = self.state_files.look(&state_files(&self.state, self.role.as_ref()), now);
        let gone = match manifests(&self.source) {
            Ok(present) => {
                let source = self.source_files.look(&present, now);
                look.changed |= source.changed;
                source.again.into_iter().for_each(|after| look.again(after));
                None
            }
            Err(error) => {
                look.again(RETRY);
                Some(gone(&self.source, &error))
            }
        };
        if self.gone != gone {
            self.gone = gone;
            look.changed = true;
        }
        look
    }

    fn merge(&self) -> Merged {
        let mut merged =
            merge(self.source_files.held(), &self.state, self.state_files.held(), Timestamp::now());
        merged.objects.refused.extend(self.gone.clone());
        merged
    }

    /// Says once which kinds stand in the source that FerroLB has no use for.
    fn tell_foreign(&mut self) {
        for (path, held) in self.source_files.held() {
            for kind in &held.foreign {
                if self.foreign.insert(kind.clone()) {
                    info!(file = %path.display(), kind, "this kind is left alone");
                }
            }
        }
    }
}

/// One look on a thread that may block; the objects, if they may have changed.
async fn scan(mut directory: Directory) -> Result<(Directory, Option<Objects>, Look), DirectoryError> {
    let scanned = spawn_blocking(move || {
        let mut look = directory.look();
        let now = Instant::now();
        let objects = if look.changed || directory.expires.is_some_and(|expires| expires <= now) {
            let Merged { objects, expires } = directory.merge();
            directory.expires = expires.map(|after| now + after);
            directory.tell_foreign();
            Some(objects)
        } else {
            None
        };
        if let Some(expires) = directory.expires {
            look.again(expires.saturating_duration_since(now));
        }
        (directory, objects, look)
    });
    scanned.await.map_err(|_| DirectoryError::Ended)
}

async fn follow(
    mut directory: Directory,
    mut notice: Notice,
    changed: Arc<Notify>,
    sender: watch::Sender<Arc<Objects>>,
    mut look: Look,
) {
    tell_refused(&[], &sender.borrow().refused);
    loop {
        let idle = if notice.is_blind() { RESCAN_BLIND } else { RESCAN };
        let wait = look.again.unwrap_or(idle).min(idle);
        let noticed = tokio::select! {
            () = sender.closed() => return,
            () = changed.notified() => {
                tokio::time::sleep(GATHER).await;
                true
            }
            () = tokio::time::sleep(wait) => false,
        };
        notice.renew();
        let objects;
        (directory, objects, look) = match scan(directory).await {
            Ok(scanned) => scanned,
            Err(error) => return error!(%error, "the folders are not followed any more"),
        };
        if noticed {
            look.again(ECHO);
        }
        let before = Arc::clone(&sender.borrow());
        if let Some(objects) = objects.filter(|objects| *objects != *before) {
            tell_refused(&before.refused, &objects.refused);
            sender.send_replace(Arc::new(objects));
        }
    }
}

fn tell_refused(before: &[Refusal], now: &[Refusal]) {
    for refusal in now.iter().filter(|refusal| !before.contains(refusal)) {
        warn!("{refusal}");
    }
}

/// The manifests of a folder.
fn manifests(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let manifest = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if manifest && !hidden && !path.is_dir() {
            found.insert(path);
        }
    }
    Ok(found)
}

/// The files that our writers make; a part of the state folder that is not there yet holds none.
fn state_files(state: &Path, role: Option<&Role>) -> BTreeSet<PathBuf> {
    let controller = state.join(CONTROLLER);
    let status = controller.join(STATUS);
    let operator = state.join(OPERATOR);
    let mut folders = vec![controller.join(VIRTUAL_IPS), operator.join(VIRTUAL_IPS), operator.join(NODES)];
    folders.extend(below(&status));
    folders.extend(below(state).into_iter().filter(|folder| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SPEAKER_PREFIX))
    }));
    folders.retain(|folder| reads(role, folder.strip_prefix(state).unwrap_or(folder)));
    folders.iter().flat_map(|folder| manifests(folder).unwrap_or_default()).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}

fn gone(source: &Path, error: &io::Error) -> Refusal {
    Refusal {
        object: None,
        reason: Reason::NotFound,
        severity: Severity::Error,
        field: None,
        message: format!("the folder cannot be read: {error}"),
        remedy: Some("Bring it back; what it held stays in force.".to_owned()),
        location: Some(Location { file: source.to_owned(), line: 0, column: 0 }),
    }
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        (Err(_), ..) => path,
    }
}

#[cfg(test)]
mod tests;
