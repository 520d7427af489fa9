// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A named network namespace, and work done inside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::shell;

/// A network namespace under `/run/netns`. Cloning it gives another handle to the same one; [`crate::Lab`] removes it.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
    handle: Arc<File>,
}

impl Namespace {
    /// Opens one that exists.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn open(name: &str) -> Result<Self> {
        let path = folder().join(name);
        let handle =
            File::open(&path).with_context(|| format!("opening the network namespace {}", path.display()))?;
        Ok(Self { name: name.to_owned(), handle: Arc::new(handle) })
    }

    /// The full name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it. A process started by `work` is inside as well.
    ///
    /// # Errors
    /// What `work` returns, or that the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let worker = thread::Builder::new().name(self.name.clone()).spawn_scoped(scope, || {
                self.enter()?;
                work()
            })?;
            worker.join().map_err(|_| anyhow!("a thread in the namespace {} panicked", self.name))?
        })
    }

    /// Starts a thread inside the namespace that goes on by itself.
    ///
    /// # Errors
    /// The thread cannot be started. That it could not enter the namespace is the thread's own result.
    pub fn start<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<thread::JoinHandle<Result<T>>> {
        let namespace = self.clone();
        let builder = thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024);
        let started = builder.spawn(move || {
            namespace.enter()?;
            work()
        });
        started.with_context(|| format!("starting the thread {name}"))
    }

    /// Runs lines of `ip -batch` inside the namespace.
    ///
    /// # Errors
    /// A line is refused.
    pub fn ip(&self, lines: &str) -> Result<()> {
        shell::feed("ip", &["-n", &self.name, "-batch", "-"], lines)
            .map(drop)
            .with_context(|| format!("setting up the network of {}", self.name))
    }

    /// Loads an nftables script inside the namespace.
    pub(crate) fn nft(&self, script: &str) -> Result<()> {
        self.run(|| shell::feed("nft", &["-f", "-"], script).map(drop))
            .with_context(|| format!("loading nftables rules in {}", self.name))
    }

    /// Writes `/proc/sys/net/<key>` for this namespace. A key that this kernel does not have is passed over.
    pub(crate) fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run(|| {
            for (key, value) in settings {
                let path = Path::new("/proc/sys/net").join(key);
                match fs::write(&path, value) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    written => written.with_context(|| format!("writing {value} to {}", path.display()))?,
                }
            }
            Ok(())
        })
    }

    pub(crate) fn enter(&self) -> Result<()> {
        setns(&*self.handle, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("entering the network namespace {}", self.name))
    }
}

/// Where iproute2 keeps the handles of named namespaces.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from("/run/netns")
}
