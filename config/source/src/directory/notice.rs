// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kernel's notices that a folder changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::warn;

/// Watches the source and the state folder, and calls on change. Without the kernel's help it does nothing but say so.
#[derive(Debug)]
pub(super) struct Notice {
    watcher: Option<RecommendedWatcher>,
    watched: [Watched; 2],
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    mode: RecursiveMode,
    /// The folder that is watched: another one under the same name is watched anew.
    inode: Option<(u64, u64)>,
    told: bool,
}

impl Notice {
    /// Watches from now on. Changes of paths that are not read call nobody.
    pub(super) fn new(
        source: &Path,
        state: &Path,
        is_read: impl Fn(&Path) -> bool + Send + 'static,
        changed: Arc<Notify>,
    ) -> Self {
        // The speaker and the controller make their folders in it; without it there is nothing to watch yet.
        if let Err(error) = fs::create_dir_all(state) {
            warn!(folder = %state.display(), %error, "cannot create the state folder");
        }
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that notices were lost.
            // One without a path says that notices were lost.
            let is_read = |paths: &[PathBuf]| paths.is_empty() || paths.iter().any(|path| is_read(path));
            let concerns = |event: Event| is_change(&event.kind) && is_read(&event.paths);
            if event.map_or(true, concerns) {
                changed.notify_one();
            }
        });
        let watcher = watcher.inspect_err(|error| {
            warn!(%error, "the kernel gives no notice of changed files, so they are looked for every half second; raise fs.inotify.max_user_instances");
        });
        let watched = |path: &Path, mode| Watched { path: path.to_owned(), mode, inode: None, told: false };
        let watched =
            [watched(source, RecursiveMode::NonRecursive), watched(state, RecursiveMode::Recursive)];
        let mut notice = Self { watcher: watcher.ok(), watched };
        notice.renew();
        notice
    }

    /// Whether some folder is not watched.
    pub(super) fn is_blind(&self) -> bool {
        self.watched.iter().any(|watched| watched.inode.is_none())
    }

    /// Watches folders that came, or came again.
    pub(super) fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for watched in &mut self.watched {
            let inode = fs::metadata(&watched.path).ok().map(|folder| (folder.dev(), folder.ino()));
            if inode == watched.inode {
                continue;
            }
            if watched.inode.take().is_some() {
                // The old folder is gone, and with it mostly the watch.
                let _ = watcher.unwatch(&watched.path);
            }
            if inode.is_none() {
                continue;
            }
            match watcher.watch(&watched.path, watched.mode) {
                Ok(()) => watched.inode = inode,
                Err(error) if !watched.told => {
                    watched.told = true;
                    warn!(folder = %watched.path.display(), %error, "the kernel gives no notice of changes here, so they are looked for every half second; raise fs.inotify.max_user_watches");
                }
                Err(_) => {}
            }
        }
    }
}

/// Whether a file may have other content now. Our own reading causes notices too, and must not call us again.
fn is_change(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}
