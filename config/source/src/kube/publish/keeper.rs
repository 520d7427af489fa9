// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keeps the view on the disk: seldom, on another thread, and only while it is worth more than what is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::Objects;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::kube::kept::{Kept, KeptError};

/// How often the view is saved at most.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the API server has at the start until the view on the disk stands in.
const PATIENCE: Duration = Duration::from_secs(3);

/// Saves and loads, if there is a place for it.
#[derive(Debug)]
pub(super) struct Keeper {
    kept: Option<Kept>,
    /// When to load, while that has not been done.
    load_at: Option<Instant>,
    /// When to save, while there is something new.
    save_at: Option<Instant>,
    saved: Option<Instant>,
    saving: Option<oneshot::Receiver<()>>,
    failures: Counter,
}

impl Keeper {
    pub(super) fn new(kept: Option<Kept>, failures: Counter, now: Instant) -> Self {
        let load_at = kept.as_ref().map(|_| now + PATIENCE);
        Self { kept, load_at, save_at: None, saved: None, saving: None, failures }
    }

    /// When something is to be done.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.load_at.into_iter().chain(self.save_at).min()
    }

    /// The API server answered in time, so nothing need stand in for it.
    pub(super) fn need_not_load(&mut self) {
        self.load_at = None;
    }

    /// The view on the disk and its time, if it is time for it and there is one.
    pub(super) async fn load(&mut self, now: Instant) -> Option<(Objects, Timestamp)> {
        self.load_at.take_if(|load_at| *load_at <= now)?;
        let kept = self.kept.clone()?;
        match spawn_blocking(move || kept.load()).await.ok()? {
            Ok((objects, saved)) => {
                warn!(%saved, "the API server does not answer; working from the view on the disk");
                Some((objects, saved))
            }
            Err(error @ KeptError::Missing(_)) => {
                info!("the API server does not answer, and {error}");
                None
            }
            Err(error) => {
                warn!("the API server does not answer, and {error}");
                None
            }
        }
    }

    /// The view changed.
    pub(super) fn changed(&mut self, now: Instant) {
        if self.kept.is_some() && self.save_at.is_none() {
            self.save_at = Some(self.saved.map_or(now, |saved| now.max(saved + INTERVAL)));
        }
    }

    /// Saves `view`, if it is time for it and the view is worth it. What is partial or old must not replace what is not.
    pub(super) fn save(&mut self, view: &Arc<Objects>, is_worth_it: bool, now: Instant) {
        if self.save_at.take_if(|save_at| *save_at <= now).is_none() {
            return;
        }
        self.saved = Some(now);
        let is_busy = self
            .saving
            .as_mut()
            .is_some_and(|saving| saving.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        if is_busy {
            return self.changed(now);
        }
        let Some(kept) = self.kept.clone().filter(|_| is_worth_it) else { return };
        let (done, saving) = oneshot::channel();
        self.saving = Some(saving);
        let (view, failures) = (Arc::clone(view), self.failures.clone());
        spawn_blocking(move || {
            let saved = kept.save(&view, Timestamp::now());
            if let Err(error) = saved
                && failures.inc() == 0
            {
                warn!("{error}; without it this node cannot start while the API server is away");
            }
            drop(done);
        });
    }
}
