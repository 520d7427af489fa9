// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that are kept for who gave them up.
//!
//! When the last consumer of an address goes, a pool with a retention keeps the address for those who were recorded for
//! it. Nobody else is given it, even who asks for it by name. Whoever comes back under the same namespace and name has
//! it again; when the time has run out it is free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::api::{Consumer, VirtualIP};
use ferrolb_config::snapshot::Pool;
use jiff::{SignedDuration, Timestamp};

use super::ground::Ground;

/// An address that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retained<'a> {
    /// The pool that it counts for.
    pub pool: &'a str,
    /// Those it is kept for.
    pub consumers: &'a [Consumer],
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl<'a> Retained<'a> {
    /// The namespaces of those it is kept for, each once.
    pub(super) fn namespaces(&self) -> BTreeSet<&'a str> {
        self.consumers.iter().map(|consumer| consumer.namespace.as_str()).collect()
    }

    /// Those it is kept for, in words.
    pub fn names(&self) -> String {
        let names: Vec<_> =
            self.consumers.iter().map(|consumer| consumer.identity().object().to_string()).collect();
        names.join(", ")
    }

    /// The address of `object`, which is given up now; `None` when its pool keeps none.
    pub(super) fn from_now(
        address: IpAddr,
        object: &'a VirtualIP,
        now: Timestamp,
        ground: &Ground<'a>,
    ) -> Option<Self> {
        let pool = ground.pool_of(address).filter(|pool| pool.contains(address))?;
        Some(Self::new(object, pool, now, until(now, pool.retention?)))
    }

    /// The address of `object`, which was given up before; `None` when its pool keeps it no longer. A pool that is refused
    /// at the moment keeps what it kept before.
    fn still(address: IpAddr, object: &'a VirtualIP, now: Timestamp, ground: &Ground<'a>) -> Option<Self> {
        let since = object.spec.released_at.as_ref()?.0;
        let is_refused = |pool: &Pool| pool.accepting.is_err();
        let pool = ground.pool_of(address).filter(|pool| pool.contains(address) || is_refused(pool))?;
        let until = match pool.retention {
            Some(retention) => until(since, retention),
            None if is_refused(pool) => Timestamp::MAX,
            None => return None,
        };
        let is_for_somebody = !object.spec.consumers.is_empty();
        (until > now && is_for_somebody).then(|| Self::new(object, pool, since, until))
    }

    fn new(object: &'a VirtualIP, pool: &'a Pool, since: Timestamp, until: Timestamp) -> Self {
        Self { pool: &pool.name, consumers: &object.spec.consumers, since, until }
    }
}

fn until(since: Timestamp, retention: Duration) -> Timestamp {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    since.saturating_add(retention).unwrap_or(Timestamp::MAX)
}

/// The addresses of `records` that are still kept.
pub(super) fn still<'a>(
    records: &'a BTreeMap<IpAddr, Arc<VirtualIP>>,
    now: Timestamp,
    ground: &Ground<'a>,
) -> BTreeMap<IpAddr, Retained<'a>> {
    let kept = |(address, object): (&IpAddr, &'a Arc<VirtualIP>)| {
        Some((*address, Retained::still(*address, object, now, ground)?))
    };
    records.iter().filter_map(kept).collect()
}
