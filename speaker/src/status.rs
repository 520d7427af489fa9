// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tells what this node sees, aside: a failover never waits for it.

mod cluster;
mod directory;
mod known;
mod unserved;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::reason::Reason;
use ferrolb_layer2::NodeId;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;
use tracing::{info, warn};

pub(crate) use cluster::Cluster;
pub(crate) use directory::Directory;
pub(crate) use known::Known;
pub(crate) use unserved::Unserved;

use crate::bgp::Picture;
use crate::gates::{GateKeepers, Gates};
use crate::hello_keys::KeyState;
use crate::intent::Carriage;
use crate::kernel::InterfaceSettings;
use crate::kernel::links::Links;
use crate::kernel::priority::Shortcoming;
use crate::layer2::{Ended, Observed, Refusals};
use crate::misfit::{self, Misfit};
use crate::names::STRANGER;
use crate::profile::InForce;
use crate::report::{Length, Refused, Report, Reporter, Scene, Witnessed};

/// Changes that come within this time are told together.
const GATHER: Duration = Duration::from_millis(100);

/// How many Services without service are told; what more there are is counted.
const MOST_UNSERVED: usize = 100;

/// Counts of what happened since the start, by name.
pub(crate) type Happened = BTreeMap<&'static str, u64>;

/// Everything that a report is made of, as it becomes.
pub(crate) struct Sources {
    pub(crate) known: watch::Receiver<Arc<Known>>,
    pub(crate) layer2: watch::Receiver<Arc<Observed>>,
    pub(crate) routers: watch::Receiver<Picture>,
    pub(crate) gates: GateKeepers,
    pub(crate) links: watch::Receiver<Arc<Links>>,
    pub(crate) refusals: watch::Receiver<Refusals>,
    pub(crate) happened: watch::Receiver<Happened>,
    pub(crate) keys: watch::Receiver<KeyState>,
    /// How many groups of this node should be elsewhere.
    pub(crate) imbalance: watch::Receiver<usize>,
}

/// What about this speaker never changes.
pub(crate) struct About {
    pub(crate) node: String,
    pub(crate) id: NodeId,
    pub(crate) shortcomings: Vec<Shortcoming>,
    pub(crate) profile: InForce,
}

/// Where reports are made.
pub(crate) struct Desk {
    about: About,
    sources: Sources,
    reporter: Reporter,
    /// What did not fit when it was last looked at.
    misfits: BTreeSet<Misfit>,
    /// What was seen of other nodes' addresses when it was last told.
    witnessed: BTreeMap<IpAddr, Vec<Witnessed>>,
}

impl Desk {
    pub(crate) fn new(about: About, sources: Sources) -> Self {
        // Whole seconds: that is what the API keeps.
        let reporter = Reporter::new(now());
        Self { about, sources, reporter, misfits: BTreeSet::new(), witnessed: BTreeMap::new() }
    }

    /// Returns when something that reports are made of has changed.
    async fn changed(&mut self) -> Result<(), Ended> {
        let sources = &mut self.sources;
        let changed = tokio::select! {
            changed = sources.gates.changed() => return changed,
            changed = sources.layer2.changed() => changed,
            changed = sources.known.changed() => changed,
            changed = sources.routers.changed() => changed,
            changed = sources.refusals.changed() => changed,
            changed = sources.links.changed() => changed,
            changed = sources.happened.changed() => changed,
            changed = sources.keys.changed() => changed,
            changed = sources.imbalance.changed() => changed,
        };
        changed.map_err(|_| Ended)
    }

    fn report(&mut self, now: Timestamp, stopping: bool, length: Length) -> Report {
        let sources = &mut self.sources;
        let known = Arc::clone(&sources.known.borrow_and_update());
        let layer2 = Arc::clone(&sources.layer2.borrow_and_update());
        let links = Arc::clone(&sources.links.borrow_and_update());
        let routers = sources.routers.borrow_and_update().clone();
        let gates = sources.gates.look();
        let happened = sources.happened.borrow_and_update().clone();
        let keys = sources.keys.borrow_and_update().clone();
        let no_interface = &sources.refusals.borrow_and_update();
        let refusals = refusals(&known, no_interface, &gates, &layer2, length.refusals());
        let unserved = Unserved::of(&known.intent, MOST_UNSERVED);
        let misfits = misfit::judge(
            layer2.segments.keys().map(String::as_str),
            // The owner of a bound address is to have it on an interface.
            |address| {
                let vip = known.intent.vips.get(&address);
                vip.is_some_and(|vip| vip.carriage != Carriage::Bound)
            },
            &links,
            |interface| InterfaceSettings::read(interface).ok(),
        );
        misfits.difference(&self.misfits).for_each(|misfit| warn!("{misfit}"));
        self.misfits = misfits;
        let scene = Scene {
            node: &self.about.node,
            id: self.about.id,
            names: &known.names,
            recorded: &known.intent.vips,
            freshness: &known.freshness,
            away: known.away,
            elsewhere: *sources.imbalance.borrow_and_update(),
            refusals,
            unserved,
            layer2: &layer2,
            routers: &routers,
            data_path: &gates.data_path,
            links: &links,
            misfits: &self.misfits,
            shortcomings: &self.about.shortcomings,
            keys: &keys,
            profile: &self.about.profile,
            happened: &happened,
            stopping,
            length,
        };
        let report = self.reporter.report(&scene, now);
        log_what_changed(&self.witnessed, &report.witnessed);
        self.witnessed.clone_from(&report.witnessed);
        report
    }
}

/// Says which addresses of other nodes are not reached any more, and which are again.
fn log_what_changed(before: &BTreeMap<IpAddr, Vec<Witnessed>>, now: &BTreeMap<IpAddr, Vec<Witnessed>>) {
    for (address, seen) in now {
        for one in seen {
            let of_segment = |it: &&Witnessed| it.segment == one.segment;
            let last = before.get(address).and_then(|seen| seen.iter().find(of_segment));
            match (&one.obstacle, last.and_then(|last| last.obstacle.as_ref())) {
                (Some(new), old) if Some(new) != old => warn!(segment = one.segment, "{}: {}", new.0, new.1),
                (None, Some(_)) => info!(segment = one.segment, "{address} is reached again"),
                _ => {}
            }
        }
    }
}

/// The time, in whole seconds: finer is of use to nobody, and an API server may cut it off.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Why this node cannot carry addresses, the first obstacle of each; `most` are told.
fn refusals(
    known: &Known,
    no_interface: &Refusals,
    gates: &Gates,
    layer2: &Observed,
    most: usize,
) -> Refused {
    let in_use = in_use(layer2);
    // Of thousands that are refused most are only counted, at each of the many reports while they come.
    let mut refused = Refused::default();
    for (address, vip) in known.intent.vips.iter() {
        let closed;
        let obstacle = known.intent.obstacle(*address, vip);
        let (reason, message) = match (&obstacle, no_interface.get(address)) {
            (Some(obstacle), _) => (obstacle.reason, &*obstacle.message),
            (None, Some(refusal)) => (refusal.reason, refusal.message.as_str()),
            (None, None) => match gates.obstacle(*address, vip) {
                None => match in_use.get(address) {
                    None => continue,
                    Some(message) => (Reason::ForeignStation, message.as_str()),
                },
                Some(obstacle) => {
                    closed = obstacle;
                    (closed.reason, &*closed.message)
                }
            },
        };
        if refused.told.len() < most {
            refused.told.insert(*address, format!("{reason}: {message}"));
        } else {
            refused.left_out += 1;
        }
    }
    refused
}

/// The addresses that this node does not answer for since a stranger has them, and which.
fn in_use(layer2: &Observed) -> BTreeMap<IpAddr, String> {
    let mut found = BTreeMap::new();
    for (segment, report) in &layer2.segments {
        for (address, mac) in report.view.groups.iter().flat_map(|group| &group.in_use) {
            found.entry(*address).or_insert_with(|| {
                format!(
                    "the station {mac} on {segment}, {STRANGER}, had it before its first use; it is asked for \
                     again every minute. Take it from that machine, or exclude it from the pool"
                )
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ferrolb_layer2::MacAddr;

    use super::*;
    use crate::intent::{Intent, InterfaceRule, Obstacle, VipIntent};

    #[test]
    fn of_many_refusals_the_first_are_told_and_the_others_counted() {
        let vip = Arc::new(VipIntent {
            group: "default/web".into(),
            candidates: Arc::default(),
            preferences: Default::default(),
            here: Err(Obstacle { reason: Reason::NoEndpoints, message: "nobody is there".into() }),
            interfaces: InterfaceRule::OnLink,
            tcp_port: None,
            unserved: Box::default(),
            carriage: Carriage::Service,
            checks: Box::default(),
        });
        let vips = (0..250).map(|host| (IpAddr::from([192, 0, 2, host]), Arc::clone(&vip))).collect();
        let intent = Arc::new(Intent { vips: Arc::new(vips), ..Intent::default() });
        let known = Known { intent, ..Known::default() };
        let told = |length: Length| {
            let refused = refusals(
                &known,
                &Refusals::new(),
                &Default::default(),
                &Observed::default(),
                length.refusals(),
            );
            (refused.told.len(), refused.left_out, refused.told.into_values().next())
        };
        let first = Some("NoEndpoints: nobody is there".to_owned());
        assert_eq!(told(Length::Brief), (100, 150, first.clone()));
        assert_eq!(told(Length::Whole), (250, 0, first));
    }

    #[test]
    fn an_address_that_another_machine_has_is_refused_with_its_mac() {
        let address = IpAddr::from([192, 0, 2, 7]);
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        let layer2 = crate::report::tests::beside_a_stranger("eth0", address, mac);
        let found = in_use(&layer2);
        let [(found, message)] = found.iter().collect::<Vec<_>>()[..] else { panic!("{found:?}") };
        assert_eq!(*found, address);
        assert!(message.starts_with("the station 02:00:00:00:00:09 on eth0"), "{message}");
    }
}
