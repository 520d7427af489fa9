// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A thread in a namespace that works until it is told to finish and then hands in its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::Namespace;

/// How long a thread may take until it is ready: an instant, but for machines on which many labs begin and end at once.
const START: Duration = Duration::from_secs(60);

/// A running thread.
#[derive(Debug)]
pub(crate) struct Task<T> {
    running: Running,
    thread: Option<JoinHandle<Result<T>>>,
}

/// Tells the thread whether to go on. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct Running(Arc<AtomicBool>);

impl Running {
    /// Whether to go on.
    pub(crate) fn go_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// By which the thread says that it is under way.
#[derive(Debug)]
pub(crate) struct Ready(SyncSender<()>);

impl Ready {
    /// The thread is under way.
    pub(crate) fn ready(self) {
        // Only a starter that gave up has stopped listening, and it has said so by then.
        self.0.send(()).ok();
    }
}

impl<T: Send + 'static> Task<T> {
    /// Starts `work` inside `namespace` and waits until it is ready.
    pub(crate) fn start(
        namespace: &Namespace,
        name: &str,
        work: impl FnOnce(Running, Ready) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let running = Running(Arc::new(AtomicBool::new(true)));
        let (sender, receiver) = sync_channel(1);
        let signal = running.clone();
        let thread = namespace.start(name, move || work(signal, Ready(sender)))?;
        let mut task = Self { running, thread: Some(thread) };
        match receiver.recv_timeout(START) {
            Ok(()) => Ok(task),
            Err(RecvTimeoutError::Disconnected) => match task.join() {
                Ok(_) => bail!("{name} ended before it was ready"),
                Err(error) => Err(error.context(format!("starting {name}"))),
            },
            Err(RecvTimeoutError::Timeout) => bail!("{name} was not ready within {START:?}"),
        }
    }

    /// Tells the thread to finish and returns what it hands in.
    pub(crate) fn finish(mut self) -> Result<T> {
        self.join()
    }

    fn join(&mut self) -> Result<T> {
        self.running.0.store(false, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| anyhow!("this thread was already waited for"))?;
        thread.join().map_err(|_| anyhow!("a thread of the lab panicked"))?
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.running.0.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("lab: a thread panicked");
        }
    }
}
