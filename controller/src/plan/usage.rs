// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How full each pool is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::address::{Family, Range};
use ferrolb_config::api::{FamilyUsage, VirtualIPSpec};
use ferrolb_config::snapshot::{Pool, Snapshot};

use super::{PoolPlan, readiness};

/// The plan for every pool of `snapshot`, given the addresses in use.
pub(super) fn pools(
    snapshot: &Snapshot,
    virtual_ips: &BTreeMap<IpAddr, VirtualIPSpec>,
) -> BTreeMap<String, PoolPlan> {
    let mut assigned: BTreeMap<(&str, Family), u128> = BTreeMap::new();
    for (address, spec) in virtual_ips {
        *assigned.entry((&spec.pool, Family::of(*address))).or_default() += 1;
    }
    let mut readiness = readiness::of_kind("AddressPool", snapshot.pools.keys(), &snapshot.refused);
    let of_family = |pool: &Pool, family| {
        let assigned = assigned.get(&(pool.name.as_str(), family)).copied().unwrap_or_default();
        usage(pool, family, assigned)
    };
    snapshot
        .pools
        .iter()
        .map(|(name, pool)| {
            let plan = PoolPlan {
                accepted: pool.ranges.ranges().map(|range: Range| range.to_string()).collect(),
                ipv4: of_family(pool, Family::V4),
                ipv6: of_family(pool, Family::V6),
                readiness: readiness.remove(name).unwrap_or_default(),
            };
            (name.clone(), plan)
        })
        .collect()
}

fn usage(pool: &Pool, family: Family, assigned: u128) -> Option<FamilyUsage> {
    if !pool.ranges.has_family(family) {
        return None;
    }
    let total = pool.count(family);
    Some(FamilyUsage {
        total: total.to_string(),
        assigned: assigned.to_string(),
        available: total.saturating_sub(assigned).to_string(),
    })
}
