// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where a speaker answers who asks on its machine: a socket in its part of the state folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::state::{Role, SPEAKER_PREFIX, StateError, io_error};

/// The socket's file.
const SOCKET: &str = "routes.sock";

/// Where the speaker of `node` answers.
///
/// # Errors
/// The name cannot be part of a path.
pub fn socket(state: &Path, node: &str) -> Result<PathBuf, StateError> {
    Ok(state.join(Role::Speaker(node.to_owned()).folder()?).join(SOCKET))
}

/// Where speakers answer, or answered before they ended, with the names of their nodes.
///
/// # Errors
/// The folder cannot be read.
pub fn sockets(state: &Path) -> Result<Vec<(String, PathBuf)>, StateError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state).map_err(io_error("list", state))? {
        let entry = entry.map_err(io_error("list", state))?;
        let name = entry.file_name();
        let node = name.to_str().and_then(|name| name.strip_prefix(SPEAKER_PREFIX));
        let socket = entry.path().join(SOCKET);
        if let Some(node) = node.filter(|_| socket.exists()) {
            found.push((node.to_owned(), socket));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_finds_the_sockets_of_all_nodes() {
        let state = tempfile::tempdir().unwrap();
        for node in ["n2", "n1"] {
            let socket = socket(state.path(), node).unwrap();
            fs::create_dir_all(socket.parent().unwrap()).unwrap();
            fs::write(socket, "").unwrap();
        }
        fs::create_dir(state.path().join("speaker-n3")).unwrap();
        fs::create_dir(state.path().join("controller")).unwrap();
        let nodes: Vec<String> = sockets(state.path()).unwrap().into_iter().map(|(node, _)| node).collect();
        assert_eq!(nodes, ["n1", "n2"]);
        assert!(sockets(&state.path().join("nowhere")).is_err());
        assert!(socket(state.path(), "../n1").is_err());
    }
}
