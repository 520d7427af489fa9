// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Writes the report aside, when something changed and as a heartbeat; a failover never waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrolb_config::api::{Speaker, SpeakerSpec, SpeakerStatus, VirtualIP};
use ferrolb_config::reason::Reason;
use ferrolb_layer2::NodeId;
use ferrolb_source::{StateError, StateFile, StateWriter};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::warn;

use crate::datapath;
use crate::intent::Intent;
use crate::kernel::links::Links;
use crate::kernel::priority::Shortcoming;
use crate::layer2::{Ended, Observed, Refusals};
use crate::names::Names;
use crate::report::{Report, Reporter, Scene};

/// A speaker that has not written for three of these counts as dead.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Changes that come within this time are written together.
const GATHER: Duration = Duration::from_millis(100);

/// What the objects say, as far as reports need it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) names: Names,
    pub(crate) virtual_ips: BTreeMap<IpAddr, Arc<VirtualIP>>,
    /// Addresses that this node may carry.
    candidate: BTreeSet<IpAddr>,
    /// Addresses that it may not carry, and why.
    refused: BTreeMap<IpAddr, String>,
}

impl Known {
    pub(crate) fn new(names: Names, virtual_ips: BTreeMap<IpAddr, Arc<VirtualIP>>, intent: &Intent) -> Self {
        let mut known = Self { names, virtual_ips, ..Self::default() };
        for (address, vip) in &intent.vips {
            match &vip.here {
                Ok(()) => drop(known.candidate.insert(*address)),
                Err(obstacle) => {
                    drop(known.refused.insert(*address, told(obstacle.reason, &obstacle.message)));
                }
            }
        }
        known
    }
}

/// Counts of what happened since the start, by name.
pub(crate) type Happened = BTreeMap<&'static str, u64>;

/// Everything that a report is made of, as it becomes.
pub(crate) struct Sources {
    pub(crate) known: watch::Receiver<Arc<Known>>,
    pub(crate) layer2: watch::Receiver<Arc<Observed>>,
    pub(crate) data_path: watch::Receiver<datapath::Observed>,
    pub(crate) links: watch::Receiver<Arc<Links>>,
    pub(crate) refusals: watch::Receiver<Refusals>,
    pub(crate) happened: watch::Receiver<Happened>,
}

/// What about this speaker never changes.
pub(crate) struct About {
    pub(crate) node: String,
    pub(crate) id: NodeId,
    pub(crate) default_key: bool,
    pub(crate) shortcomings: Vec<Shortcoming>,
}

/// The writer of this node's part of the state.
pub(crate) struct Status {
    about: About,
    sources: Sources,
    state: Arc<Mutex<StateWriter>>,
    reporter: Reporter,
    written: Option<Report>,
}

impl Status {
    pub(crate) fn new(about: About, sources: Sources, state: StateWriter) -> Self {
        let reporter = Reporter::new(Timestamp::now());
        Self { about, sources, state: Arc::new(Mutex::new(state)), reporter, written: None }
    }

    /// Writes until dropped.
    ///
    /// # Errors
    /// The layer-2 thread, or another part that reports are made of, has ended.
    pub(crate) async fn run(&mut self) -> Result<std::convert::Infallible, Ended> {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                changed = self.sources.changed() => {
                    changed?;
                    sleep(GATHER).await;
                    false
                }
                _ = heartbeat.tick() => true,
            };
            self.write(due, false).await;
        }
    }

    /// Writes the last report of a speaker that ends.
    pub(crate) async fn finish(&mut self) {
        self.write(true, true).await;
    }

    async fn write(&mut self, heartbeat: bool, stopping: bool) {
        let now = Timestamp::now();
        let report = self.report(now, stopping);
        let before = self.written.as_ref();
        let owned = before.is_none_or(|before| before.owned != report.owned);
        if !heartbeat && before.is_some_and(|before| !report.differs_from(before)) {
            return;
        }
        let speaker = speaker(&self.about.node, report.speaker.clone(), now);
        let virtual_ips = owned.then(|| report.owned.clone());
        let state = Arc::clone(&self.state);
        let written = spawn_blocking(move || write(&state, &speaker, virtual_ips.as_deref())).await;
        match written {
            Ok(Ok(())) => self.written = Some(report),
            Ok(Err(error)) => warn!(%error, "cannot write the status; trying again"),
            Err(error) => warn!(%error, "the task that writes the status failed; trying again"),
        }
    }

    fn report(&mut self, now: Timestamp, stopping: bool) -> Report {
        let sources = &mut self.sources;
        let known = Arc::clone(&sources.known.borrow_and_update());
        let layer2 = Arc::clone(&sources.layer2.borrow_and_update());
        let links = Arc::clone(&sources.links.borrow_and_update());
        let data_path = sources.data_path.borrow_and_update().clone();
        let happened = sources.happened.borrow_and_update().clone();
        let refusals = refusals(&known, &sources.refusals.borrow_and_update(), &data_path);
        let scene = Scene {
            node: &self.about.node,
            id: self.about.id,
            names: &known.names,
            virtual_ips: &known.virtual_ips,
            refusals,
            layer2: &layer2,
            data_path: &data_path,
            links: &links,
            shortcomings: &self.about.shortcomings,
            default_key: self.about.default_key,
            happened: &happened,
            stopping,
        };
        self.reporter.report(&scene, now)
    }
}

impl Sources {
    async fn changed(&mut self) -> Result<(), Ended> {
        let changed = tokio::select! {
            changed = self.layer2.changed() => changed,
            changed = self.data_path.changed() => changed,
            changed = self.known.changed() => changed,
            changed = self.refusals.changed() => changed,
            changed = self.links.changed() => changed,
            changed = self.happened.changed() => changed,
        };
        changed.map_err(|_| Ended)
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

/// Why this node cannot carry addresses, the first obstacle of each.
fn refusals(
    known: &Known,
    no_interface: &Refusals,
    data_path: &datapath::Observed,
) -> BTreeMap<IpAddr, String> {
    let mut refusals = known.refused.clone();
    let ready = data_path.ready();
    let not_ready = match &data_path.closed {
        Some(condition) => told(condition.reason(), &condition.to_string()),
        None => {
            told(Reason::DataPathNotReady, "the rules that lead its traffic on are not in the kernel yet")
        }
    };
    for address in &known.candidate {
        if let Some(refusal) = no_interface.get(address) {
            refusals.insert(*address, told(refusal.reason, &refusal.message));
        } else if !ready.contains(address) {
            refusals.insert(*address, not_ready.clone());
        }
    }
    refusals
}

fn told(reason: Reason, message: &str) -> String {
    format!("{reason}: {message}")
}
