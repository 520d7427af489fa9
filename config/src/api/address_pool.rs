// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! AddressPool: ranges of addresses, and who may draw from them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Ranges of addresses that Services may be given.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "AddressPool",
    plural = "addresspools",
    shortname = "pool",
    category = "ferrolb",
    status = "AddressPoolStatus",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"IPv4 free","type":"string","jsonPath":".status.ipv4.available"}"#,
    printcolumn = r#"{"name":"IPv6 free","type":"string","jsonPath":".status.ipv6.available"}"#,
    printcolumn = r#"{"name":"Auto","type":"boolean","jsonPath":".spec.autoAssign"}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressPoolSpec {
    /// Ranges, each a CIDR (`192.0.2.0/24`) or two addresses with a dash (`192.0.2.10-192.0.2.20`). A CIDR means
    /// every address in it.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 96)))]
    #[x_kube(validation = Rule::new(
        "self.all(range, isCIDR(range) || isIP(range) || (range.split('-').size() == 2 && range.split('-').all(end, isIP(end.trim())) && ip(range.split('-')[0].trim()).family() == ip(range.split('-')[1].trim()).family()))"
    ).message("each range is a CIDR, an address, or two addresses of one family with a dash"))]
    pub addresses: Vec<String>,

    /// Whether Services that name no pool may be given an address from this one.
    #[serde(default = "yes")]
    pub auto_assign: bool,

    /// Leave out IPv4 addresses that end in .0 or .255, which some old equipment drops.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,
}

fn yes() -> bool {
    true
}

/// What the controller reports about a pool.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressPoolStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, with the reason when it is not.
    pub conditions: Vec<Condition>,
    /// The last ranges that were accepted; they stay in force while a later edit is refused.
    pub accepted_addresses: Vec<String>,
    /// IPv4 addresses of the accepted ranges.
    pub ipv4: Option<FamilyUsage>,
    /// IPv6 addresses of the accepted ranges.
    pub ipv6: Option<FamilyUsage>,
}

/// How many addresses of one family a pool has. Decimal strings, since an IPv6 range overflows every JSON number.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FamilyUsage {
    /// All addresses that may be given.
    pub total: String,
    /// Addresses in use.
    pub assigned: String,
    /// Addresses still free.
    pub available: String,
}
