// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BGPPeer: a router that speakers tell their routes to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::IPFamily;

/// The port of BGP (RFC 4271, section 3).
const BGP_PORT: u16 = 179;

/// A router that the speakers of some nodes, or of all, tell their routes to. Nothing that it sends enters a kernel table.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "BGPPeer",
    plural = "bgppeers",
    category = "ferrolb",
    status = "BGPPeerStatus",
    validation = Rule::new("has(self.spec.peerAddress) != has(self.spec.interface)")
        .message("a peer has either peerAddress, or an interface where it is the only router"),
    validation = Rule::new("has(self.spec.peerASN) != has(self.spec.dynamicASN)")
        .message("a peer has either peerASN, or dynamicASN: internal or external"),
    validation = Rule::new(
        "!self.spec.ebgpMultiHop || !(has(self.spec.dynamicASN) && self.spec.dynamicASN == 'internal') && !(has(self.spec.peerASN) && self.spec.peerASN == (has(self.spec.localASN) ? self.spec.localASN : self.spec.myASN))"
    )
    .message("ebgpMultiHop is for peers of another autonomous system; iBGP goes over several hops by itself"),
    validation = Rule::new("!self.spec.ebgpMultiHop || !has(self.spec.ttlSecurity)")
        .message("ttlSecurity says how far away the peer may be, so ebgpMultiHop adds nothing: leave it out"),
    validation = Rule::new("!has(self.spec.interface) || !has(self.spec.sourceAddress)")
        .message("a peer on an interface is spoken to from that interface's link-local address: leave sourceAddress out"),
    validation = Rule::new(
        "!has(self.spec.peerAddress) || !has(self.spec.sourceAddress) || !isIP(self.spec.peerAddress) || !isIP(self.spec.sourceAddress) || ip(self.spec.peerAddress).family() == ip(self.spec.sourceAddress).family()"
    )
    .message("sourceAddress and peerAddress are of one family"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Established","type":"string","jsonPath":".status.conditions[?(@.type==\"Established\")].status"}"#,
    printcolumn = r#"{"name":"Sessions","type":"string","jsonPath":".status.conditions[?(@.type==\"Established\")].message","priority":1}"#,
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.peerAddress"}"#,
    printcolumn = r#"{"name":"Interface","type":"string","jsonPath":".spec.interface"}"#,
    printcolumn = r#"{"name":"ASN","type":"string","jsonPath":".spec.peerASN"}"#,
    printcolumn = r#"{"name":"Own ASN","type":"string","jsonPath":".spec.myASN"}"#,
    printcolumn = r#"{"name":"BFD","type":"string","jsonPath":".spec.bfdProfile"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BGPPeerSpec {
    /// Our autonomous system.
    #[serde(rename = "myASN")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub my_asn: u32,
    /// The peer's autonomous system.
    #[serde(default, rename = "peerASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub peer_asn: Option<u32>,
    /// Which autonomous systems the peer may be of, in place of a number: `internal`, ours; `external`, any other.
    #[serde(default, rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    pub dynamic_asn: Option<DynamicASN>,
    /// The autonomous system that this peer shall take us for, in place of `myASN`.
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub local_asn: Option<u32>,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    #[x_kube(validation = Rule::new("isIP(self)").message("peerAddress is an IP address"))]
    pub peer_address: Option<String>,
    /// The interface on which the peer is the only router (unnumbered BGP): it is found by its router advertisements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// The peer's TCP port.
    #[serde(default = "bgp_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub peer_port: u16,
    /// The node's own address to speak from. It has to be on the node; default: the kernel chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    #[x_kube(validation = Rule::new("isIP(self)").message("sourceAddress is an IP address"))]
    pub source_address: Option<String>,
    /// How long a silence to bear, `90s`: 0s for ever, or 3 s to 65535 s. The peer may ask for less. Default: 90 s, or three times
    /// keepaliveTime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 24), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new("duration(self) == duration('0s') || duration(self) >= duration('3s') && duration(self) <= duration('65535s')").message("holdTime is 0s, or 3s to 65535s (RFC 4271)"))]
    pub hold_time: Option<String>,
    /// How often to say that we are there. Default: every third of the hold time that both sides agree on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 24), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new("duration(self) == duration('0s') || duration(self) >= duration('1s') && duration(self) <= duration('21845s')").message("keepaliveTime is 0s, or 1s to 21845s"))]
    pub keepalive_time: Option<String>,
    /// The longest pause between two attempts to connect, 1 s to 65535 s; the first ones follow faster. Default: 30 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 24), regex(pattern = DURATION))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('65535s')").message("connectTime is 1s to 65535s"))]
    pub connect_time: Option<String>,
    /// The BGP identifier of each node that speaks to this peer, so select one node. Default: an IPv4 address of the node.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15))]
    #[x_kube(validation = Rule::new("isIP(self) && ip(self).family() == 4 && self != '0.0.0.0'").message("routerID is written like an IPv4 address, and is not 0.0.0.0"))]
    pub router_id: Option<String>,
    /// The peer is several hops away, though of another autonomous system.
    #[serde(default)]
    pub ebgp_multi_hop: bool,
    /// How many hops away the peer is at most; 1: on the same link. What comes from farther away is dropped by the kernel (GTSM, RFC
    /// 5082); the peer has to do the same, or it drops what we send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 254))]
    pub ttl_security: Option<u8>,
    /// The Secret with the password of the TCP MD5 signature (RFC 2385): of type kubernetes.io/basic-auth, in the namespace that
    /// FerroLB is installed in, key `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<PasswordSecret>,
    /// The BFDProfile that watches over the path to the peer. Default: no BFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub bfd_profile: Option<String>,
    /// Ask the peer to keep our routes while a speaker restarts (RFC 4724).
    #[serde(default)]
    pub enable_graceful_restart: bool,
    /// The families of the routes. Default: the family of peerAddress; on an interface, both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub families: Vec<IPFamily>,
    /// The nodes that speak to the peer; any match counts. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub node_selectors: Vec<LabelSelector>,
}

/// Hours, minutes, seconds and milliseconds, as Go writes them.
const DURATION: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$";

fn bgp_port() -> u16 {
    BGP_PORT
}

/// Which autonomous systems a peer may be of.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DynamicASN {
    /// Ours: iBGP.
    Internal,
    /// Any but ours: eBGP.
    External,
}

/// Names a Secret in the namespace that FerroLB is installed in.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordSecret {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What the controller reports about a peer. Each node's session is told by its Speaker.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct BGPPeerStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, with the reason when it is not; and `Established`: how many of the nodes that should have a session have one, and
    /// what the first of the others says.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The last spec that was accepted; it stays in force while a later edit is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<BGPPeerSpec>,
}
