// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What dead speakers can no longer take back: that they carry an address, and that they are well.
//!
//! In a cluster a speaker writes when something changes, not to say that it lives: Kubernetes knows that of its node. A
//! node that is gone, or has not been ready for a while, carries nothing any more; by then another node has entered
//! itself on every segment where there is one, and what is left is taken out here.

use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::api::{Speaker, VirtualIP};
use ferrolb_config::condition::{self, READY};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::apply::{Target, Write};

/// How long a node is not ready before its speaker counts as dead: a successor enters itself meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The statuses of addresses and speakers of dead nodes to write.
pub(in crate::apply) fn departed(objects: &Objects, target: Target<'_>, now: &Time) -> Vec<Write> {
    if matches!(target, Target::Directory(_)) || objects.freshness.unknown.contains("Node") {
        return Vec::new();
    }
    let is_dead = |node: &str| objects.nodes.get(node).is_none_or(|node| is_dead(node, now));
    let addresses = objects.virtual_ips.values().filter_map(|object| without(object, is_dead, now));
    let speakers = objects.speakers.iter().filter(|(node, _)| is_dead(node));
    addresses.chain(speakers.filter_map(|(node, speaker)| silenced(node, speaker, now))).collect()
}

/// Whether a node may count as dead soon although nothing changes.
pub(crate) fn may_depart(objects: &Objects, now: &Time) -> bool {
    objects.nodes.values().any(|node| is_unready(node).is_some() && !is_dead(node, now))
}

fn is_dead(node: &Arc<Node>, now: &Time) -> bool {
    is_unready(node).is_some_and(|since| {
        since.is_none_or(|since| now.0.duration_since(since.0).as_secs() >= PATIENCE.as_secs().cast_signed())
    })
}

/// Since when a node is not ready; the inner `None`: nobody knows.
fn is_unready(node: &Node) -> Option<Option<&Time>> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    // A node that nobody judges, as in tests and in clusters without kubelets, lives.
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.filter(|ready| ready.status != "True").map(|ready| ready.last_transition_time.as_ref())
}

fn without(object: &Arc<VirtualIP>, is_dead: impl Fn(&str) -> bool, now: &Time) -> Option<Write> {
    let status = object.status.as_ref()?;
    if !status.layer2.iter().any(|owner| is_dead(&owner.node)) {
        return None;
    }
    let mut object = VirtualIP::clone(object);
    if let Some(status) = &mut object.status {
        status.layer2.retain(|owner| !is_dead(&owner.node));
        status.judge(object.metadata.generation, now.clone());
    }
    Some(Write::PutVirtualIPStatus(Box::new(object)))
}

fn silenced(node: &str, speaker: &Arc<Speaker>, now: &Time) -> Option<Write> {
    let mut object = Speaker::clone(speaker);
    let status = object.status.as_mut()?;
    let ready = condition::find(&status.conditions, READY);
    if ready.is_some_and(|ready| ready.status == "Unknown") {
        return None;
    }
    let unknown = Condition {
        last_transition_time: now.clone(),
        message: format!("the node {node} is not ready or gone; what its speaker said last is below"),
        observed_generation: status.observed_generation,
        reason: "NodeNotReady".to_owned(),
        status: "Unknown".to_owned(),
        type_: READY.to_owned(),
    };
    condition::set(&mut status.conditions, unknown);
    Some(Write::PutSpeakerStatus(Box::new(object)))
}
