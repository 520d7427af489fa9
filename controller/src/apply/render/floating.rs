// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The statuses of FloatingIPs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::api::{FloatingIP, FloatingIPStatus};
use ferrolb_config::condition::{self, READY};
use ferrolb_config::{Objects, ServiceName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::services::verdict;
use crate::apply::{Target, Write};
use crate::ipam::Unread;
use crate::plan::{FloatingPlan, Plan};

/// The addresses that a FloatingIP shows.
pub(crate) fn floating_addresses(object: &FloatingIP) -> BTreeSet<IpAddr> {
    let shown = object.status.iter().flat_map(|status| &status.addresses);
    shown.filter_map(|address| address.parse().ok()).collect()
}

/// The writes of FloatingIPs' statuses, by name.
pub(in crate::apply) fn floating_ips(
    plan: &Plan,
    objects: &Objects,
    target: Target<'_>,
    unread: &Unread,
    now: &Time,
) -> BTreeMap<ServiceName, Write> {
    let mut writes = BTreeMap::new();
    for (name, plan) in &plan.floating_ips {
        let Some(object) = objects.floating_ips.get(name) else { continue };
        let status = status(object, plan, now);
        if object.status.as_ref() != Some(&status) {
            writes.insert(name.clone(), put(object, status));
        }
    }
    if let Target::Directory(written) = target {
        let gone = |name: &&ServiceName| {
            !objects.floating_ips.contains_key(*name) && !unread.may_hide_floating_ip(name)
        };
        let gone = written.floating_ips.iter().filter(gone).cloned();
        writes.extend(gone.map(|name| (name.clone(), Write::DeleteFloatingIPStatus(name))));
    }
    writes
}

/// The write that lets a FloatingIP show only `addresses` and changes nothing else.
pub(in crate::apply) fn only_floating_addresses(object: &FloatingIP, addresses: &BTreeSet<IpAddr>) -> Write {
    let mut status = object.status.clone().unwrap_or_default();
    status.addresses = texts(addresses);
    put(object, status)
}

fn status(object: &FloatingIP, plan: &FloatingPlan, now: &Time) -> FloatingIPStatus {
    let old = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let mut conditions = old.conditions;
    if let Some(verdict) = verdict(READY, &plan.addresses, plan.refusal.as_ref(), generation, now) {
        condition::set(&mut conditions, verdict);
    }
    let accepted = if plan.is_accepted { Some(object.spec.clone()) } else { old.accepted };
    FloatingIPStatus {
        observed_generation: generation,
        conditions,
        addresses: texts(&plan.addresses),
        accepted,
    }
}

fn texts<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> Vec<String> {
    addresses.into_iter().map(IpAddr::to_string).collect()
}

fn put(object: &FloatingIP, status: FloatingIPStatus) -> Write {
    Write::PutFloatingIPStatus(Box::new(FloatingIP {
        metadata: object.metadata.clone(),
        spec: object.spec.clone(),
        status: Some(status),
    }))
}
