// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node reports about itself and about the addresses that it carries: pure.
//!
//! [`Reporter`] remembers only what a report must not change without need: since when something is so.

mod conditions;
mod reachability;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{
    BGPSession, Layer2Owner, SpeakerInterface, SpeakerSegment, SpeakerStatus, VirtualIP, VirtualIPSpec,
    VirtualIPStatus,
};
use ferrolb_config::snapshot::Away;
use ferrolb_config::{Freshness, Objects, condition};
use ferrolb_layer2::{GroupId, GroupView, NodeId, Term};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::bgp::{Picture, Seen};
use crate::datapath;
use crate::hello_keys::KeyState;
use crate::intent::VipIntent;
use crate::kernel::links::{Link, Links};
use crate::kernel::priority::Shortcoming;
use crate::layer2::{Observed, SegmentReport};
use crate::misfit::Misfit;
use crate::names::Names;
use crate::profile::InForce;
use crate::status::Unserved;
pub(crate) use reachability::{Witnessed, reason, withdrawn};

/// How many routers are told of; what more there are is counted.
const MOST_ROUTERS: usize = 128;

/// Everything that a report is made of.
pub(crate) struct Scene<'a> {
    /// This node.
    pub(crate) node: &'a str,
    /// This node's identity on the wire.
    pub(crate) id: NodeId,
    /// The names behind identities.
    pub(crate) names: &'a Names,
    /// The addresses in use, as the controller recorded them.
    pub(crate) recorded: &'a BTreeMap<IpAddr, Arc<VipIntent>>,
    /// Addresses that this node may not or cannot carry.
    pub(crate) refusals: Refused,
    /// Services, or ports of them, that their addresses do not serve.
    pub(crate) unserved: Unserved,
    /// How far the objects can be trusted to be current and whole.
    pub(crate) freshness: &'a Freshness,
    /// Why this node must carry no address, if it must not.
    pub(crate) away: Option<Away>,
    /// How many groups of this node should be elsewhere.
    pub(crate) elsewhere: usize,
    /// The segments.
    pub(crate) layer2: &'a Observed,
    /// The routers.
    pub(crate) routers: &'a Picture,
    /// The data path.
    pub(crate) data_path: &'a datapath::Observed,
    /// The interfaces.
    pub(crate) links: &'a Links,
    /// Settings of the machine that do not go with virtual IPs.
    pub(crate) misfits: &'a BTreeSet<Misfit>,
    /// What the process lacks beside what the layer-2 thread reports.
    pub(crate) shortcomings: &'a [Shortcoming],
    /// What hellos are authenticated by.
    pub(crate) keys: &'a KeyState,
    /// The times of layer 2.
    pub(crate) profile: &'a InForce,
    /// Happenings counted by name.
    pub(crate) happened: &'a BTreeMap<&'static str, u64>,
    /// The process is handing over and will end.
    pub(crate) stopping: bool,
    /// How much of it is told.
    pub(crate) length: Length,
}

/// Addresses that a node may not or cannot carry.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// The first ones: `reason: message`.
    pub(crate) told: BTreeMap<IpAddr, String>,
    /// How many more there are.
    pub(crate) left_out: usize,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Everything.
    Whole,
    /// What fits into one object of a cluster, without what changes all the time.
    Brief,
}

impl Length {
    /// How many refusals are told: ten thousand would be more than a cluster keeps in one object.
    pub(crate) fn refusals(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Brief => 100,
        }
    }
}

/// A report: what this node carries, and how it is. The heartbeat is whoever writes it's to add.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    /// The addresses that this node carries, with its entries in their status.
    pub(crate) owned: BTreeMap<IpAddr, Vec<Layer2Owner>>,
    /// The addresses that another node carries on some segment of this one.
    pub(crate) owned_elsewhere: BTreeSet<IpAddr>,
    /// What this node saw when it asked for addresses that others carry.
    pub(crate) witnessed: BTreeMap<IpAddr, Vec<Witnessed>>,
    /// The node itself.
    pub(crate) speaker: SpeakerStatus,
}

impl Report {
    /// Whether anything but the counters differs.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.tells_of_others(other) || uncounted(&self.speaker) != uncounted(&other.speaker)
    }

    /// Whether what it says of addresses differs.
    pub(crate) fn tells_of_others(&self, other: &Self) -> bool {
        self.owned != other.owned || self.witnessed != other.witnessed
    }

    /// As VirtualIPs with this node's part of their status, as of `now`.
    pub(crate) fn virtual_ips(&self, objects: &Objects, now: Timestamp) -> Vec<VirtualIP> {
        let addresses: BTreeSet<IpAddr> = self.owned.keys().chain(self.witnessed.keys()).copied().collect();
        let virtual_ip = |address: IpAddr| {
            let recorded = objects.virtual_ips.get(&virtual_ip_name(address))?;
            let owners = self.owned.get(&address).cloned().unwrap_or_default();
            let mut object = virtual_ip(address, recorded.spec.clone(), owners);
            let seen = self.witnessed.get(&address);
            // Of several segments one that is not reached counts.
            if let Some(seen) = seen.and_then(|seen| seen.iter().max_by_key(|seen| seen.obstacle.is_some())) {
                let status = object.status.get_or_insert_default();
                condition::set(&mut status.conditions, seen.condition(now));
            }
            Some(object)
        };
        addresses.into_iter().filter_map(virtual_ip).collect()
    }
}

fn uncounted(status: &SpeakerStatus) -> SpeakerStatus {
    let mut status = status.clone();
    status.counters.clear();
    for session in &mut status.bgp {
        session.counters.clear();
        session.bfd.iter_mut().for_each(|path| path.counters.clear());
    }
    status
}

/// Makes reports that change only where something did.
#[derive(Debug)]
pub(crate) struct Reporter {
    started: Timestamp,
    claimed: BTreeMap<(String, GroupId, Term), Timestamp>,
    conditions: Vec<Condition>,
}

impl Reporter {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self { started, claimed: BTreeMap::new(), conditions: Vec::new() }
    }

    /// The report on `scene`, which is as it is at `now`.
    pub(crate) fn report(&mut self, scene: &Scene<'_>, now: Timestamp) -> Report {
        self.forget_old_claims(scene);
        let owned = self.owned(scene, now);
        self.conditions = conditions::of(scene, &self.conditions, now);
        let segments: Vec<_> =
            scene.layer2.segments.iter().map(|(name, report)| segment(name, report, scene)).collect();
        let speaker = SpeakerStatus {
            observed_generation: None,
            owned: segments.iter().map(|segment| segment.owned).sum(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: scene.profile.profile.name().to_owned(),
            hello_keys: scene.keys.names.clone(),
            started: Some(Time(self.started)),
            heartbeat: None,
            conditions: self.conditions.clone(),
            interfaces: scene.links.iter().filter(|link| link.can_carry()).map(interface).collect(),
            segments,
            bgp_left_out: u32::try_from(scene.routers.len().saturating_sub(MOST_ROUTERS)).unwrap_or(u32::MAX),
            bgp: scene.routers.values().take(MOST_ROUTERS).map(|seen| router(seen, scene.length)).collect(),
            refusals_left_out: u32::try_from(scene.refusals.left_out).unwrap_or(u32::MAX),
            unserved_left_out: u32::try_from(scene.unserved.left_out).unwrap_or(u32::MAX),
            unserved: scene.unserved.told.clone(),
            refusals: scene
                .refusals
                .told
                .iter()
                .map(|(address, why)| (address.to_string(), why.clone()))
                .collect(),
            counters: match scene.length {
                Length::Whole => counters(scene),
                Length::Brief => BTreeMap::new(),
            },
        };
        let witnessed = reachability::of(scene);
        Report { owned, owned_elsewhere: owned_elsewhere(scene), witnessed, speaker }
    }

    fn owned(&mut self, scene: &Scene<'_>, now: Timestamp) -> BTreeMap<IpAddr, Vec<Layer2Owner>> {
        let mut owners: BTreeMap<IpAddr, Vec<Layer2Owner>> = BTreeMap::new();
        for (interface, group) in owned_groups(scene) {
            let link = scene.links.named(interface);
            let segment = |address| link.and_then(|link: &Link| link.segment_of(address));
            let key = (interface.to_owned(), group.id, group.term);
            let since = *self.claimed.entry(key).or_insert(now);
            let cause = group.cause.map(|cause| scene.names.cause(cause)).unwrap_or_default();
            for address in &group.addresses {
                owners.entry(*address).or_default().push(Layer2Owner {
                    segment: segment(*address).map_or_else(|| interface.to_owned(), |net| net.to_string()),
                    interface: interface.to_owned(),
                    node: scene.node.to_owned(),
                    term: group.term.0,
                    since: Time(since),
                    cause: cause.clone(),
                });
            }
        }
        // Not recorded any more: the controller has taken it away, and layer 2 is about to.
        owners.retain(|address, _| scene.recorded.contains_key(address));
        owners
    }

    fn forget_old_claims(&mut self, scene: &Scene<'_>) {
        let owned: BTreeSet<_> =
            owned_groups(scene).map(|(interface, group)| (interface, group.id, group.term)).collect();
        self.claimed.retain(|(interface, id, term), _| owned.contains(&(interface.as_str(), *id, *term)));
    }
}

fn owned_elsewhere(scene: &Scene<'_>) -> BTreeSet<IpAddr> {
    let groups = scene.layer2.segments.values().flat_map(|report| &report.view.groups);
    let of_others = groups.filter(|group| group.owner.is_some_and(|owner| owner != scene.id));
    of_others.flat_map(|group| group.addresses.iter().copied()).collect()
}

fn owned_groups<'a>(scene: &Scene<'a>) -> impl Iterator<Item = (&'a str, &'a GroupView)> {
    let id = scene.id;
    let segments = scene.layer2.segments.iter();
    segments.flat_map(move |(name, report)| {
        let groups = report.view.groups.iter().filter(move |group| group.owner == Some(id));
        groups.map(move |group| (name.as_str(), group))
    })
}

fn virtual_ip(address: IpAddr, spec: VirtualIPSpec, layer2: Vec<Layer2Owner>) -> VirtualIP {
    let mut object = VirtualIP::new(&virtual_ip_name(address), spec);
    let mut status = VirtualIPStatus { layer2, ..VirtualIPStatus::default() };
    if let Some(since) = status.layer2.first().map(|owner| owner.since.clone()) {
        status.judge(None, since);
    }
    object.status = Some(status);
    object
}

fn router(seen: &Seen, length: Length) -> BGPSession {
    match length {
        Length::Whole => seen.counted(),
        Length::Brief => BGPSession::clone(&seen.told),
    }
}

fn interface(link: &Link) -> SpeakerInterface {
    SpeakerInterface {
        name: link.name.clone(),
        up: link.up,
        mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        addresses: link.addresses.iter().map(ToString::to_string).collect(),
    }
}

fn segment(name: &str, report: &SegmentReport, scene: &Scene<'_>) -> SpeakerSegment {
    let owned = report.view.groups.iter().filter(|group| group.owner == Some(scene.id)).count();
    let mut heard: Vec<String> = report.view.peers.iter().map(|peer| scene.names.node(peer.node)).collect();
    heard.sort_unstable();
    SpeakerSegment { interface: name.to_owned(), owned: u32::try_from(owned).unwrap_or(u32::MAX), heard }
}

/// Summed over the segments that are open.
fn counters(scene: &Scene<'_>) -> BTreeMap<String, u64> {
    let mut counters: BTreeMap<String, u64> = BTreeMap::new();
    let mut add = |name: &str, value: u64| {
        let sum = counters.entry(name.to_owned()).or_default();
        *sum = sum.saturating_add(value);
    };
    for SegmentReport { view, traffic, questions, .. } in scene.layer2.segments.values() {
        add("hellosReceived", traffic.hellos_received);
        add("hellosCarriedIn", traffic.carried_received);
        add("hellosCarriedOut", traffic.carried_sent);
        add("hellosSent", traffic.hellos_sent);
        add("hellosBelieved", view.counters.hellos_heard);
        add("framesReceived", traffic.frames_received);
        add("framesSent", traffic.frames_sent);
        add("framesDropped", traffic.frames_dropped);
        add("sendErrors", traffic.send_errors);
        add("receiveErrors", traffic.receive_errors);
        add("joinErrors", traffic.join_errors);
        add("answers", view.counters.answers);
        add("lateRequests", view.counters.late_requests);
        add("relays", view.counters.relays);
        add("announcements", view.counters.announcements);
        add("probes", view.counters.probes);
        add("witnessQuestions", *questions);
        add("stalls", view.counters.stalls);
        add("duplicates", view.counters.duplicates);
        for (kind, count) in view.counters.rejections.iter() {
            add(&format!("rejected.{}", kind.as_str()), count);
        }
    }
    add("eventsDropped", scene.layer2.events_dropped);
    // When the counts were made, which may be some seconds before they are written: rates are to be taken over this.
    let oldest = scene.layer2.segments.values().map(|segment| segment.age).max().unwrap_or_default();
    add("countedMilliseconds", u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX));
    for (name, count) in scene.happened {
        add(name, *count);
    }
    counters
}
