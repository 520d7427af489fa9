// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's kinds that speak of routers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A router that routes are told to.
#[derive(CustomResource, Serialize, Deserialize, Clone, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta2",
    kind = "BGPPeer",
    plural = "bgppeers",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct BGPPeerSpec {
    /// Our autonomous system.
    #[serde(rename = "myASN")]
    pub my_asn: u32,
    /// The peer's; 0 means unset.
    #[serde(rename = "peerASN")]
    pub peer_asn: u32,
    /// `internal` or `external`, in place of a number; empty means unset.
    #[serde(rename = "dynamicASN")]
    pub dynamic_asn: String,
    /// The autonomous system that the peer takes us for; 0 means unset.
    #[serde(rename = "localASN")]
    pub local_asn: u32,
    /// The peer's address; empty means unset.
    pub peer_address: String,
    /// The interface on which the peer is the only router; empty means unset.
    pub interface: String,
    /// The peer's port; 0 means unset.
    pub peer_port: u16,
    /// The node's address to speak from; empty means unset.
    pub source_address: String,
    /// How long a silence to bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,
    /// How often to say that we are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_time: Option<String>,
    /// The pause between two attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_time: Option<String>,
    /// The BGP identifier; empty means unset.
    #[serde(rename = "routerID")]
    pub router_id: String,
    /// Nodes that speak to the peer.
    pub node_selectors: Vec<LabelSelector>,
    /// The password itself; empty means unset.
    pub password: String,
    /// The Secret with the password; an empty name means unset.
    pub password_secret: SecretReference,
    /// The BFD profile; empty means unset.
    pub bfd_profile: String,
    /// Whether the peer is asked to keep our routes while we restart.
    pub enable_graceful_restart: bool,
    /// The peer is several hops away.
    pub ebgp_multi_hop: bool,
    /// The VRF that the session is in; empty means none.
    pub vrf: String,
    /// Routes of the peer's own family only; deprecated, and the default.
    #[serde(rename = "disableMP")]
    pub disable_mp: bool,
    /// Routes of both families.
    pub dual_stack_address_family: bool,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

impl std::fmt::Debug for BGPPeerSpec {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BGPPeerSpec")
            .field("peer_address", &self.peer_address)
            .field("interface", &self.interface)
            .finish_non_exhaustive()
    }
}

/// Names a Secret.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
    /// Its namespace; MetalLB reads those of its own only.
    pub namespace: String,
}

/// Which pools are announced to routers, and how.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BGPAdvertisement",
    plural = "bgpadvertisements",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct BGPAdvertisementSpec {
    /// How long the prefixes of IPv4 routes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_length: Option<i64>,
    /// How long the prefixes of IPv6 routes are.
    #[serde(rename = "aggregationLengthV6", skip_serializing_if = "Option::is_none")]
    pub aggregation_length_v6: Option<i64>,
    /// LOCAL_PREF; 0 means unset.
    pub local_pref: u32,
    /// Communities, or their names.
    pub communities: Vec<String>,
    /// Pools by name.
    #[serde(rename = "ipAddressPools")]
    pub ip_address_pools: Vec<String>,
    /// Pools by their labels, in addition to those named.
    #[serde(rename = "ipAddressPoolSelectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// Nodes that announce.
    pub node_selectors: Vec<LabelSelector>,
    /// Peers by name.
    pub peers: Vec<String>,
    /// Services whose addresses are announced.
    pub service_selectors: Vec<LabelSelector>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// How closely the path to a router is watched.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "BFDProfile",
    plural = "bfdprofiles",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct BFDProfileSpec {
    /// Milliseconds between packets that we want to receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_interval: Option<u32>,
    /// Milliseconds between packets that we want to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmit_interval: Option<u32>,
    /// How many packets in a row may be missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect_multiplier: Option<u32>,
    /// Of echo mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_interval: Option<u32>,
    /// Whether echo packets are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_mode: Option<bool>,
    /// Wait for the peer to speak first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive_mode: Option<bool>,
    /// The least time to live of packets over several hops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_ttl: Option<u32>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// Names for communities.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "Community",
    plural = "communities",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct CommunitySpec {
    /// The names.
    pub communities: Vec<CommunityAlias>,
    /// What FerroLB does not know.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// A community with a name.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct CommunityAlias {
    /// The name.
    pub name: String,
    /// The community.
    pub value: String,
}
