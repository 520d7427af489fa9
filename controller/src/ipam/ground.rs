// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The pools as one map of addresses: whose an address is, and which one is free.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::address::{Family, Range};
use ferrolb_config::snapshot::Pool;

/// All pools, with the place up to which each is known to be used.
#[derive(Debug)]
pub struct Ground<'a> {
    pools: &'a BTreeMap<String, Pool>,
    /// Ranges of all pools in ascending order; pools in force never overlap.
    ranges: Vec<(Range, &'a Pool)>,
    /// Everything below is used. So a pass over all claims walks each used address once.
    frontier: BTreeMap<(&'a str, Family), Frontier>,
}

#[derive(Clone, Copy, Debug)]
enum Frontier {
    At(IpAddr),
    Exhausted,
}

impl<'a> Ground<'a> {
    /// Indexes `pools`.
    pub fn new(pools: &'a BTreeMap<String, Pool>) -> Self {
        let mut ranges: Vec<_> =
            pools.values().flat_map(|pool| pool.ranges.ranges().map(move |range| (range, pool))).collect();
        ranges.sort_by_key(|(range, _)| range.first());
        Self { pools, ranges, frontier: BTreeMap::new() }
    }

    /// All pools by name.
    pub fn pools(&self) -> &'a BTreeMap<String, Pool> {
        self.pools
    }

    /// The pool whose ranges hold `address`, whether or not it may give it.
    pub fn pool_of(&self, address: IpAddr) -> Option<&'a Pool> {
        let after = self.ranges.partition_point(|(range, _)| range.first() <= address);
        let (range, pool) = self.ranges.get(after.checked_sub(1)?)?;
        range.contains(address).then_some(*pool)
    }

    /// The lowest address of `family` in `pool` that is not `used`. Between two calls addresses may become used;
    /// whoever frees one says so by [`Ground::freed`].
    pub fn lowest_free(
        &mut self,
        pool: &'a Pool,
        family: Family,
        used: impl FnMut(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let key = (pool.name.as_str(), family);
        let from = match self.frontier.get(&key) {
            Some(Frontier::Exhausted) => return None,
            Some(Frontier::At(address)) => Some(*address),
            None => None,
        };
        let found = pool.lowest_free(family, from, used);
        self.frontier.insert(key, found.map_or(Frontier::Exhausted, Frontier::At));
        found
    }

    /// Takes note that `address` is free again.
    pub fn freed(&mut self, address: IpAddr) {
        let Some(pool) = self.pool_of(address) else { return };
        let key = (pool.name.as_str(), Family::of(address));
        match self.frontier.get_mut(&key) {
            Some(Frontier::At(known)) if *known <= address => {}
            Some(frontier) => *frontier = Frontier::At(address),
            None => {}
        }
    }
}
