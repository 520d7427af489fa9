// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a claim has not what it asks for, in words.

use std::net::IpAddr;

use ferrolb_config::ObjectRef;
use ferrolb_config::address::Family;
use ferrolb_config::api::{AddressMode, ConsumerKind, annotation};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Pool;

use super::Place;
use crate::ipam::claim::{Claim, Families};
use crate::ipam::ground::PoolId;

impl<'a> Place<'a> {
    pub(super) fn over_quota(&self, claim: &Claim<'_>, pool: &str) -> Refusal {
        let namespace = &claim.consumer.namespace;
        let used = self.tenancy.counted(pool, namespace);
        let message = format!(
            "the namespace {namespace} holds {used} addresses of AddressPool {pool}, and may not hold more"
        );
        Refusal::error(Reason::QuotaExceeded, claim.object(), message)
            .remedy("Delete a Service of the namespace that needs no address, or raise the pool's quota.")
    }

    /// Why none of `pools` had what the claim wants.
    pub(super) fn nothing_found(&self, claim: &Claim<'_>, pools: &[PoolId]) -> Refusal {
        let Some(first) = pools.first().and_then(|id| self.ground.get(*id)) else {
            if self.ground.has_automatic() {
                return self.nobody_serves(claim);
            }
            let message = "there is no AddressPool that gives addresses automatically";
            let by = match claim.kind {
                ConsumerKind::Service => format!("the annotation {}", annotation::ADDRESS_POOL),
                ConsumerKind::FloatingIP => claim.pool_field(),
            };
            return Refusal::error(Reason::NotFound, claim.object(), message)
                .remedy(format!("Create an AddressPool, or name one with autoAssign: false by {by}."));
        };
        if let (None, Err(broken)) = (self.open(pools).next(), &first.accepting) {
            return not_ready(claim, &first.name, broken);
        }
        let has = |pool: &Pool, family| pool.ranges.has_family(family);
        let (offered, wanted) = match claim.families {
            Families::One(family) => {
                (self.open(pools).any(|pool| has(pool, family)), format!("{family} address"))
            }
            Families::Both => (
                self.open(pools).any(|pool| has(pool, Family::V4) && has(pool, Family::V6)),
                "pair of an IPv4 and an IPv6 address in one pool".to_owned(),
            ),
            Families::Either | Families::UpToBoth { .. } => (true, "address".to_owned()),
        };
        let names = some_names(self.open(pools));
        let least = if claim.families == Families::Both { 2 } else { 1 };
        let is_over =
            |pool: &&Pool| self.tenancy.quota_left(&pool.name, None, claim).is_some_and(|left| left < least);
        if let Some(pool) = self.open(pools).find(is_over).filter(|_| offered) {
            return self.over_quota(claim, &pool.name);
        }
        if offered {
            let message = format!("no {wanted} is free in AddressPool {names}");
            Refusal::error(Reason::PoolExhausted, claim.object(), message)
                .remedy("Add a range to the pool, or delete a Service that needs no address.")
        } else {
            let message = format!("AddressPool {names} has no {wanted}");
            let fields = match claim.kind {
                ConsumerKind::Service => "spec.ipFamilyPolicy or spec.ipFamilies",
                ConsumerKind::FloatingIP => "spec.ipFamilies",
            };
            Refusal::error(Reason::NoSuchFamily, claim.object(), message)
                .remedy(format!("Add a range of that family to a pool, or change {fields}."))
        }
    }

    /// Pools give addresses automatically, and none of them to this claim.
    fn nobody_serves(&self, claim: &Claim<'_>) -> Refusal {
        let kind = claim.kind.as_str();
        if claim.mode == AddressMode::Bound {
            let message = format!(
                "no AddressPool that gives addresses automatically and serves this {kind} has allowBound: true"
            );
            return Refusal::error(Reason::BoundNotAllowed, claim.object(), message).remedy(
                "Set allowBound on a pool, name another pool by spec.pool, or write mode ReplyOnly.",
            );
        }
        let message = format!("no AddressPool that gives addresses automatically serves this {kind}");
        Refusal::error(Reason::PoolNotAllowed, claim.object(), message)
            .remedy("Create an AddressPool without serviceAllocation, or change that of an existing one.")
    }
}

pub(super) fn not_in_pool(claim: &Claim<'_>, message: String) -> Refusal {
    Refusal::error(Reason::AddressNotInPool, claim.object(), message).field(claim.addresses_field())
}

/// The refusal of an object that wants its addresses on interfaces, by a pool that does not allow it.
pub(crate) fn bound_not_allowed(object: ObjectRef, pool: &str) -> Refusal {
    let message = format!("AddressPool {pool} does not let nodes put its addresses on their interfaces");
    Refusal::error(Reason::BoundNotAllowed, object, message)
        .field("spec.mode")
        .remedy("Set allowBound on the pool, use another pool, or write mode ReplyOnly with a target.")
}

pub(super) fn other_pool(claim: &Claim<'_>, address: IpAddr, pool: &str, wanted: &str) -> Refusal {
    let field = match claim.kind {
        ConsumerKind::Service => format!("the annotation {}", annotation::ADDRESS_POOL),
        ConsumerKind::FloatingIP => claim.pool_field(),
    };
    not_in_pool(claim, format!("{address} is of AddressPool {pool}, not of {wanted}"))
        .remedy(format!("Remove {field}, or ask for an address of {wanted}."))
}

pub(super) fn not_ready(claim: &Claim<'_>, pool: &str, broken: &Refusal) -> Refusal {
    let message = format!("AddressPool {pool} is refused and gives no new address: {}", broken.message);
    let refusal = Refusal::error(Reason::PoolNotReady, claim.object(), message);
    match &broken.remedy {
        Some(remedy) => refusal.remedy(remedy.clone()),
        None => refusal,
    }
}

/// The names of the first pools, and how many there are besides.
fn some_names<'a>(mut pools: impl Iterator<Item = &'a Pool>) -> String {
    let named: Vec<_> = pools.by_ref().take(3).map(|pool| pool.name.as_str()).collect();
    match pools.count() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
