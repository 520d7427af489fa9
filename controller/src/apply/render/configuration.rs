// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The statuses of pools and advertisements.

use ferrolb_config::Objects;
use ferrolb_config::api::{
    AddressPool, AddressPoolStatus, BFDProfile, BGPAdvertisement, BGPPeer, Community, L2Advertisement,
};
use ferrolb_config::condition::{self, READY};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::sessions::{Sessions, differ_in_sessions_only};
use crate::apply::{Judged, Target, Verdict, Write};
use crate::ipam::Unread;
use crate::plan::{Plan, PoolPlan, Readiness};

/// The object of that name with the status that says whether it is used; the last closure settles what is accepted.
macro_rules! verdict_on {
    ($kind:ident, $objects:expr, $name:ident, $readiness:ident, $now:ident) => {
        verdict_on!($kind, $objects, $name, $readiness, $now, |_spec| {})
    };
    ($kind:ident, $objects:expr, $name:ident, $readiness:ident, $now:ident, |$spec:ident| $settle:expr) => {
        $objects.get($name).map(|object| {
            let mut object = $kind::clone(object);
            let status = object.status.get_or_insert_default();
            status.observed_generation = object.metadata.generation;
            condition::set(&mut status.conditions, ready($readiness, object.metadata.generation, $now));
            if !matches!($readiness, Readiness::Refused { .. }) {
                let $spec = status.accepted.insert(object.spec.clone());
                $settle;
            }
            Verdict::$kind(Box::new(object))
        })
    };
}

/// The statuses to write.
#[derive(Default)]
pub(in crate::apply) struct Configuration {
    /// What a restart has to know.
    pub(in crate::apply) verdicts: Vec<Write>,
    /// How full pools are and how sessions with routers stand, and nothing else: that changes all the time.
    pub(in crate::apply) gathered: Vec<Write>,
}

impl Configuration {
    fn put(&mut self, write: Write, may_wait: bool) {
        let list = if may_wait { &mut self.gathered } else { &mut self.verdicts };
        list.push(write);
    }
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
            let may_wait = object.status.as_ref().is_some_and(|old| differ_in_usage_only(old, &status));
            let pool = AddressPool {
                metadata: object.metadata.clone(),
                spec: object.spec.clone(),
                status: Some(status),
            };
            writes.put(Write::PutPoolStatus(Box::new(pool)), may_wait);
        }
    }
    let sessions = Sessions::of(objects, now);
    for ((judged, name), readiness) in &plan.verdicts {
        let verdict = match judged {
            Judged::L2Advertisement => {
                verdict_on!(L2Advertisement, objects.l2_advertisements, name, readiness, now)
            }
            Judged::BGPPeer => verdict_on!(BGPPeer, objects.bgp_peers, name, readiness, now)
                .map(|verdict| sessions.tell(verdict, objects, now)),
            Judged::BGPAdvertisement => {
                verdict_on!(BGPAdvertisement, objects.bgp_advertisements, name, readiness, now, |spec| {
                    plan.communities.get(name).cloned().into_iter().for_each(|it| spec.communities = it)
                })
            }
            Judged::BFDProfile => verdict_on!(BFDProfile, objects.bfd_profiles, name, readiness, now),
            Judged::Community => verdict_on!(Community, objects.communities, name, readiness, now),
        };
        let Some(verdict) = verdict.filter(|verdict| !verdict.is_visible_in(objects)) else { continue };
        let may_wait = differ_in_sessions_only(&verdict, objects);
        writes.put(Write::PutVerdict(verdict), may_wait);
    }
    if let Target::Directory(written) = target {
        let gone = |name: &&String| !objects.pools.contains_key(*name) && !unread.may_hide_pool(name);
        writes.verdicts.extend(written.pools.iter().filter(gone).cloned().map(Write::DeletePoolStatus));
        let gone = |(judged, name): &&(Judged, String)| {
            !judged.is_in(objects, name) && !unread.may_hide_cluster_scoped(judged.kind(), name)
        };
        let gone = written.verdicts.iter().filter(gone).cloned();
        writes.verdicts.extend(gone.map(|(judged, name)| Write::DeleteVerdict(judged, name)));
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
