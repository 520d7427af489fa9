// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! VirtualIPs as manifests of their own, one file an address: given once, and handed out with the rest of a source.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ferrolb_config::api::VirtualIP;

use crate::state::{FOR_ALL, StateError, component, flush_parent, io_error, replace};

/// The file of the VirtualIP with that object name in the folder of a source.
///
/// # Errors
/// [`StateError::Name`] if the name cannot be a part of a path.
pub fn path(folder: &Path, name: &str) -> Result<PathBuf, StateError> {
    Ok(folder.join(format!("virtualip-{}.yaml", component(name)?)))
}

/// Writes `object` as a manifest of its own: what the file held before is replaced as a whole.
///
/// # Errors
/// The file then holds what it held before.
pub fn put(folder: &Path, object: &VirtualIP) -> Result<(), StateError> {
    let path = path(folder, object.metadata.name.as_deref().unwrap_or_default())?;
    let text =
        serde_saphyr::to_string(object).map_err(|error| StateError::Yaml { path: path.clone(), error })?;
    let text = format!("# Written by `ferrolb allocate`, which keeps what stands here.\n{text}");
    replace(&path, text.as_bytes(), FOR_ALL)
}

/// Removes the file of the VirtualIP with that name, if it is there.
///
/// # Errors
/// What the disk says; the file may then still be there.
pub fn remove(folder: &Path, name: &str) -> Result<(), StateError> {
    let path = path(folder, name)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(error)),
        Ok(()) | Err(_) => flush_parent(&path),
    }
}
