// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Community: names for BGP communities.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Names for BGP communities, for use in BGPAdvertisements. A name stands in one object only.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "Community",
    plural = "communities",
    category = "ferrolb",
    status = "CommunityStatus",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Names","type":"string","jsonPath":".spec.communities[*].name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommunitySpec {
    /// The names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub communities: Vec<NamedCommunity>,
}

/// A community with a name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedCommunity {
    /// The name. It holds no colon, so that it is not taken for a community.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[^:]+$"))]
    pub name: String,
    /// `65000:100` (RFC 1997), or `large:65000:1:2` (RFC 8092).
    #[schemars(length(min = 3, max = 39))]
    #[x_kube(validation = Rule::new(
        "self.matches('^[0-9]{1,5}:[0-9]{1,5}$') ? self.split(':').all(part, int(part) <= 65535) : self.matches('^large:[0-9]{1,10}:[0-9]{1,10}:[0-9]{1,10}$') && self.split(':').all(part, part == 'large' || int(part) <= 4294967295)"
    ).message("a community is two numbers up to 65535 with a colon between, or large: and three numbers up to 4294967295 with colons between"))]
    pub value: String,
}

/// What the controller reports about the names.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct CommunityStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, with the reason when it is not.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The last spec that was accepted; it stays in force while a later edit is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<CommunitySpec>,
}
