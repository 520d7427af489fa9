// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds of the group `metallb.io` that are read, with the fields that mean something to FerroLB. MetalLB's
//! CustomResourceDefinitions check them; here everything may be absent, so that no object is lost for one field.

mod routing;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use routing::{
    BFDProfile, BFDProfileSpec, BGPAdvertisement, BGPAdvertisementSpec, BGPPeer, BGPPeerSpec, Community,
    CommunityAlias, CommunitySpec, SecretReference,
};

/// The namespace that MetalLB is installed in, unless told otherwise. It reads its objects there only.
pub const DEFAULT_NAMESPACE: &str = "metallb-system";

/// Ranges of addresses that Services may be given.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "IPAddressPool",
    plural = "ipaddresspools",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct IPAddressPoolSpec {
    /// Ranges, each a CIDR or two addresses with a dash.
    pub addresses: Vec<String>,
    /// Whether Services that name no pool may be given an address from this one; unset means yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    /// Leave out IPv4 addresses that end in .0 or .255.
    #[serde(rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,
    /// Who may draw from the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// Who may draw from a pool.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAllocation {
    /// Pools with a lower number are tried first; 0 comes last.
    pub priority: i64,
    /// Namespaces by name.
    pub namespaces: Vec<String>,
    /// Namespaces by their labels.
    pub namespace_selectors: Vec<LabelSelector>,
    /// Services by their labels.
    pub service_selectors: Vec<LabelSelector>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// Which pools are announced by ARP and NDP.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct L2AdvertisementSpec {
    /// Pools by name.
    #[serde(rename = "ipAddressPools")]
    pub ip_address_pools: Vec<String>,
    /// Pools by their labels, in addition to those named.
    #[serde(rename = "ipAddressPoolSelectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// Nodes that may carry the addresses.
    pub node_selectors: Vec<LabelSelector>,
    /// Nodes that come first among them.
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,
    /// Services whose addresses are announced.
    pub service_selectors: Vec<LabelSelector>,
    /// Interfaces to announce from.
    pub interfaces: Vec<String>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// Nodes that are preferred, and how much.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PreferredNodeSelector {
    /// How much: 1 to 100, as MetalLB's definition demands.
    pub weight: i64,
    /// Which nodes, by their labels.
    pub preference: LabelSelector,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}
