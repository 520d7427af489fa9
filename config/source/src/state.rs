// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What was decided and observed, written as objects under the state folder: one writer a file.
//!
//! ```text
//! STATE/controller/virtualips/192.0.2.10.yaml            VirtualIP
//! STATE/controller/status/services/default_web.yaml      Service, its status
//! STATE/controller/status/addresspools/public.yaml       AddressPool, its status
//! STATE/speaker-n1/speaker.yaml                          Speaker
//! STATE/speaker-n1/virtualips.yaml                       VirtualIPs that n1 carries, their status
//! STATE/speaker-n1/manifests/web.yaml                    what n1 last read in web.yaml that held no mistake
//! STATE/operator/virtualips/192.0.2.10.yaml              VirtualIP whose annotation asks its owner to hand it over
//! STATE/operator/nodes/n1.yaml                           Node whose annotation says that it is drained
//! ```
//!
//! A file is replaced as a whole: written beside, flushed to the disk, renamed. Whatever moment the process is killed
//! at, a reader finds the old content or the new. All calls block on the disk; call them off the runtime's threads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

/// The name of the file whose lock says that a writer lives. Hidden, so no reader takes it for an object.
const LOCK: &str = ".lock";

/// The mode of files that everybody may read, as `ferrolb status` does.
pub(crate) const FOR_ALL: u32 = 0o644;

/// The folders of the tree above, for those who read it.
pub(crate) const CONTROLLER: &str = "controller";
pub(crate) const SPEAKER_PREFIX: &str = "speaker-";
pub(crate) const VIRTUAL_IPS: &str = "virtualips";
pub(crate) const STATUS: &str = "status";
pub(crate) const OPERATOR: &str = "operator";
pub(crate) const NODES: &str = "nodes";

/// Who writes; each role has a folder of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The controller.
    Controller,
    /// The speaker of the node with this name.
    Speaker(String),
    /// Whoever asks for something by a command: for as long as the command writes.
    Operator,
}

impl Role {
    /// The role's folder under the state folder.
    pub(crate) fn folder(&self) -> Result<String, StateError> {
        match self {
            Self::Controller => Ok(CONTROLLER.to_owned()),
            Self::Speaker(node) => Ok(format!("{SPEAKER_PREFIX}{}", component(node)?)),
            Self::Operator => Ok(OPERATOR.to_owned()),
        }
    }
}

/// A file in the writer's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateFile {
    /// The VirtualIP of this object name.
    VirtualIp(String),
    /// The status of an object of the plural `resource`, `services` or `addresspools`.
    Status {
        /// The resource's plural name.
        resource: String,
        /// `None` for a cluster-scoped object.
        namespace: Option<String>,
        /// The object's name.
        name: String,
    },
    /// The Speaker object of the writer's node.
    Speaker,
    /// The VirtualIPs that the writer's node carries.
    Owned,
    /// The Node of this name, with what an operator asks of it.
    Node(String),
}

impl StateFile {
    fn path(&self) -> Result<PathBuf, StateError> {
        Ok(match self {
            Self::VirtualIp(name) => Path::new(VIRTUAL_IPS).join(format!("{}.yaml", component(name)?)),
            // No Kubernetes name has an underscore, so the two parts cannot run into each other.
            Self::Status { resource, namespace, name } => {
                let folder = Path::new(STATUS).join(component(resource)?);
                match namespace {
                    Some(namespace) => {
                        folder.join(format!("{}_{}.yaml", component(namespace)?, component(name)?))
                    }
                    None => folder.join(format!("{}.yaml", component(name)?)),
                }
            }
            Self::Speaker => PathBuf::from("speaker.yaml"),
            Self::Owned => PathBuf::from("virtualips.yaml"),
            Self::Node(name) => Path::new(NODES).join(format!("{}.yaml", component(name)?)),
        })
    }
}

/// A name that may stand in a path: it comes from an object, and an object may come from anybody.
pub(crate) fn component(name: &str) -> Result<&str, StateError> {
    let harmless = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if harmless { Ok(name) } else { Err(StateError::Name(name.to_owned())) }
}

/// Why the state could not be written. The text holds the cause, so that one line in a log says it all.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process writes here.
    #[error("{0} is in use by another ferrolb process; stop that one, or choose another --state")]
    InUse(PathBuf),
    /// A name that cannot be part of a path.
    #[error("{0:?} cannot be the name of a file")]
    Name(String),
    /// The object has no YAML form.
    #[error("cannot write {path} as YAML: {error}")]
    Yaml {
        /// The file that was to be written.
        path: PathBuf,
        /// What the serialiser says.
        error: serde_saphyr::ser::Error,
    },
    /// The disk refused.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the kernel says.
        error: io::Error,
    },
}

/// What [`StateWriter::put`] and [`StateWriter::delete`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The disk holds something else than before.
    Changed,
    /// It was so already; nothing was touched.
    Unchanged,
}

/// The only writer of one folder under the state folder, as long as it lives.
#[derive(Debug)]
pub struct StateWriter {
    folder: PathBuf,
    /// The kernel takes the lock back when the process ends, however it ends.
    _lock: File,
}

impl StateWriter {
    /// Opens `role`'s folder under `state`, makes it where it is missing (mode 0700 is left to the umask of
    /// `state` itself) and removes half-written files of a process that was killed.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another process holds the folder, else what the disk says.
    pub fn open(state: &Path, role: &Role) -> Result<Self, StateError> {
        let folder = state.join(role.folder()?);
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let lock_path = folder.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StateError::InUse(folder)),
            Err(fs::TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
        }
        remove_half_written(&folder)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Makes `file` hold exactly `objects`, a YAML document each.
    ///
    /// # Errors
    /// The file then holds what it held before.
    pub fn put<T: Serialize>(&self, file: &StateFile, objects: &[T]) -> Result<Written, StateError> {
        let path = self.folder.join(file.path()?);
        let mut text = String::new();
        for (position, object) in objects.iter().enumerate() {
            if position > 0 {
                text.push_str("---\n");
            }
            let document = serde_saphyr::to_string(object)
                .map_err(|error| StateError::Yaml { path: path.clone(), error })?;
            text.push_str(&document);
        }
        if fs::read(&path).is_ok_and(|held| held == text.as_bytes()) {
            return Ok(Written::Unchanged);
        }
        replace(&path, text.as_bytes(), FOR_ALL)?;
        Ok(Written::Changed)
    }

    /// Removes `file`, if it is there.
    ///
    /// # Errors
    /// What the disk says; the file may then still be there.
    pub fn delete(&self, file: &StateFile) -> Result<Written, StateError> {
        let path = self.folder.join(file.path()?);
        match fs::remove_file(&path) {
            Ok(()) => {
                flush_parent(&path)?;
                Ok(Written::Changed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Written::Unchanged),
            Err(error) => Err(io_error("remove", &path)(error)),
        }
    }
}

impl StateWriter {
    /// The statuses that the folder holds, also those that a predecessor wrote.
    ///
    /// # Errors
    /// What the disk says.
    pub fn statuses(&self) -> Result<Vec<StateFile>, StateError> {
        let mut found = Vec::new();
        let status = self.folder.join(STATUS);
        for folder in entries(&status)? {
            for file in entries(&folder)? {
                let resource = folder.file_name().map(|name| name.to_string_lossy().into_owned());
                let stem =
                    file.file_name().and_then(|name| Some(name.to_str()?.strip_suffix(".yaml")?.to_owned()));
                let (Some(resource), Some(stem)) = (resource, stem) else { continue };
                let (namespace, name) = match stem.split_once('_') {
                    Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
                    None => (None, stem),
                };
                found.push(StateFile::Status { resource, namespace, name });
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// What a folder holds; nothing when it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
            .map_err(io_error("list", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("list", folder)(error)),
    }
}

/// Replaces the content of `path`: a crash at any point leaves the old content or the new one. `mode` is the new file's, less
/// the umask.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), StateError> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    let beside = half_written(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The disk is full, most likely: what was begun takes room that the next try needs.
        return Err(match fs::remove_file(&beside) {
            Ok(()) => io_error("write", path)(error),
            Err(again) => io_error("write, or even remove what was begun of,", path)(again),
        });
    }
    fs::rename(&beside, path).map_err(io_error("replace", path))?;
    flush_parent(path)
}

/// A rename or removal is on the disk once its folder is.
pub(crate) fn flush_parent(path: &Path) -> Result<(), StateError> {
    let parent = parent(path);
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(io_error("flush", parent))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Where the new content of `path` is written first: hidden, so no reader takes it for an object.
fn half_written(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn remove_half_written(folder: &Path) -> Result<(), StateError> {
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let entry = entry.map_err(io_error("list", folder))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type().map_err(io_error("look at", &path))?.is_dir() {
            remove_half_written(&path)?;
        } else if name.starts_with('.') && name.ends_with(".new") {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io { action, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> StateFile {
        StateFile::VirtualIp(name.to_owned())
    }

    #[test]
    fn what_was_put_is_there_and_is_not_written_twice() {
        let state = tempfile::tempdir().unwrap();
        let writer = StateWriter::open(state.path(), &Role::Controller).unwrap();
        let file = address("192.0.2.10");
        assert_eq!(writer.put(&file, &["one", "two"]).unwrap(), Written::Changed);
        assert_eq!(writer.put(&file, &["one", "two"]).unwrap(), Written::Unchanged);
        let text = fs::read_to_string(state.path().join("controller/virtualips/192.0.2.10.yaml")).unwrap();
        assert_eq!(text, "one\n---\ntwo\n");
        assert_eq!(writer.delete(&file).unwrap(), Written::Changed);
        assert_eq!(writer.delete(&file).unwrap(), Written::Unchanged);
    }

    #[test]
    fn a_second_writer_of_one_role_is_refused_until_the_first_is_gone() {
        let state = tempfile::tempdir().unwrap();
        let first = StateWriter::open(state.path(), &Role::Controller).unwrap();
        let error = StateWriter::open(state.path(), &Role::Controller).unwrap_err();
        assert!(matches!(error, StateError::InUse(_)), "{error}");
        StateWriter::open(state.path(), &Role::Speaker("n1".to_owned())).unwrap();
        drop(first);
        StateWriter::open(state.path(), &Role::Controller).unwrap();
    }

    #[test]
    fn what_a_killed_writer_left_half_written_is_removed_at_the_next_start() {
        let state = tempfile::tempdir().unwrap();
        let writer = StateWriter::open(state.path(), &Role::Controller).unwrap();
        writer.put(&address("192.0.2.10"), &["whole"]).unwrap();
        drop(writer);
        let folder = state.path().join("controller/virtualips");
        fs::write(folder.join(".192.0.2.11.yaml.new"), "hal").unwrap();
        StateWriter::open(state.path(), &Role::Controller).unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["192.0.2.10.yaml"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let state = tempfile::tempdir().unwrap();
        let writer = StateWriter::open(state.path(), &Role::Controller).unwrap();
        let file = address("192.0.2.10");
        writer.put(&file, &["old"]).unwrap();
        // A folder stands where the new content would be written first, so not even root can write it.
        let path = state.path().join("controller/virtualips/192.0.2.10.yaml");
        fs::create_dir(half_written(&path)).unwrap();
        let error = writer.put(&file, &["new"]).unwrap_err();
        assert!(error.to_string().contains("192.0.2.10.yaml"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
    }

    #[test]
    fn the_statuses_of_a_predecessor_are_listed() {
        let state = tempfile::tempdir().unwrap();
        let writer = StateWriter::open(state.path(), &Role::Controller).unwrap();
        assert_eq!(writer.statuses().unwrap(), []);
        let status = |resource: &str, namespace: Option<&str>, name: &str| StateFile::Status {
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        let files = [status("addresspools", None, "web"), status("services", Some("shop"), "web")];
        for file in &files {
            writer.put(file, &["x"]).unwrap();
        }
        writer.put(&address("192.0.2.10"), &["x"]).unwrap();
        assert_eq!(writer.statuses().unwrap(), files);
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let state = tempfile::tempdir().unwrap();
        for name in ["../outside", "a/b", ".hidden", ""] {
            let error = StateWriter::open(state.path(), &Role::Speaker(name.to_owned())).unwrap_err();
            assert!(matches!(error, StateError::Name(_)), "{name}: {error}");
        }
        let writer = StateWriter::open(state.path(), &Role::Controller).unwrap();
        assert!(writer.put(&address("../../x"), &["x"]).is_err());
    }
}
