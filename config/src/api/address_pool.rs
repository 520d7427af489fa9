// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! AddressPool: ranges of addresses, and who may draw from them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Ranges of addresses that Services may be given.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "AddressPool",
    plural = "addresspools",
    shortname = "pool",
    shortname = "pools",
    category = "ferrolb",
    status = "AddressPoolStatus",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Auto","type":"boolean","jsonPath":".spec.autoAssign"}"#,
    printcolumn = r#"{"name":"IPv4 used","type":"string","jsonPath":".status.ipv4.assigned"}"#,
    printcolumn = r#"{"name":"IPv4 free","type":"string","jsonPath":".status.ipv4.available"}"#,
    printcolumn = r#"{"name":"IPv6 used","type":"string","jsonPath":".status.ipv6.assigned"}"#,
    printcolumn = r#"{"name":"IPv6 free","type":"string","jsonPath":".status.ipv6.available"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Addresses","type":"string","jsonPath":".spec.addresses","priority":1}"#,
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
    // Octet by octet, since CEL cannot compare addresses; of IPv6 ranges the controller says so in a condition.
    #[x_kube(validation = Rule::new(
        "self.all(range, !range.matches('^ *[0-9]{1,3}([.][0-9]{1,3}){3} *- *[0-9]{1,3}([.][0-9]{1,3}){3} *$') || [range.replace(' ', '').replace('-', '.').split('.')].all(o, int(o[0]) * 16777216 + int(o[1]) * 65536 + int(o[2]) * 256 + int(o[3]) <= int(o[4]) * 16777216 + int(o[5]) * 65536 + int(o[6]) * 256 + int(o[7])))"
    ).message("a range begins with its lowest address: write 192.0.2.10-192.0.2.20"))]
    pub addresses: Vec<String>,

    /// Whether Services that name no pool may be given an address from this one.
    #[serde(default = "yes")]
    pub auto_assign: bool,

    /// Leave out IPv4 addresses that end in .0 or .255, which some old equipment drops.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,

    /// Whether FloatingIPs of mode Bound may be given addresses from this pool: a node puts them on its interface.
    #[serde(default)]
    pub allow_bound: bool,

    /// Who may draw from the pool, and in which order pools are tried. Without it the pool serves everybody, after the
    /// pools that say whom they serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,

    /// How much of the pool one tenant may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<PoolQuota>,

    /// How long an address is kept for the namespace and name that gave it up, `90s`, `30m`, `24h`. Whoever comes back
    /// within that time under the same name has its address again. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20), regex(pattern = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"))]
    pub retention: Option<String>,
}

impl Default for AddressPoolSpec {
    /// What the API server fills in: a pool that gives addresses automatically, without any range yet.
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            auto_assign: yes(),
            avoid_buggy_ips: false,
            allow_bound: false,
            service_allocation: None,
            quota: None,
            retention: None,
        }
    }
}

fn yes() -> bool {
    true
}

/// Who may draw from a pool: Services of the namespaces named or selected, *and* with the labels selected. An empty part
/// restricts nothing; a selector that fits nothing serves nobody, not everybody.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAllocation {
    /// Pools with a lower number are tried first; 0 comes last. Among equals the name decides.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub priority: u32,
    /// Namespaces by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Namespaces by their labels, in addition to those named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Services by their labels; any match counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub service_selectors: Vec<LabelSelector>,
}

/// How much of a pool one tenant may hold.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolQuota {
    /// Addresses that the Services of one namespace may hold together, those kept by `retention` included. A lower
    /// number takes nothing away; it refuses new addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub per_namespace: Option<u32>,
}

/// What the controller reports about a pool.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressPoolStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, with the reason when it is not.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
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
