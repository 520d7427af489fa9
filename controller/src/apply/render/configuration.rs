// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The statuses of pools and advertisements.

use ferrolb_config::Objects;
use ferrolb_config::api::{AddressPool, AddressPoolStatus, L2Advertisement, L2AdvertisementStatus};
use ferrolb_config::condition::{self, READY};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::apply::{Target, Write};
use crate::ipam::Unread;
use crate::plan::{Plan, PoolPlan, Readiness};

/// The statuses to write.
#[derive(Default)]
pub(in crate::apply) struct Configuration {
    /// What a restart has to know.
    pub(in crate::apply) verdicts: Vec<Write>,
    /// How full pools are, and nothing else: that changes with every address given.
    pub(in crate::apply) usage: Vec<Write>,
}

/// The statuses of pools and advertisements to write.
pub(in crate::apply) fn configuration(
    plan: &Plan,
    objects: &Objects,
    target: Target<'_>,
    unread: &Unread,
    now: &Time,
) -> Configuration {
    let mut writes = Configuration::default();
    for (name, pool) in &plan.pools {
        let Some(object) = objects.pools.get(name) else { continue };
        let status = pool_status(object, pool, now);
        if object.status.as_ref() != Some(&status) {
            let list = if object.status.as_ref().is_some_and(|old| differ_in_usage_only(old, &status)) {
                &mut writes.usage
            } else {
                &mut writes.verdicts
            };
            list.push(Write::PutPoolStatus(Box::new(AddressPool {
                metadata: object.metadata.clone(),
                spec: object.spec.clone(),
                status: Some(status),
            })));
        }
    }
    for (name, readiness) in &plan.l2_advertisements {
        let Some(object) = objects.l2_advertisements.get(name) else { continue };
        let status = l2_advertisement_status(object, readiness, now);
        if object.status.as_ref() != Some(&status) {
            writes.verdicts.push(Write::PutL2AdvertisementStatus(Box::new(L2Advertisement {
                metadata: object.metadata.clone(),
                spec: object.spec.clone(),
                status: Some(status),
            })));
        }
    }
    if let Target::Directory(written) = target {
        let gone = |name: &&String| !objects.pools.contains_key(*name) && !unread.may_hide_pool(name);
        writes.verdicts.extend(written.pools.iter().filter(gone).cloned().map(Write::DeletePoolStatus));
        let gone = |name: &&String| {
            !objects.l2_advertisements.contains_key(*name) && !unread.may_hide_l2_advertisement(name)
        };
        let gone = written.l2_advertisements.iter().filter(gone).cloned();
        writes.verdicts.extend(gone.map(Write::DeleteL2AdvertisementStatus));
    }
    writes
}

fn differ_in_usage_only(old: &AddressPoolStatus, new: &AddressPoolStatus) -> bool {
    let AddressPoolStatus { ipv4, ipv6, .. } = new.clone();
    AddressPoolStatus { ipv4, ipv6, ..old.clone() } == *new
}

fn pool_status(object: &AddressPool, pool: &PoolPlan, now: &Time) -> AddressPoolStatus {
    let mut conditions = object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    condition::set(&mut conditions, ready(&pool.readiness, object.metadata.generation, now));
    AddressPoolStatus {
        observed_generation: object.metadata.generation,
        conditions,
        accepted_addresses: pool.accepted.clone(),
        ipv4: pool.ipv4.clone(),
        ipv6: pool.ipv6.clone(),
    }
}

fn l2_advertisement_status(
    object: &L2Advertisement,
    readiness: &Readiness,
    now: &Time,
) -> L2AdvertisementStatus {
    let old = object.status.clone().unwrap_or_default();
    let mut conditions = old.conditions;
    condition::set(&mut conditions, ready(readiness, object.metadata.generation, now));
    let accepted = match readiness {
        Readiness::Refused { .. } => old.accepted,
        Readiness::Ready | Readiness::Doubtful { .. } => Some(object.spec.clone()),
    };
    L2AdvertisementStatus { observed_generation: object.metadata.generation, conditions, accepted }
}

fn ready(readiness: &Readiness, generation: Option<i64>, now: &Time) -> Condition {
    let (status, reason, message) = match readiness {
        Readiness::Ready => ("True", "Accepted".to_owned(), String::new()),
        Readiness::Doubtful { reason, message } => ("True", reason.to_string(), message.clone()),
        Readiness::Refused { reason, message } => ("False", reason.to_string(), message.clone()),
    };
    Condition {
        last_transition_time: now.clone(),
        message,
        observed_generation: generation,
        reason,
        status: status.to_owned(),
        type_: READY.to_owned(),
    }
}
