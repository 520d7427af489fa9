// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How many addresses of a pool each namespace holds, for the pools that limit it.

use std::collections::{BTreeMap, HashMap};

use ferrolb_config::snapshot::Pool;

/// The addresses that count against the quotas. Pools without one are not counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas<'a> {
    limits: HashMap<&'a str, u32>,
    used: HashMap<(&'a str, &'a str), u32>,
}

impl<'a> Quotas<'a> {
    pub(super) fn new(pools: &'a BTreeMap<String, Pool>) -> Self {
        let limits = pools.values().filter_map(|pool| Some((pool.name.as_str(), pool.quota?))).collect();
        Self { limits, used: HashMap::new() }
    }

    /// How many more addresses of `pool` the namespace may hold; `None`: no quota.
    pub(super) fn left(&self, pool: &str, namespace: &str) -> Option<u32> {
        let limit = self.limits.get(pool)?;
        Some(limit.saturating_sub(self.used(pool, namespace)))
    }

    /// How many addresses of `pool` the namespace holds, if they are counted.
    pub(super) fn used(&self, pool: &str, namespace: &str) -> u32 {
        self.used.get(&(pool, namespace)).copied().unwrap_or_default()
    }

    pub(super) fn take(&mut self, pool: &'a str, namespace: &'a str) {
        if self.limits.contains_key(pool) {
            let used = self.used.entry((pool, namespace)).or_default();
            *used = used.saturating_add(1);
        }
    }

    pub(super) fn give_back(&mut self, pool: &'a str, namespace: &'a str) {
        if let Some(used) = self.used.get_mut(&(pool, namespace)) {
            *used = used.saturating_sub(1);
        }
    }
}
