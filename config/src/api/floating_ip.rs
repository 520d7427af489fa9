// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIP: an address that floats between nodes without a Service of type LoadBalancer.

mod health_check;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use health_check::{ExecCheck, HTTPCheck, HealthCheck, TCPCheck};

/// A claim on one address, or one of each family, that one of several nodes carries: for an ingress, an API server, or
/// anything else that runs on nodes.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "FloatingIP",
    plural = "floatingips",
    shortname = "fip",
    category = "ferrolb",
    namespaced,
    status = "FloatingIPStatus",
    validation = Rule::new("self.spec.mode == 'Bound' ? !has(self.spec.target) : has(self.spec.target)")
        .message("mode ReplyOnly needs spec.target, which says where the traffic goes; mode Bound takes none"),
    validation = Rule::new(
        "!has(self.spec.addresses) || !has(self.spec.ipFamilies) || self.spec.addresses.size() == 0 || self.spec.ipFamilies.size() == 0 || self.spec.addresses.size() == self.spec.ipFamilies.size() && self.spec.addresses.all(a, isIP(a) && (ip(a).family() == 4 ? 'IPv4' in self.spec.ipFamilies : 'IPv6' in self.spec.ipFamilies))"
    )
    .message("spec.addresses asks for other families than spec.ipFamilies"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Addresses","type":"string","jsonPath":".status.addresses"}"#,
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Group","type":"string","jsonPath":".spec.group"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Pool","type":"string","jsonPath":".spec.pool","priority":1}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FloatingIPSpec {
    /// The AddressPool to draw from. Without it any pool that gives addresses automatically and serves the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub pool: Option<String>,
    /// Certain addresses, at most one of each family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), inner(length(min = 1, max = 45)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(address, isIP(address)) && (self.size() < 2 || ip(self[0]).family() != ip(self[1]).family())").message("addresses holds IP addresses, at most one of each family"))]
    pub addresses: Vec<String>,
    /// The families, each once. Two of them: one address of each, from one pool. Default: one address, of the pool's first
    /// family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub ip_families: Vec<IPFamily>,
    /// FloatingIPs of one namespace that name the same group are carried by one node. The addresses of one FloatingIP
    /// always are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub group: Option<String>,
    /// How the node that carries the address holds it.
    #[serde(default)]
    pub mode: AddressMode,
    /// Where the traffic goes. Needed for ReplyOnly; with Bound the node's own programs listen on the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<FloatingTarget>,
    /// Which nodes may carry the address; both parts must hold. Default: every node that an advertisement selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Candidates>,
    /// What must answer on a node for it to carry the address. Each node asks itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub health_checks: Vec<HealthCheck>,
}

/// An address family.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IPFamily {
    /// IPv4.
    IPv4,
    /// IPv6.
    IPv6,
}

/// How the node that carries an address holds it.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum AddressMode {
    /// The address is on no interface: the node answers ARP and NDP for it and leads its traffic to the target. A
    /// program that is killed cannot go on answering.
    #[default]
    ReplyOnly,
    /// The address is on an interface of the node, so that programs can listen on it and send from it. Only from a pool
    /// with `allowBound`.
    Bound,
}

impl std::fmt::Display for AddressMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// Where the traffic of an address goes: to exactly one of these.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.ports) && self.ports.size() > 0) != has(self.service)").message("a target is either ports or a service"))]
pub struct FloatingTarget {
    /// Ports on the node that carries the address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["port", "protocol"]))]
    pub ports: Vec<FloatingPort>,
    /// A Service of the same namespace, by its name: its ports, and its endpoints on any node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub service: Option<String>,
}

/// A port of the address, and the port on the node that it leads to.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FloatingPort {
    /// The port on the address.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The protocol.
    #[serde(default)]
    pub protocol: Transport,
    /// The port on the node. Default: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target_port: Option<u16>,
}

/// A transport protocol.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Which nodes may carry an address.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidates {
    /// Nodes with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// Nodes with a ready endpoint of this Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub service: Option<String>,
}

/// What the controller reports about a FloatingIP.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct FloatingIPStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`: it has the addresses that it asks for; with the reason when it has not.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The addresses, IPv4 first.
    pub addresses: Vec<String>,
    /// The last spec that was accepted; it stays in force while a later edit is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<FloatingIPSpec>,
}
