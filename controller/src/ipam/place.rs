// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Finds addresses for one claim, and takes them all or none.

mod refusals;

use std::net::IpAddr;
use std::rc::Rc;

use ferrolb_config::address::Family;
use ferrolb_config::api::AddressMode;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Pool;

use super::case::Held;
use super::claim::{Claim, Families, Named, Request};
use super::ground::{Ground, PoolId};
use super::tenancy::Tenancy;
pub(crate) use refusals::bound_not_allowed;
use refusals::{not_in_pool, not_ready, other_pool};

/// The pools and who holds what in them.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) tenancy: Tenancy<'a>,
}

/// Why a request is not met.
#[derive(Debug)]
pub(super) enum Denied {
    /// It can be met once something else changes: somebody leaves, a pool is mended.
    ForNow(Box<Refusal>),
    /// The configuration says no.
    ForGood(Box<Refusal>),
}

impl<'a> Place<'a> {
    /// Takes those of the addresses asked for that the claim does not hold yet.
    pub(super) fn named(
        &mut self,
        claim: &'a Claim<'a>,
        named: Named,
        wanted_pool: Option<&str>,
        firm: &[Held<'a>],
        leaving: &[Held<'a>],
    ) -> Result<Vec<Held<'a>>, Denied> {
        if let Some(refusal) = self.unusable_pool(claim) {
            return Err(Denied::ForNow(refusal.into()));
        }
        if let Some((held, wanted)) =
            wanted_pool.and_then(|wanted| Some((firm.iter().find(|held| held.pool != wanted)?, wanted)))
        {
            return Err(Denied::ForGood(other_pool(claim, held.address, held.pool, wanted).into()));
        }
        let mut new = Vec::new();
        for address in named.iter().filter(|address| firm.iter().all(|held| held.address != *address)) {
            let pool = self.pool_for(claim, address, wanted_pool).map_err(Denied::ForGood)?;
            if let Some(other) = firm.iter().chain(&new).find(|other| other.pool != pool.name) {
                let message = format!(
                    "{address} is of AddressPool {} and {} of AddressPool {}",
                    pool.name, other.address, other.pool
                );
                return Err(Denied::ForGood(
                    not_in_pool(claim, message).remedy("Ask for two addresses of one pool.").into(),
                ));
            }
            new.push(Held { address, pool: &pool.name, protected: false });
        }
        for held in &new {
            if let Some(Err(broken)) = self.ground.named(held.pool).map(|pool| &pool.accepting) {
                return Err(Denied::ForNow(not_ready(claim, held.pool, broken).into()));
            }
            if let Some(conflict) = self.tenancy.conflict(held.address, claim) {
                return Err(Denied::ForNow(conflict.refusal(held.address, claim).into()));
            }
        }
        // What is given up for the new addresses makes room for them.
        let news = new.iter().filter_map(|held| {
            let left = self.tenancy.quota_left(held.pool, Some(held.address), claim)?;
            Some((held.pool, left))
        });
        for (wanted, (pool, left)) in news.enumerate() {
            let given_up = leaving.iter().filter(|held| held.pool == pool).count();
            if wanted >= usize::try_from(left).unwrap_or(usize::MAX).saturating_add(given_up) {
                return Err(Denied::ForNow(self.over_quota(claim, pool).into()));
            }
        }
        self.take(claim, new).map_err(Denied::ForNow)
    }

    /// The pool that may give `address` to the claim.
    fn pool_for(
        &self,
        claim: &Claim<'_>,
        address: IpAddr,
        wanted: Option<&str>,
    ) -> Result<&'a Pool, Box<Refusal>> {
        let Some(pool) = self.ground.pool_of(address) else {
            return Err(not_in_pool(claim, format!("{address} is in no AddressPool"))
                .remedy("Ask for an address of a pool, or add it to a pool.")
                .into());
        };
        if !pool.contains(address) {
            let message = format!(
                "AddressPool {} avoids addresses that end in .0 or .255, as {address} does",
                pool.name
            );
            return Err(not_in_pool(claim, message)
                .remedy("Ask for another address, or set the pool's avoidBuggyIPs to false.")
                .into());
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != pool.name) {
            return Err(other_pool(claim, address, &pool.name, wanted).into());
        }
        match self.not_for(claim, pool) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(pool),
        }
    }

    /// The refusal of a claim that `pool` does not serve.
    fn not_for(&self, claim: &Claim<'_>, pool: &Pool) -> Option<Refusal> {
        if !self.ground.admits(pool, &claim.consumer.namespace, claim.labels) {
            let message = format!("AddressPool {} does not serve this {}", pool.name, claim.kind.as_str());
            let refusal = Refusal::error(Reason::PoolNotAllowed, claim.object(), message);
            return Some(refusal.remedy("Use another pool, or change the pool's serviceAllocation."));
        }
        (!claim.is_held_as_allowed_by(pool)).then(|| bound_not_allowed(claim.object(), &pool.name))
    }

    /// The refusal of a claim that names a pool that does not exist or does not serve it.
    pub(super) fn unusable_pool(&self, claim: &Claim<'_>) -> Option<Refusal> {
        let (Request::Pool(name) | Request::Named { pool: Some(name), .. }) = claim.request else {
            return None;
        };
        let field = claim.pool_field();
        if let Some(pool) = self.ground.named(name) {
            return self.not_for(claim, pool).map(|refusal| refusal.field(field));
        }
        let refusal =
            Refusal::error(Reason::NotFound, claim.object(), format!("there is no AddressPool {name}"));
        Some(refusal.field(field).remedy("Name an existing AddressPool, or create this one."))
    }

    /// Takes addresses from the pools that the claim may draw from.
    pub(super) fn anywhere(&mut self, claim: &'a Claim<'a>) -> Result<Vec<Held<'a>>, Box<Refusal>> {
        if let Some(refusal) = self.unusable_pool(claim) {
            return Err(refusal.into());
        }
        let pools = self.candidates(claim);
        let one = |place: &mut Self, family| {
            let dry = place.dry(claim, family);
            pools.iter().skip(dry).find_map(|pool| Some(vec![place.pick(*pool, family, claim, 1)?]))
        };
        let both = |place: &mut Self| {
            let dry = place.dry(claim, Family::V4).max(place.dry(claim, Family::V6));
            pools.iter().skip(dry).find_map(|pool| {
                let v4 = place.pick(*pool, Family::V4, claim, 2)?;
                Some(vec![v4, place.pick(*pool, Family::V6, claim, 2)?])
            })
        };
        let found = match claim.families {
            Families::One(family) => one(self, family),
            Families::Either => {
                let families = [Family::V4, Family::V6];
                let offered = families
                    .into_iter()
                    .find(|family| self.open(&pools).any(|pool| pool.ranges.has_family(*family)));
                offered.and_then(|family| one(self, family))
            }
            Families::Both => both(self),
            Families::UpToBoth { primary } => {
                let other = if primary == Family::V4 { Family::V6 } else { Family::V4 };
                both(self).or_else(|| one(self, primary)).or_else(|| one(self, other))
            }
        };
        match found {
            Some(new) => self.take(claim, new),
            None => Err(self.nothing_found(claim, &pools).into()),
        }
    }

    /// How many of the candidates of a claim, from the first on, need not be asked for an address of `family`.
    fn dry(&mut self, claim: &Claim<'_>, family: Family) -> usize {
        match (claim.request, &claim.sharing) {
            (Request::Any, None) if claim.mode == AddressMode::ReplyOnly => {
                self.ground.dry(&claim.consumer.namespace, family)
            }
            // A pool without a free address may have one to share, and not every pool lets its addresses be bound.
            _ => 0,
        }
    }

    /// Takes the address of the other family from the pool of `held`.
    pub(super) fn complement(&mut self, claim: &'a Claim<'a>, held: Held<'a>) -> Option<Held<'a>> {
        let pool = self.ground.id(held.pool)?;
        let missing = match Family::of(held.address) {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        let new = self.pick(pool, missing, claim, 1)?;
        self.take(claim, vec![new]).ok()?.pop()
    }

    /// Gives addresses back.
    pub(super) fn release(&mut self, held: &[Held<'a>], claim: &Claim<'_>) {
        for held in held {
            self.tenancy.leave(held.address, claim);
            if !self.tenancy.is_held(held.address) {
                self.ground.freed(held.address);
            }
        }
    }

    /// The pools that the claim may draw from, in the order to try them, but sharers first look where they can join.
    fn candidates(&mut self, claim: &'a Claim<'a>) -> Rc<[PoolId]> {
        let pools = match claim.request {
            Request::Pool(name) => self.ground.id(name).into_iter().collect(),
            _ => self.ground.automatic(&claim.consumer.namespace, claim.labels),
        };
        let pools = if claim.mode == AddressMode::Bound {
            let allows =
                |id: &PoolId| self.ground.get(*id).is_some_and(|pool| claim.is_held_as_allowed_by(pool));
            pools.iter().copied().filter(allows).collect()
        } else {
            pools
        };
        let home = self
            .tenancy
            .joinable(claim)
            .filter(|address| claim.families.admits(Family::of(*address)))
            .filter_map(|address| self.ground.id(&self.ground.pool_of(address)?.name))
            .find(|home| pools.contains(home));
        match home {
            Some(home) => {
                std::iter::once(home).chain(pools.iter().copied().filter(|pool| *pool != home)).collect()
            }
            None => pools,
        }
    }

    /// Those of `pools` that are not refused.
    fn open(&self, pools: &[PoolId]) -> impl Iterator<Item = &'a Pool> {
        pools.iter().filter_map(|id| self.ground.get(*id)).filter(|pool| pool.accepting.is_ok())
    }

    /// An address of `family` in a pool: one to join, else the lowest free one; none while the pool is refused. The quota
    /// must have room for `wanted` addresses.
    fn pick(&mut self, id: PoolId, family: Family, claim: &Claim<'_>, wanted: u32) -> Option<Held<'a>> {
        let pool = self.ground.get(id).filter(|pool| pool.accepting.is_ok())?;
        let Self { ground, tenancy } = self;
        let is_within =
            |address| tenancy.quota_left(&pool.name, address, claim).is_none_or(|left| left >= wanted);
        let joined = tenancy.joinable(claim).find(|address| {
            Family::of(*address) == family && pool.contains(*address) && is_within(Some(*address))
        });
        let free = || {
            let used = |address| tenancy.is_held(address);
            is_within(None).then(|| ground.lowest_free(id, family, used)).flatten()
        };
        let address = joined.or_else(free)?;
        Some(Held { address, pool: &pool.name, protected: false })
    }

    fn take(&mut self, claim: &'a Claim<'a>, new: Vec<Held<'a>>) -> Result<Vec<Held<'a>>, Box<Refusal>> {
        for (index, held) in new.iter().enumerate() {
            if let Err(conflict) = self.tenancy.join(held.address, held.pool, claim) {
                self.release(new.get(..index).unwrap_or_default(), claim);
                return Err(conflict.refusal(held.address, claim).into());
            }
        }
        Ok(new)
    }
}
