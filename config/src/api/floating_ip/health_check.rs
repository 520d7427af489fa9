// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What must answer on a node for it to carry an address.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One check, which a candidate makes of itself: exactly one of `http`, `tcp` and, without a cluster, `exec`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// The schema of a cluster has no `exec`: see `crds`.
#[x_kube(validation = Rule::new("has(self.http) != has(self.tcp)").message("a health check is either http or tcp"))]
pub struct HealthCheck {
    /// A GET request over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HTTPCheck>,
    /// A connection over TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TCPCheck>,
    /// A command, which must end with 0. In manifests that are read without a cluster only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
    /// Seconds from one try to the next.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 3600))]
    pub interval_seconds: u32,
    /// Seconds after which a try without an answer has failed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: u32,
    /// Tries in a row that must succeed before the node counts as healthy.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub rise: u32,
    /// Tries in a row that must fail before it counts as unhealthy.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub fall: u32,
}

/// A GET request over HTTP to a port of the node itself.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPCheck {
    /// The port on the node.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The path, with a query if need be.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[!-~]*$"))]
    pub path: String,
    /// What the header `Host` says. Default: the node's loopback address and the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[!-~]+$"))]
    pub host: Option<String>,
    /// The status codes that count as success: one, `200`, or two with a dash.
    #[serde(default = "success")]
    #[schemars(length(min = 3, max = 7), regex(pattern = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"))]
    pub expected_status: String,
}

/// A connection over TCP to a port of the node itself.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TCPCheck {
    /// The port on the node.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// A command on the node, run as the speaker is.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecCheck {
    /// The program and its arguments; no shell reads them.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

fn root() -> String {
    "/".to_owned()
}

fn success() -> String {
    "200-399".to_owned()
}
