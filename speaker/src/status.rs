// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tells what this node sees, aside: a failover never waits for it.

mod cluster;
mod directory;
mod known;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::reason::Reason;
use ferrolb_layer2::NodeId;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;

pub(crate) use cluster::Cluster;
pub(crate) use directory::Directory;
pub(crate) use known::Known;

use crate::datapath;
use crate::kernel::links::Links;
use crate::kernel::priority::Shortcoming;
use crate::layer2::{Ended, Observed, Refusals};
use crate::report::{Report, Reporter, Scene};

/// Changes that come within this time are told together.
const GATHER: Duration = Duration::from_millis(100);

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

/// Where reports are made.
pub(crate) struct Desk {
    about: About,
    sources: Sources,
    reporter: Reporter,
}

impl Desk {
    pub(crate) fn new(about: About, sources: Sources) -> Self {
        // Whole seconds: that is what the API keeps.
        Self { about, sources, reporter: Reporter::new(now()) }
    }

    /// Returns when something that reports are made of has changed.
    async fn changed(&mut self) -> Result<(), Ended> {
        let sources = &mut self.sources;
        let changed = tokio::select! {
            changed = sources.layer2.changed() => changed,
            changed = sources.data_path.changed() => changed,
            changed = sources.known.changed() => changed,
            changed = sources.refusals.changed() => changed,
            changed = sources.links.changed() => changed,
            changed = sources.happened.changed() => changed,
        };
        changed.map_err(|_| Ended)
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
            recorded: &known.intent.vips,
            freshness: &known.freshness,
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

/// The time, in whole seconds: finer is of use to nobody, and an API server may cut it off.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Why this node cannot carry addresses, the first obstacle of each.
fn refusals(
    known: &Known,
    no_interface: &Refusals,
    data_path: &datapath::Observed,
) -> BTreeMap<IpAddr, String> {
    let ready = data_path.ready();
    let not_ready = match &data_path.closed {
        Some(condition) => told(condition.reason(), &condition.to_string()),
        None => {
            told(Reason::DataPathNotReady, "the rules that lead its traffic on are not in the kernel yet")
        }
    };
    let refusal = |(address, vip): (&IpAddr, &crate::intent::VipIntent)| {
        let why = match (&vip.here, no_interface.get(address)) {
            (Err(obstacle), _) => told(obstacle.reason, &obstacle.message),
            (Ok(()), Some(refusal)) => told(refusal.reason, &refusal.message),
            (Ok(()), None) if ready.contains(address) => return None,
            (Ok(()), None) => not_ready.clone(),
        };
        Some((*address, why))
    };
    known.intent.vips.iter().filter_map(refusal).collect()
}

fn told(reason: Reason, message: &str) -> String {
    format!("{reason}: {message}")
}
