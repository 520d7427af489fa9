// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two speakers of one node at once, as an update with `maxSurge` makes them: the second waits for the end of the first.
//!
//! Both would have the node's hellos, its rules in the kernel and its port to themselves, and the first one's farewell
//! would give the second one's rules a lifetime. So who holds the folder in the node's state folder acts; the kernel gives it
//! to the next when the process ends, however it ends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ferrolb_source::{Role, StateError, StateWriter};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

/// How often the second looks whether the first has ended.
const LOOK: Duration = Duration::from_millis(100);

/// The right to act for a node, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Turn {
    _folder: Option<StateWriter>,
}

impl Turn {
    /// Waits until no other process holds the right for `node` in the folder `state`. A folder that cannot be written is no
    /// reason to carry no address: then nobody waits for anybody.
    ///
    /// # Errors
    /// The task that opens the folder failed.
    pub(crate) async fn wait(state: &Path, node: &str) -> anyhow::Result<Self> {
        let mut told = false;
        loop {
            let (folder, role) = (state.to_owned(), Role::Speaker(node.to_owned()));
            let opened = spawn_blocking(move || StateWriter::open(&folder, &role)).await;
            match opened.context("the task that opens the state folder failed")? {
                Ok(folder) => return Ok(Self { _folder: Some(folder) }),
                Err(StateError::InUse(_)) if told => {}
                Err(StateError::InUse(folder)) => {
                    told = true;
                    let folder = folder.display().to_string();
                    info!(node, folder, "another speaker of this node runs: waiting for its end");
                }
                Err(error) => {
                    warn!(%error, "cannot tell whether another speaker of this node runs; going on");
                    return Ok(Self { _folder: None });
                }
            }
            sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_second_speaker_of_a_node_waits_for_the_first_and_another_nodes_does_not() {
        let state = tempfile::tempdir().expect("room on the disk");
        let first = Turn::wait(state.path(), "n1").await.expect("nobody was there");
        let _other = Turn::wait(state.path(), "n2").await.expect("another node");
        let second = Turn::wait(state.path(), "n1");
        tokio::pin!(second);
        assert!(timeout(LOOK * 3, &mut second).await.is_err(), "the first still runs");
        drop(first);
        timeout(LOOK * 100, second).await.expect("soon").expect("its turn");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_keeps_nobody_from_acting() {
        let state = tempfile::NamedTempFile::new().expect("room on the disk");
        let turn = Turn::wait(state.path(), "n1").await.expect("no failure");
        assert!(turn._folder.is_none());
    }
}
