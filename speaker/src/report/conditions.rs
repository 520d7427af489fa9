// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is well with a speaker and what is not, as Kubernetes conditions.

mod routers;

use std::collections::BTreeMap;

use ferrolb_config::Freshness;
use ferrolb_config::reason::Reason;
use ferrolb_layer2::{GroupState, NodeId, Phase, SegmentView};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::Scene;
use crate::kernel::HELLO_PORT;
use crate::kernel::priority::Shortcoming;
use crate::layer2::Way;

/// Nodes that a condition names; it must stay readable on a segment of a thousand.
const DETOURS_TOLD: usize = 8;

/// What a condition says, without since when.
struct Statement {
    type_: &'static str,
    holds: bool,
    reason: String,
    message: String,
}

impl Statement {
    fn fails(type_: &'static str, reason: &str, message: String) -> Self {
        Self { type_, holds: false, reason: reason.to_owned(), message }
    }
}

/// The conditions of the speaker in this scene; one whose status is as `before` keeps its time.
pub(super) fn of(scene: &Scene<'_>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    with_transitions(statements(scene), before, now)
}

fn statements(scene: &Scene<'_>) -> Vec<Statement> {
    let mut statements = vec![if scene.stopping {
        Statement::fails("Ready", "Stopping", "the speaker hands its addresses over and ends".to_owned())
    } else {
        let message = String::new();
        Statement { type_: "Ready", holds: true, reason: "Running".to_owned(), message }
    }];
    statements.extend(scene.away.map(|away| {
        let message = format!("Node {} takes no address: it {away}", scene.node);
        Statement::fails("AcceptsAddresses", &away.reason().to_string(), message)
    }));
    if scene.elsewhere > 0 {
        let message = format!(
            "{} of what this node carries would be elsewhere if all were claimed anew; ferrolb rebalance --dry-run says \
             what, and ferrolb rebalance moves it",
            scene.elsewhere
        );
        statements.push(Statement::fails("Balanced", "Imbalanced", message));
    }
    statements.extend(configuration(scene));
    statements.extend(data_path(scene));
    statements.extend(misfits(scene));
    statements.extend(segments(scene));
    statements.extend(routers::of(scene.routers));
    for shortcoming in scene.shortcomings.iter().chain(&scene.layer2.shortcomings) {
        let type_ = match shortcoming {
            Shortcoming::OrdinaryPriority(_) => "RaisedPriority",
            Shortcoming::UnlockedMemory(_) => "LockedMemory",
            Shortcoming::CpuLimit(_) => "UnlimitedCpu",
        };
        statements.push(Statement::fails(type_, shortcoming.name(), shortcoming.to_string()));
    }
    if let Some(refusal) = &scene.profile.refusal {
        let reason = Reason::ProfileRefused.to_string();
        statements.push(Statement::fails("ProfileInForce", &reason, refusal.to_string()));
    }
    if let Some(trouble) = &scene.keys.trouble {
        let reason = Reason::HelloKeyRefused.to_string();
        statements.push(Statement::fails("HelloKeyCurrent", &reason, trouble.clone()));
    }
    if scene.keys.is_default {
        let message = "hellos are authenticated with a key made from the cluster's name, which anybody on the \
                       segment can guess; give all speakers the same secret by --hello-key-file";
        statements.push(Statement::fails("HelloKeySet", "DefaultKey", message.to_owned()));
    }
    statements
}

/// Whether what the node does follows the newest objects.
fn configuration(scene: &Scene<'_>) -> Option<Statement> {
    let Freshness { stale_since, unknown } = scene.freshness;
    let (reason, message) = if !unknown.is_empty() {
        let kinds: Vec<&str> = unknown.iter().copied().collect();
        let consequence = match scene.freshness.unknown_of_addresses().next() {
            Some(_) => "nothing is decided",
            None => "no session with a router is begun",
        };
        let message = format!(
            "objects of the kind {} could not be read yet, so that {consequence}; look at the API server, at the \
             CustomResourceDefinitions and at the rights of the speaker's account",
            kinds.join(", ")
        );
        (Reason::ConfigurationIncomplete, message)
    } else {
        let message = format!(
            "the API server is out of reach since {}; addresses are carried by what was known then",
            (*stale_since)?
        );
        (Reason::ConfigurationStale, message)
    };
    Some(Statement::fails("ConfigurationCurrent", &reason.to_string(), message))
}

fn data_path(scene: &Scene<'_>) -> impl Iterator<Item = Statement> {
    gathered(scene.data_path.conditions.iter().map(|it| (it.breaks(), it.reason(), it.to_string())))
}

fn misfits(scene: &Scene<'_>) -> impl Iterator<Item = Statement> {
    gathered(scene.misfits.iter().map(|it| (it.breaks(), it.reason(), it.to_string())))
}

/// One statement for each type: what is wrong first gives the reason, and all of it the message.
fn gathered(wrong: impl Iterator<Item = (&'static str, Reason, String)>) -> impl Iterator<Item = Statement> {
    let mut broken: BTreeMap<&'static str, (Reason, Vec<String>)> = BTreeMap::new();
    for (type_, reason, message) in wrong {
        let (_, messages) = broken.entry(type_).or_insert_with(|| (reason, Vec::new()));
        messages.push(message);
    }
    broken
        .into_iter()
        .map(|(type_, (reason, messages))| Statement::fails(type_, &reason.to_string(), messages.join("; ")))
}

fn segments(scene: &Scene<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    if !scene.layer2.problems.is_empty() {
        let problems: Vec<String> =
            scene.layer2.problems.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        let message = format!("cannot open the sockets of {}", problems.join("; "));
        statements.push(Statement::fails("SegmentsOpen", "SocketFailed", message));
    }
    let deaf = on_which(scene, |view| view.groups.iter().any(|group| group.state == GroupState::NoProof));
    if let Some(deaf) = deaf {
        let message = format!(
            "on {deaf} no other speaker, gateway or neighbour answers, so that this node may be cut off and takes no \
             address there; look at the cable, the VLAN and UDP port {HELLO_PORT}"
        );
        statements.push(Statement::fails("Heard", "NoProof", message));
    }
    if let Some(aside) = on_which(scene, |view| view.phase == Phase::Aside) {
        let message = format!(
            "on {aside} another machine speaks in the name of node {} and carries more, so that this one does nothing \
             until that one has gone; give one of the two another node name, or stop its speaker",
            scene.node
        );
        statements.push(Statement::fails("IdentityUnique", "SteppedAside", message));
    }
    if let Some(shaky) = on_which(scene, |view| view.shaky) {
        let message = format!(
            "on {shaky} this node fell silent three times within a minute, so that for a while it takes only what nobody \
             else can; look at its cable, its link and its load"
        );
        statements.push(Statement::fails("Steady", "FallsSilent", message));
    }
    statements.extend(detours(scene));
    statements.extend(crowded(scene));
    statements
}

/// The interfaces of the segments of which that is so, if of any.
fn on_which(scene: &Scene<'_>, so: impl Fn(&SegmentView) -> bool) -> Option<String> {
    let names = scene.layer2.segments.iter().filter(|(_, report)| so(&report.view));
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whether hellos take the way that they should.
fn detours(scene: &Scene<'_>) -> Option<Statement> {
    let detours = scene
        .layer2
        .segments
        .iter()
        .flat_map(|(name, report)| report.detours.iter().map(move |(node, way)| (*way, name, *node)));
    let mut detours: Vec<(Way, &String, NodeId)> = detours.collect();
    detours.sort();
    let way = detours.last()?.0;
    let reason = match way {
        Way::Multicast | Way::Unicast => Reason::MulticastFiltered,
        Way::Raw => Reason::HellosFiltered,
    };
    let told = detours.iter().take(DETOURS_TOLD);
    let told: Vec<String> =
        told.map(|(way, segment, node)| format!("{} on {segment} {way}", scene.names.node(*node))).collect();
    let more = detours.len().saturating_sub(told.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("heard, but not by multicast: {}{more}; {}", told.join(", "), way.remedy());
    Some(Statement::fails("MulticastHeard", &reason.to_string(), message))
}

/// Whether hellos are as frequent as the profile says.
fn crowded(scene: &Scene<'_>) -> Option<Statement> {
    let slowed = scene.layer2.segments.iter().filter_map(|(name, report)| {
        let pace = report.view.slowed?;
        Some(format!(
            "{} nodes are heard on {name}, so that hellos are {} ms apart and a death is noticed after {} ms",
            report.view.peers.len(),
            pace.hello.as_millis(),
            pace.dead.as_millis()
        ))
    });
    let slowed: Vec<String> = slowed.collect();
    let message = format!("{}; divide the segment to have the profile's times", slowed.join("; "));
    (!slowed.is_empty()).then(|| Statement::fails("FullPace", &Reason::SegmentCrowded.to_string(), message))
}

/// Adds since when each condition is so: unchanged while its status is.
fn with_transitions(statements: Vec<Statement>, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    let with_time = |statement: Statement| {
        let status = if statement.holds { "True" } else { "False" };
        let held = before.iter().find(|old| old.type_ == statement.type_ && old.status == status);
        Condition {
            type_: statement.type_.to_owned(),
            status: status.to_owned(),
            reason: statement.reason,
            message: statement.message,
            last_transition_time: held.map_or(Time(now), |old| old.last_transition_time.clone()),
            observed_generation: None,
        }
    };
    statements.into_iter().map(with_time).collect()
}
