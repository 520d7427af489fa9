// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Writes this node's part of the state folder, when something changed and as a heartbeat.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::api::{Speaker, SpeakerSpec, SpeakerStatus, VirtualIP};
use ferrolb_source::{StateError, StateFile, StateWriter};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::warn;

use super::{Desk, GATHER};
use crate::layer2::Ended;
use crate::report::{Length, Report};

/// A speaker that has not written for three of these counts as dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What takes long to write is written more seldom: at most one part in this many of the time.
const SHARE: u32 = 10;

/// The writer of this node's part of the state.
pub(crate) struct Directory {
    desk: Desk,
    view: watch::Receiver<Arc<Objects>>,
    state: Arc<Mutex<StateWriter>>,
    written: Option<Report>,
}

impl Directory {
    pub(crate) fn new(desk: Desk, view: watch::Receiver<Arc<Objects>>, state: StateWriter) -> Self {
        Self { desk, view, state: Arc::new(Mutex::new(state)), written: None }
    }

    /// Writes until dropped.
    ///
    /// # Errors
    /// The layer-2 thread, or another part that reports are made of, has ended.
    pub(crate) async fn run(&mut self) -> Result<Infallible, Ended> {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                changed = self.desk.changed() => {
                    changed?;
                    sleep(GATHER).await;
                    false
                }
                _ = heartbeat.tick() => true,
            };
            let begun = Instant::now();
            self.write(due, false).await;
            // Thousands of addresses take a while to write, and in a failover they change all the time.
            sleep(begun.elapsed() * SHARE).await;
        }
    }

    /// Writes the last report of a speaker that ends.
    pub(crate) async fn finish(&mut self) {
        self.write(true, true).await;
    }

    async fn write(&mut self, heartbeat: bool, stopping: bool) {
        let now = Timestamp::now();
        let report = self.desk.report(now, stopping, Length::Whole);
        let before = self.written.as_ref();
        let owned = before.is_none_or(|before| before.tells_of_others(&report));
        if !heartbeat && before.is_some_and(|before| !report.differs_from(before)) {
            return;
        }
        let speaker = speaker(&self.desk.about.node, report.speaker.clone(), now);
        let virtual_ips = owned.then(|| report.virtual_ips(&self.view.borrow(), now));
        let state = Arc::clone(&self.state);
        let written = spawn_blocking(move || write(&state, &speaker, virtual_ips.as_deref())).await;
        match written {
            Ok(Ok(())) => self.written = Some(report),
            Ok(Err(error)) => warn!(%error, "cannot write the status; trying again"),
            Err(error) => warn!(%error, "the task that writes the status failed; trying again"),
        }
    }
}

fn write(
    state: &Mutex<StateWriter>,
    speaker: &Speaker,
    virtual_ips: Option<&[VirtualIP]>,
) -> Result<(), StateError> {
    // A panic while writing leaves files that are whole: the next write is as good as any.
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(virtual_ips) = virtual_ips {
        state.put(&StateFile::Owned, virtual_ips)?;
    }
    state.put(&StateFile::Speaker, &[speaker])?;
    Ok(())
}

fn speaker(node: &str, status: SpeakerStatus, now: Timestamp) -> Speaker {
    let mut object = Speaker::new(node, SpeakerSpec {});
    object.status = Some(SpeakerStatus { heartbeat: Some(Time(now)), ..status });
    object
}
