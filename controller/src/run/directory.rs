// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The driver on a folder of manifests: writes go to the state folder, one by one.

mod pass;
mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ferrolb_config::{ObjectRef, Objects};
use ferrolb_source::{Directory, Role, StateWriter};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::stopped;
use crate::apply::Write;
use pass::{Passed, Worker};

/// The shortest time from the start of one pass to the start of the next.
const PACE: Duration = Duration::from_millis(20);
/// How long a write of ours may take until the source shows it; longer than the rescan of a source without notices.
const ECHO: Duration = Duration::from_secs(6);
/// How long to wait after a first failed write, and at most after many.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Runs the controller on a folder of manifests until `shutdown` holds `true` or its sender is gone.
///
/// # Errors
/// When the source folder cannot be followed or holds VirtualIPs of its own, and when the state folder cannot be
/// opened, for instance because another controller lives on it. A write that fails later is logged and tried again.
pub async fn run(source: PathBuf, state: PathBuf, mut shutdown: watch::Receiver<bool>) -> anyhow::Result<()> {
    let objects = tokio::select! {
        objects = Directory::watch(source.clone(), state.clone(), Some(Role::Controller)) => objects?,
        () = stopped(&mut shutdown) => return Ok(()),
    };
    if let Some(place) = Directory::first_virtual_ip(&source)? {
        bail!(
            "{place} holds a VirtualIP: the addresses of this source were given elsewhere and are handed out with it; \
             run only the speaker here, or take the VirtualIPs out of {}",
            source.display()
        );
    }
    let writer = StateWriter::open(&state, &Role::Controller).context("cannot open the state folder")?;
    let worker = Worker::new(writer).context("cannot read the state folder")?;
    info!(source = %source.display(), state = %state.display(), "the controller is running");
    follow(worker, objects, shutdown).await
}

async fn follow(
    mut worker: Worker,
    mut objects: watch::Receiver<Arc<Objects>>,
    mut shutdown: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut echo = Echo::default();
    let mut retry: Option<(Instant, Duration)> = None;
    loop {
        let current = Arc::clone(&objects.borrow_and_update());
        let start = Instant::now();
        let mut next = start;
        if echo.is_over(&current, start) {
            let passed;
            (worker, passed) = pass(worker, current, &mut shutdown).await?;
            echo = Echo::of(passed.done, Instant::now());
            retry = match (passed.is_complete, retry) {
                (true, _) => None,
                (false, None) => Some((Instant::now() + RETRY.0, RETRY.0)),
                (false, Some((_, last))) => {
                    let wait = (last * 2).min(RETRY.1);
                    Some((Instant::now() + wait, wait))
                }
            };
            next = start + PACE;
        }
        let wake = [echo.until(), retry.map(|(at, _)| at)].into_iter().flatten().min();
        tokio::select! {
            changed = objects.changed() => changed.context("the source is not followed any more")?,
            () = sleep_until(wake.unwrap_or(start)), if wake.is_some() => {}
            () = stopped(&mut shutdown) => return Ok(()),
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = stopped(&mut shutdown) => return Ok(()),
        }
    }
}

/// One pass, on a thread that may block on the disk. A shutdown ends it between two writes.
async fn pass(
    mut worker: Worker,
    objects: Arc<Objects>,
    shutdown: &mut watch::Receiver<bool>,
) -> anyhow::Result<(Worker, Passed)> {
    let shutdown = shutdown.clone();
    let passed = tokio::task::spawn_blocking(move || {
        let passed = worker.pass(&objects, || *shutdown.borrow() || shutdown.has_changed().is_err());
        (worker, passed)
    });
    passed.await.context("the planning thread ended")
}

/// Our own last writes, until the source shows them. A view without them is older than they are, and a plan made from
/// it would give their addresses away once more.
#[derive(Default)]
struct Echo {
    missing: BTreeMap<ObjectRef, Write>,
    until: Option<Instant>,
}

impl Echo {
    fn of(done: Vec<Write>, now: Instant) -> Self {
        // Of two writes to one object only the last one shows.
        let missing: BTreeMap<_, _> = done.into_iter().map(|write| (write.object(), write)).collect();
        let until = (!missing.is_empty()).then_some(now + ECHO);
        Self { missing, until }
    }

    fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether everything shows in `objects`, or nobody can wait for it any longer.
    fn is_over(&mut self, objects: &Objects, now: Instant) -> bool {
        self.missing.retain(|_, write| !write.is_visible_in(objects));
        if let Some((object, _)) = self.missing.first_key_value() {
            if self.until.is_some_and(|until| now < until) {
                return false;
            }
            warn!(%object, "the source does not show what was written; somebody else may have changed it");
        }
        true
    }
}

#[cfg(test)]
mod tests;
