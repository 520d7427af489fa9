// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The shape of `ferrolb status -o json|yaml`. Fields may be added; none is renamed or removed within
//! [`VERSION`].

use ferrolb_config::api::AddressMode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// The version of the report's shape, its `version` field.
pub const VERSION: &str = "v1beta1";

/// Everything that is known about addresses, Services and speakers, each list in a fixed order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// [`VERSION`].
    pub version: String,
    /// When this was read; every age counts from here.
    pub read_at: Time,
    /// The addresses in use, in numeric order, IPv4 first.
    pub addresses: Vec<AddressStatus>,
    /// The Services of type LoadBalancer, by namespace and name.
    pub services: Vec<ServiceStatus>,
    /// The FloatingIPs, by namespace and name.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub floating_ips: Vec<FloatingIPReport>,
    /// The speakers, by node name.
    pub speakers: Vec<SpeakerReport>,
    /// Objects that are not used as they stand.
    pub refused: Vec<Finding>,
}

/// One address in use.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AddressStatus {
    /// The address.
    pub address: String,
    /// The pool that it was drawn from.
    pub pool: String,
    /// The Services that use it, as `namespace/name`, the oldest first.
    pub services: Vec<String>,
    /// The FloatingIP that uses it, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floating_ip: Option<String>,
    /// How its node holds it, where that is not `ReplyOnly`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<AddressMode>,
    /// The ports in use, as `80/TCP`.
    pub ports: Vec<String>,
    /// What is elected together with it, where that is more than this address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
    /// Who carries it, one entry a segment; empty when nobody does.
    pub carriers: Vec<Carrier>,
    /// The nodes that tell it to routers; `ferrolb bgp routes` says how.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub told_to_routers_by: Vec<String>,
    /// Why nodes do not carry it, by node name.
    pub refusals: Vec<NodeRefusal>,
    /// What another node saw that asked for it as a client does; `null` before one did.
    pub reachable: Option<Reachable>,
    /// Services on it, or ports of them, that it does not serve.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unserved: Vec<Unserved>,
}

/// Whether another node of the segment is answered when it asks for an address.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Reachable {
    /// It is.
    pub reached: bool,
    /// `Reachable`, or why not, in one word.
    pub reason: String,
    /// Who asked whom, and what can be done.
    pub message: String,
    /// Since when it is so.
    pub since: Time,
}

/// A Service, or a port of it, that an address does not serve.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Unserved {
    /// The Service, as `namespace/name`.
    pub service: String,
    /// The nodes that say so.
    pub nodes: Vec<String>,
    /// Why, in one word.
    pub reason: String,
    /// What is wrong and what can be done.
    pub message: String,
}

/// The node that answers for an address on one segment.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Carrier {
    /// The node's name.
    pub node: String,
    /// The segment, named by the on-link prefix that its nodes share.
    pub segment: String,
    /// The interface by which the node is on the segment.
    pub interface: String,
    /// When it took the address.
    pub since: Time,
    /// The claim's term; it grows with every move.
    pub term: u64,
    /// Why this node took it, in words.
    pub why: String,
    /// The node's speaker has been silent for longer than 30 s, so that this entry may be out of date.
    pub stale: bool,
}

/// Why one node does not carry an address.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NodeRefusal {
    /// The node's name.
    pub node: String,
    /// The reason, and what is behind it.
    pub why: String,
}

/// One Service of type LoadBalancer.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The addresses that it was given.
    pub addresses: Vec<String>,
    /// What it asked for and did not get.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pending: Option<Problem>,
}

/// One FloatingIP.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FloatingIPReport {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The addresses that it was given.
    pub addresses: Vec<String>,
    /// How it asks for them to be held; unset while its spec is refused and never was accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<AddressMode>,
    /// What it asked for and did not get.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pending: Option<Problem>,
}

/// A condition that is not as it should be.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The reason, one CamelCase word.
    pub reason: String,
    /// What is wrong and what can be done.
    pub message: String,
}

/// One speaker.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerReport {
    /// Its node's name.
    pub node: String,
    /// The program's version.
    pub version: String,
    /// The profile that its times of layer 2 follow.
    pub profile: String,
    /// What the keys of its hellos are called, the one that signs first; the names tell nothing of the keys.
    pub hello_keys: Vec<String>,
    /// When it last wrote; `null` when it never did.
    pub heartbeat: Option<Time>,
    /// It has not written for more than 30 s.
    pub silent: bool,
    /// How many addresses or groups of addresses it carries, over all segments.
    pub owned: u32,
    /// The neighbours that it hears, over all segments.
    pub heard: Vec<String>,
    /// How many routers it has sessions with, of how many that it is to speak to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub routers: Option<RouterCount>,
    /// Its interfaces that could carry addresses, as `eth0 198.51.100.1/24`; one that is down ends in `(down)`.
    pub interfaces: Vec<String>,
    /// Its conditions that are not as they should be.
    pub problems: Vec<Problem>,
}

/// Routers of one speaker.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RouterCount {
    /// Those that there is a session with.
    pub established: usize,
    /// Those that it is to speak to.
    pub wanted: usize,
}
