// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Speaker: what the agent on one node reports about itself. Status only.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::BGPSession;

/// A speaker that has not renewed its heartbeat for longer counts as dead, and what it says about addresses as past.
pub const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The agent on one node; the object is named after the node.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "Speaker",
    plural = "speakers",
    category = "ferrolb",
    status = "SpeakerStatus",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Owns","type":"integer","jsonPath":".status.owned"}"#,
    printcolumn = r#"{"name":"Hears","type":"string","jsonPath":".status.segments[*].heard"}"#,
    printcolumn = r#"{"name":"Routers","type":"string","jsonPath":".status.bgp[*].state","priority":1}"#,
    printcolumn = r#"{"name":"Problems","type":"string","jsonPath":".status.conditions[?(@.status==\"False\")].reason"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","priority":1}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.version","priority":1}"#,
    printcolumn = r#"{"name":"Started","type":"date","jsonPath":".status.started"}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpeakerSpec {}

/// What a speaker reports about itself.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SpeakerStatus {
    /// The generation that this status speaks of; a Speaker has no spec, so it is that of its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The program's version.
    pub version: String,
    /// The profile that the times of layer 2 follow: `default`, `fast` or `slow`.
    #[schemars(length(max = 32))]
    pub profile: String,
    /// The keys in force for hellos, by names that tell nothing of them; the first signs, a second one is accepted too.
    #[schemars(length(max = 2), inner(length(max = 4)))]
    pub hello_keys: Vec<String>,
    /// When the process started.
    pub started: Option<Time>,
    /// Written every 10 s while the process lives, see [`SILENT_AFTER`]; not in a cluster, where the Node object says
    /// whether the node lives.
    pub heartbeat: Option<Time>,
    /// `Ready`, and what the node lacks: rights, sysctls, tools.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The interfaces that could carry addresses.
    pub interfaces: Vec<SpeakerInterface>,
    /// The segments that the speaker takes part in.
    pub segments: Vec<SpeakerSegment>,
    /// Virtual IPs that this node may not carry, each with its reason: `reason: message`. In a cluster the first hundred.
    pub refusals: BTreeMap<String, String>,
    /// How many more there are.
    pub refusals_left_out: u32,
    /// Services, or ports of Services, that the addresses they were given do not serve: the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub unserved: Vec<UnservedService>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub unserved_left_out: u32,
    /// The routers that this node is to speak to, by the names of their BGPPeers: the first 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub bgp: Vec<BGPSession>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub bgp_left_out: u32,
    /// How many groups of addresses the node owns, over all segments.
    pub owned: u32,
    /// Counters since the start, by name: refused packets by kind, frames answered, moves. Not in a cluster, where metrics
    /// hold them.
    pub counters: BTreeMap<String, u64>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A Service, or one port of it, that an address does not serve although the Service was given the address.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
#[serde(rename_all = "camelCase")]
pub struct UnservedService {
    /// The address.
    #[schemars(length(max = 45))]
    pub address: String,
    /// The Service, as `namespace/name`.
    #[schemars(length(max = 317))]
    pub service: String,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What is wrong and what can be done.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// One interface of the node.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerInterface {
    /// The interface's name.
    pub name: String,
    /// Whether it is up and has carrier.
    pub up: bool,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses with their on-link prefix, `198.51.100.1/24`.
    pub addresses: Vec<String>,
}

/// One segment as this node sees it.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerSegment {
    /// The interface's name.
    pub interface: String,
    /// How many groups this node owns here.
    pub owned: u32,
    /// The names of the neighbours heard; a node that no object names appears by its id.
    pub heard: Vec<String>,
}
