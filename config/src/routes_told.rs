// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker answers when it is asked which routes it tells to whom. There may be more of them than an object of the
//! cluster takes.

use serde::{Deserialize, Serialize};

use crate::api::SessionState;

/// The routes of one router.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RoutesTold {
    /// The node that tells.
    pub node: String,
    /// The BGPPeer that is told.
    pub peer: String,
    /// Whether there is a session; without one the routes are what the router will be told.
    pub state: SessionState,
    /// How many of the routes wait to be sent, or to be withdrawn.
    pub waiting: u64,
    /// How many of the routes the session cannot carry; the status of the session says why.
    pub unsendable: u64,
    /// The routes, in the order of their prefixes, IPv4 first.
    pub routes: Vec<RouteTold>,
}

/// A route.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RouteTold {
    /// The prefix, `198.51.100.1/32`.
    pub prefix: String,
    /// Where the router shall send traffic to; only a session has next hops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    /// LOCAL_PREF; told to routers of the own autonomous system only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Standard and large communities, as `65000:100` and `large:65000:1:2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,
}
