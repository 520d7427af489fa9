// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How a speaker stands with a router: part of a Speaker's status. The bounds are such that 128 of the longest fit into an object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

/// A router that a node is to speak to, and what came of it.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BGPSession {
    /// The BGPPeer.
    #[schemars(length(max = 253))]
    pub peer: String,
    /// Where the router is: an address and a port, or the interface on which it is the only one; empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub router: String,
    /// Whether there is a session.
    pub state: SessionState,
    /// Since when that is so.
    pub since: Option<Time>,
    /// Why there is no session, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why there is no session, and what can be done; or what to know of one that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// What people should know of the router, whether there is a session or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub note: Option<String>,
    /// How the last session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<SessionEnd>,
    /// What both sides agreed on; only while there is a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<SessionTerms>,
    /// Why some routes cannot be told to the router, with an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub unsendable: Option<String>,
    /// How the path to it is, where BFD is to watch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<BFDSession>,
    /// Messages, routes and failures, by name. Not in a cluster, where metrics hold them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
}

/// How far a session is.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// The router is told our routes.
    Established,
    /// There is none, and the node tries to make one.
    #[default]
    Connecting,
    /// The node cannot even try.
    Blocked,
}

impl SessionState {
    /// Its name in statuses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Established => "Established",
            Self::Connecting => "Connecting",
            Self::Blocked => "Blocked",
        }
    }
}

/// How a session ended.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnd {
    /// When.
    pub at: Time,
    /// Why.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// What holds for a session.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SessionTerms {
    /// Our end of the connection.
    #[schemars(length(max = 128))]
    pub local_address: String,
    /// The router's end.
    #[schemars(length(max = 128))]
    pub peer_address: String,
    /// The autonomous system that the router takes us for.
    #[serde(rename = "localASN")]
    pub local_asn: u32,
    /// The router's.
    #[serde(rename = "peerASN")]
    pub peer_asn: u32,
    /// The router's BGP identifier.
    #[serde(rename = "peerRouterID")]
    #[schemars(length(max = 15))]
    pub peer_router_id: String,
    /// How long a silence is borne, in seconds; 0: for ever.
    pub hold_seconds: u16,
    /// The families that both sides carry.
    #[schemars(length(max = 8), inner(length(max = 32)))]
    pub families: Vec<String>,
    /// What we said that we can do.
    #[schemars(length(max = 12), inner(length(max = 192)))]
    pub capabilities_sent: Vec<String>,
    /// What the router said.
    #[schemars(length(max = 12), inner(length(max = 192)))]
    pub capabilities_received: Vec<String>,
}

/// How a path is that BFD is to watch.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BFDSession {
    /// `Up`, `Init`, `Down` or `AdminDown`; `NotWatched` where the node cannot watch it.
    #[schemars(length(max = 32))]
    pub state: String,
    /// Since when it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// Packets and changes, by name. Not in a cluster, where metrics hold them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
}
