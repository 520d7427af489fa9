// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The pools as one map of addresses: whose an address is, and which one is free.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ferrolb_config::address::{Family, Range};
use ferrolb_config::snapshot::{Clientele, Pool};

/// All pools, with the place up to which each is known to be used.
#[derive(Debug)]
pub struct Ground<'a> {
    by_name: HashMap<&'a str, PoolId>,
    entries: Vec<Entry<'a>>,
    /// Ranges of all pools in ascending order; pools in force never overlap.
    ranges: Vec<(Range, PoolId)>,
    namespaces: &'a BTreeMap<String, Labels>,
    /// The pools that give addresses automatically and say whom they serve, in the order to try them.
    bound: Vec<PoolId>,
    /// Those that serve everybody, by name.
    unbound: Vec<PoolId>,
    /// What is open to Services of each namespace.
    open_to: HashMap<&'a str, Open>,
}

type Labels = BTreeMap<String, String>;

/// The pools that give addresses automatically to Services of one namespace, in the order to try them.
#[derive(Debug)]
struct Open {
    pools: Rc<[PoolId]>,
    /// Whether some of them choose by the labels of the Service.
    is_choosy: bool,
    /// How many of them, from the first on, are known to have no free IPv4 and no free IPv6 address.
    dry: [usize; 2],
}

/// A pool's place in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolId(usize);

#[derive(Debug)]
struct Entry<'a> {
    pool: &'a Pool,
    v4: Frontier,
    v6: Frontier,
}

/// Everything below is used. So a pass over all claims walks each used address once.
#[derive(Clone, Copy, Debug)]
enum Frontier {
    Unknown,
    At(IpAddr),
    Exhausted,
}

impl<'a> Ground<'a> {
    /// Indexes `pools`; `namespaces` are the labels of the namespaces.
    pub fn new(pools: &'a BTreeMap<String, Pool>, namespaces: &'a BTreeMap<String, Labels>) -> Self {
        let numbered = || pools.values().enumerate().map(|(index, pool)| (PoolId(index), pool));
        let automatic = || numbered().filter(|(_, pool)| pool.auto_assign);
        let rank = |pool: &Pool| pool.clientele.as_ref().map(|clientele| clientele.rank);
        let mut bound: Vec<_> = automatic().filter_map(|(id, pool)| Some((rank(pool)?, id))).collect();
        bound.sort_by_key(|(rank, id)| (*rank, id.0));
        let mut ranges: Vec<_> =
            numbered().flat_map(|(id, pool)| pool.ranges.ranges().map(move |range| (range, id))).collect();
        ranges.sort_by_key(|(range, _)| range.first());
        Self {
            by_name: numbered().map(|(id, pool)| (pool.name.as_str(), id)).collect(),
            entries: pools
                .values()
                .map(|pool| Entry { pool, v4: Frontier::Unknown, v6: Frontier::Unknown })
                .collect(),
            ranges,
            namespaces,
            bound: bound.into_iter().map(|(_, id)| id).collect(),
            unbound: automatic().filter(|(_, pool)| pool.clientele.is_none()).map(|(id, _)| id).collect(),
            open_to: HashMap::new(),
        }
    }

    /// The pools that give addresses automatically to a Service: those that say whom they serve by priority, then the
    /// others; among equals by name.
    pub fn automatic(&mut self, namespace: &'a str, labels: &Labels) -> Rc<[PoolId]> {
        let Self { entries, namespaces, bound, unbound, open_to, .. } = self;
        let clientele = |id: PoolId| entries.get(id.0).and_then(|entry| entry.pool.clientele.as_ref());
        let open = open_to.entry(namespace).or_insert_with(|| {
            let known = namespaces.get(namespace);
            let admitted = |id: &PoolId| {
                clientele(*id).is_some_and(|clientele| clientele.admits_namespace(namespace, known))
            };
            let pools: Vec<_> = bound.iter().copied().filter(admitted).collect();
            let is_choosy = pools.iter().any(|id| clientele(*id).is_some_and(Clientele::is_choosy));
            Open { pools: pools.into_iter().chain(unbound.iter().copied()).collect(), is_choosy, dry: [0; 2] }
        });
        if !open.is_choosy {
            return Rc::clone(&open.pools);
        }
        let admits = |id: &PoolId| clientele(*id).is_none_or(|clientele| clientele.admits_labels(labels));
        open.pools.iter().copied().filter(admits).collect()
    }

    /// How many of the pools that [`Self::automatic`] gave for `namespace`, from the first on, are known to give no
    /// address of `family` to whoever wants one of his own.
    pub fn dry(&mut self, namespace: &str, family: Family) -> usize {
        let Self { entries, open_to, .. } = self;
        let Some(open) = open_to.get_mut(namespace).filter(|open| !open.is_choosy) else { return 0 };
        let [v4, v6] = &mut open.dry;
        let dry = if family == Family::V4 { v4 } else { v6 };
        let is_dry = |id: &PoolId| entries.get(id.0).is_some_and(|entry| entry.is_dry(family));
        *dry += open.pools.iter().skip(*dry).take_while(|id| is_dry(id)).count();
        *dry
    }

    /// Whether a Service of `namespace` with these labels may draw from `pool`.
    pub fn admits(&self, pool: &Pool, namespace: &str, labels: &Labels) -> bool {
        pool.admits(namespace, self.namespaces.get(namespace), labels)
    }

    /// Whether any pool gives addresses automatically, to whomever.
    pub fn has_automatic(&self) -> bool {
        !self.bound.is_empty() || !self.unbound.is_empty()
    }

    /// Whether the object of a namespace is known.
    pub fn knows_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name)
    }

    /// The place of the pool `name`.
    pub fn id(&self, name: &str) -> Option<PoolId> {
        self.by_name.get(name).copied()
    }

    /// The pool at a place.
    pub fn get(&self, id: PoolId) -> Option<&'a Pool> {
        self.entries.get(id.0).map(|entry| entry.pool)
    }

    /// The pool `name`.
    pub fn named(&self, name: &str) -> Option<&'a Pool> {
        self.get(self.id(name)?)
    }

    /// The pool whose ranges hold `address`, whether or not it may give it.
    pub fn pool_of(&self, address: IpAddr) -> Option<&'a Pool> {
        self.get(self.id_of(address)?)
    }

    fn id_of(&self, address: IpAddr) -> Option<PoolId> {
        let after = self.ranges.partition_point(|(range, _)| range.first() <= address);
        let (range, id) = self.ranges.get(after.checked_sub(1)?)?;
        range.contains(address).then_some(*id)
    }

    /// The lowest address of `family` in a pool that is not `used`. Between two calls addresses may become used;
    /// whoever frees one says so by [`Ground::freed`].
    pub fn lowest_free(
        &mut self,
        id: PoolId,
        family: Family,
        used: impl FnMut(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let entry = self.entries.get_mut(id.0)?;
        let pool = entry.pool;
        let frontier = entry.frontier(family);
        let from = match *frontier {
            Frontier::Exhausted => return None,
            Frontier::At(address) => Some(address),
            Frontier::Unknown => None,
        };
        let found = pool.lowest_free(family, from, used);
        *frontier = found.map_or(Frontier::Exhausted, Frontier::At);
        found
    }

    /// Takes note that `address` is free again.
    pub fn freed(&mut self, address: IpAddr) {
        let Some(entry) = self.id_of(address).and_then(|id| self.entries.get_mut(id.0)) else { return };
        let frontier = entry.frontier(Family::of(address));
        match *frontier {
            Frontier::Unknown => {}
            Frontier::At(known) if known <= address => {}
            Frontier::At(_) => *frontier = Frontier::At(address),
            Frontier::Exhausted => {
                *frontier = Frontier::At(address);
                self.open_to.values_mut().for_each(|open| open.dry = [0; 2]);
            }
        }
    }
}

impl Entry<'_> {
    /// Whether the pool gives no address of `family`, as far as is known.
    fn is_dry(&self, family: Family) -> bool {
        let frontier = if family == Family::V4 { self.v4 } else { self.v6 };
        self.pool.accepting.is_err() || matches!(frontier, Frontier::Exhausted)
    }

    fn frontier(&mut self, family: Family) -> &mut Frontier {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}
