// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! L2Advertisement: which pools are announced by ARP and NDP, from which nodes and interfaces.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Which pools are announced by ARP and NDP. Within one list of selectors any match counts; an empty list selects
/// everything.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    shortname = "l2adv",
    category = "ferrolb",
    status = "L2AdvertisementStatus",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Pools","type":"string","jsonPath":".spec.addressPools"}"#,
    printcolumn = r#"{"name":"Interfaces","type":"string","jsonPath":".spec.interfaces"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct L2AdvertisementSpec {
    /// Pools by name. With no names and no selectors, every pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub address_pools: Vec<String>,
    /// Pools by their labels, in addition to those named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub address_pool_selectors: Vec<LabelSelector>,
    /// Nodes that may carry the addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub node_selectors: Vec<LabelSelector>,
    /// Nodes that come first among those that may carry the addresses: the weights of all that match a node add up, over all
    /// advertisements that cover an address and select the node, and the highest sum takes what is free. An address that
    /// somebody carries stays where it is until it is moved on request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,
    /// Services whose addresses are announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub service_selectors: Vec<LabelSelector>,
    /// Interfaces to announce from, by name. Empty: those whose on-link prefix holds the address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 15)), extend("x-kubernetes-list-type" = "set"))]
    pub interfaces: Vec<String>,
}

/// Nodes that are preferred, and how much.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreferredNodeSelector {
    /// How much: 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u8,
    /// Which nodes, by their labels.
    pub preference: LabelSelector,
}

/// What the controller reports about an advertisement.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct L2AdvertisementStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, with the reason when it is not.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The last spec that was accepted; it stays in force while a later edit is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<L2AdvertisementSpec>,
}
