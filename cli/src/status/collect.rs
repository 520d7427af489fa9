// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From all objects to the report: pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{
    AddressMode, BGPSession, ConsumerKind, Layer2Owner, SILENT_AFTER, SessionState, Speaker,
    SpeakerInterface, UnservedService, VirtualIPSpec,
};
use ferrolb_config::condition::{self, REACHABLE, READY};
use ferrolb_config::reason::Refusal;
use ferrolb_config::snapshot::{FloatingForm, FloatingIP};
use ferrolb_config::{Objects, ServiceName, Snapshot};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::report::{
    AddressStatus, Carrier, FloatingIPReport, NodeRefusal, Problem, Reachable, RouterCount, ServiceStatus,
    SpeakerReport, StatusReport, Unserved, VERSION,
};
use crate::finding::Finding;

/// The report on `objects` and on the `snapshot` made of them, as they were read at `now`.
pub fn collect(objects: &Objects, snapshot: &Snapshot, now: Timestamp) -> StatusReport {
    let speakers: Vec<_> = objects.speakers.iter().map(|(node, it)| speaker_report(node, it, now)).collect();
    StatusReport {
        version: VERSION.to_owned(),
        read_at: Time(now),
        addresses: addresses(objects, snapshot, &speakers),
        services: services(objects, snapshot),
        floating_ips: floating_ips(objects, snapshot),
        refused: snapshot.refused.iter().map(Finding::from).collect(),
        speakers,
    }
}

fn addresses(objects: &Objects, snapshot: &Snapshot, speakers: &[SpeakerReport]) -> Vec<AddressStatus> {
    let vips = snapshot.virtual_ips.iter();
    vips.map(|(address, vip)| AddressStatus {
        told_to_routers_by: tellers(*address, &vip.spec, snapshot, objects, speakers),
        ..address_status(*address, &vip.spec, objects, speakers)
    })
    .collect()
}

/// The nodes that tell some router of an address: selected for it, in session, and without a reason not to.
fn tellers(
    address: IpAddr,
    spec: &VirtualIPSpec,
    snapshot: &Snapshot,
    objects: &Objects,
    speakers: &[SpeakerReport],
) -> Vec<String> {
    let Some(pool) = snapshot.pools.get(&spec.pool) else { return Vec::new() };
    let users = || spec.consumers.iter().filter_map(|user| snapshot.load_balancers.get(&user.service()?));
    let about = snapshot.bgp_advertisements.values().filter(|it| it.selects_pool(pool));
    let about: Vec<_> = about.filter(|it| users().any(|service| it.selects_service(service))).collect();
    let address = address.to_string();
    let tells = |speaker: &&SpeakerReport| {
        let status = objects.speakers.get(&speaker.node).and_then(|speaker| speaker.status.as_ref());
        let (Some(status), Some(node)) = (status, snapshot.nodes.get(&speaker.node)) else { return false };
        let is_willing = status.refusals_left_out == 0 && !status.refusals.contains_key(&address);
        let mut peers = status.bgp.iter().filter(|session| session.state == SessionState::Established);
        let is_told = |session: &BGPSession| {
            about.iter().any(|it| it.selects_node(node) && it.selects_peer(&session.peer))
        };
        !speaker.silent && is_willing && peers.any(is_told)
    };
    speakers.iter().filter(tells).map(|speaker| speaker.node.clone()).collect()
}

fn address_status(
    address: IpAddr,
    spec: &VirtualIPSpec,
    objects: &Objects,
    speakers: &[SpeakerReport],
) -> AddressStatus {
    let alive = |node: &str| speakers.iter().any(|speaker| speaker.node == node && !speaker.silent);
    let status = objects.virtual_ips.get(&virtual_ip_name(address)).and_then(|vip| vip.status.as_ref());
    let owners: &[Layer2Owner] = status.map_or(&[], |status| &status.layer2);
    let address = address.to_string();
    let refusals = objects.speakers.iter().filter(|(node, _)| alive(node)).filter_map(|(node, speaker)| {
        let why = speaker.status.as_ref()?.refusals.get(&address)?;
        Some(NodeRefusal { node: node.clone(), why: why.clone() })
    });
    let floating_ip = spec.consumers.iter().find(|user| user.kind == ConsumerKind::FloatingIP);
    let ports = spec.consumers.iter().flat_map(|user| &user.ports);
    AddressStatus {
        pool: spec.pool.clone(),
        services: spec.consumers.iter().filter_map(|user| Some(user.service()?.to_string())).collect(),
        floating_ip: floating_ip.map(|user| user.object_name().to_string()),
        mode: Some(spec.mode).filter(|mode| *mode != AddressMode::ReplyOnly),
        ports: ports.map(|port| format!("{}/{}", port.port, port.protocol)).collect(),
        group: spec.group.clone().filter(|group| *group != address),
        carriers: owners.iter().map(|owner| carrier(owner, !alive(&owner.node))).collect(),
        told_to_routers_by: Vec::new(),
        refusals: refusals.collect(),
        reachable: status.and_then(|status| reachable(&status.conditions)),
        unserved: unserved(&address, objects.speakers.iter().filter(|(node, _)| alive(node))),
        address,
    }
}

fn reachable(conditions: &[Condition]) -> Option<Reachable> {
    let seen = condition::find(conditions, REACHABLE).filter(|seen| seen.status != "Unknown")?;
    Some(Reachable {
        reached: seen.status == "True",
        reason: seen.reason.clone(),
        message: seen.message.clone(),
        since: seen.last_transition_time.clone(),
    })
}

/// What the speakers say that the address does not serve; what several say is told once.
fn unserved<'a>(
    address: &str,
    speakers: impl Iterator<Item = (&'a String, &'a Arc<Speaker>)>,
) -> Vec<Unserved> {
    let mut told: BTreeMap<&UnservedService, Vec<String>> = BTreeMap::new();
    for (node, speaker) in speakers {
        let all = speaker.status.iter().flat_map(|status| &status.unserved);
        for one in all.filter(|one| one.address == address) {
            told.entry(one).or_default().push(node.clone());
        }
    }
    let unserved = |(one, nodes): (&UnservedService, Vec<String>)| Unserved {
        service: one.service.clone(),
        nodes,
        reason: one.reason.clone(),
        message: one.message.clone(),
    };
    told.into_iter().map(unserved).collect()
}

fn carrier(owner: &Layer2Owner, stale: bool) -> Carrier {
    Carrier {
        node: owner.node.clone(),
        segment: owner.segment.clone(),
        interface: owner.interface.clone(),
        since: owner.since.clone(),
        term: owner.term,
        why: owner.cause.clone(),
        stale,
    }
}

/// The addresses of every consumer of one kind.
fn given(snapshot: &Snapshot, kind: ConsumerKind) -> BTreeMap<ServiceName, Vec<String>> {
    let mut given: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (address, vip) in &snapshot.virtual_ips {
        for user in vip.spec.consumers.iter().filter(|user| user.kind == kind) {
            given.entry(user.object_name()).or_default().push(address.to_string());
        }
    }
    given
}

fn floating_ips(objects: &Objects, snapshot: &Snapshot) -> Vec<FloatingIPReport> {
    let mut given = given(snapshot, ConsumerKind::FloatingIP);
    let report = |(name, floating_ip): (&ServiceName, &FloatingIP)| {
        let addresses = given.remove(name).unwrap_or_default();
        let status = objects.floating_ips.get(name).and_then(|object| object.status.as_ref());
        let failed = status.and_then(|status| status.conditions.iter().find(|one| one.status == "False"));
        let pending = floating_ip.refusal.as_ref().map(refused).or_else(|| failed.map(problem));
        FloatingIPReport {
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            mode: floating_ip.in_force().map(FloatingForm::mode),
            pending: pending.or_else(|| addresses.is_empty().then(no_decision)),
            addresses,
        }
    };
    snapshot.floating_ips.iter().map(report).collect()
}

fn services(objects: &Objects, snapshot: &Snapshot) -> Vec<ServiceStatus> {
    let given = given(snapshot, ConsumerKind::Service);
    let status = |name: &ServiceName, refusal: Option<&Refusal>| {
        let addresses = given.get(name).cloned().unwrap_or_default();
        let pending = refusal
            .map(refused)
            .or_else(|| objects.services.get(name).and_then(|service| failed_condition(service)))
            .or_else(|| addresses.is_empty().then(no_decision));
        ServiceStatus { namespace: name.namespace.clone(), name: name.name.clone(), addresses, pending }
    };
    snapshot.load_balancers.iter().map(|(name, service)| status(name, service.refusal.as_ref())).collect()
}

fn refused(refusal: &Refusal) -> Problem {
    let remedy = refusal.remedy.as_ref().map(|remedy| format!(". {remedy}")).unwrap_or_default();
    Problem { reason: refusal.reason.to_string(), message: format!("{}{remedy}", refusal.message) }
}

fn failed_condition(service: &Service) -> Option<Problem> {
    let conditions = service.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.status == "False").map(problem)
}

fn no_decision() -> Problem {
    Problem {
        reason: "NoDecisionYet".to_owned(),
        message: "no controller has decided about it; see that one runs here".to_owned(),
    }
}

fn problem(condition: &Condition) -> Problem {
    Problem { reason: condition.reason.clone(), message: condition.message.clone() }
}

/// Whether nothing is known any more of `speaker` at the time `now`.
pub fn is_silent(speaker: &Speaker, now: Timestamp) -> bool {
    let Some(status) = &speaker.status else { return true };
    // In a cluster there is no heartbeat: the controller, which sees the Node, says when nothing is known any more.
    let ready = condition::find(&status.conditions, READY);
    match &status.heartbeat {
        Some(last) => now.duration_since(last.0) > SILENT_AFTER,
        None => ready.is_none_or(|ready| ready.status == "Unknown"),
    }
}

fn speaker_report(node: &str, speaker: &Speaker, now: Timestamp) -> SpeakerReport {
    let silent = is_silent(speaker, now);
    let status = speaker.status.clone().unwrap_or_default();
    let mut heard: Vec<String> = status.segments.iter().flat_map(|segment| segment.heard.clone()).collect();
    heard.sort_unstable();
    heard.dedup();
    SpeakerReport {
        node: node.to_owned(),
        version: status.version,
        profile: status.profile,
        hello_keys: status.hello_keys,
        heartbeat: status.heartbeat,
        silent,
        owned: status.segments.iter().map(|segment| segment.owned).sum(),
        heard,
        routers: routers(&status.bgp, status.bgp_left_out),
        interfaces: status.interfaces.iter().map(interface).collect(),
        problems: status
            .conditions
            .iter()
            .filter(|condition| condition.status != "True")
            .map(problem)
            .collect(),
    }
}

/// Of those that are left out nothing is known.
fn routers(sessions: &[BGPSession], left_out: u32) -> Option<RouterCount> {
    let established = sessions.iter().filter(|session| session.state == SessionState::Established).count();
    let wanted = sessions.len().saturating_add(usize::try_from(left_out).unwrap_or(usize::MAX));
    (wanted > 0).then_some(RouterCount { established, wanted })
}

fn interface(interface: &SpeakerInterface) -> String {
    let mut words = vec![interface.name.as_str()];
    words.extend(interface.addresses.iter().map(String::as_str));
    if !interface.up {
        words.push("(down)");
    }
    words.join(" ")
}
