// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Service statuses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::condition::{self, ADDRESSES_ASSIGNED};
use ferrolb_config::reason::Refusal;
use ferrolb_config::{Objects, ServiceName, address};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use crate::apply::{Target, Write};
use crate::ipam::Unread;
use crate::plan::{Plan, ServicePlan, sentence};

/// The namespace and name of an object that has both.
pub(in crate::apply) fn name_of(metadata: &ObjectMeta) -> Option<ServiceName> {
    Some(ServiceName { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}

/// The addresses that a Service shows.
pub(crate) fn shown(service: &Service) -> BTreeSet<IpAddr> {
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

pub(in crate::apply) fn has_our_condition(status: &ServiceStatus) -> bool {
    condition::find(status.conditions.as_deref().unwrap_or_default(), ADDRESSES_ASSIGNED).is_some()
}

/// The writes of Service statuses, by Service.
pub(in crate::apply) fn services(
    plan: &Plan,
    objects: &Objects,
    target: Target<'_>,
    unread: &Unread,
    now: &Time,
) -> BTreeMap<ServiceName, Write> {
    let mut writes = BTreeMap::new();
    for (name, service) in &plan.services {
        let ServicePlan::Ours { addresses, refusal } = service else { continue };
        let Some(object) = objects.services.get(name) else { continue };
        let verdict = service_verdict(addresses, refusal.as_ref(), object, now);
        if !shows(object, addresses, verdict.as_ref()) {
            writes.insert(name.clone(), put_service(object, service_status(object, addresses, verdict)));
        }
    }
    for (name, service) in &plan.services {
        let ServicePlan::External { addresses, refusal } = service else { continue };
        let Some(object) = objects.services.get(name) else { continue };
        let Some(verdict) = service_verdict(addresses, refusal.as_ref(), object, now) else { continue };
        if !says(object, &verdict) {
            let mut status = object.status.clone().unwrap_or_default();
            condition::set(status.conditions.get_or_insert_default(), verdict);
            writes.insert(name.clone(), put_service(object, status));
        }
    }
    let is_ours = |name: &ServiceName| {
        matches!(plan.services.get(name), Some(ServicePlan::Ours { .. } | ServicePlan::External { .. }))
    };
    match target {
        Target::Directory(written) => {
            for name in written.services.iter().filter(|name| !is_ours(name)) {
                if objects.services.contains_key(name) || !unread.may_hide_service(name) {
                    writes.insert(name.clone(), Write::DeleteServiceStatus(name.clone()));
                }
            }
        }
        Target::Cluster => {
            let released = plan.services.iter().filter(|(_, plan)| **plan == ServicePlan::Released);
            let judged = objects.services.iter().filter(|(_, object)| judged_by_us(object));
            for name in released.map(|(name, _)| name).chain(judged.map(|(name, _)| name)) {
                let Some(object) = objects.services.get(name).filter(|_| !is_ours(name)) else { continue };
                let status = status_without_ours(name, object, objects);
                if object.status.as_ref() != Some(&status) {
                    writes.insert(name.clone(), put_service(object, status));
                }
            }
        }
    }
    writes
}

fn judged_by_us(object: &Service) -> bool {
    object.status.as_ref().is_some_and(has_our_condition)
}

/// What is left of the status of a Service that is ours no longer: what we did not write.
fn status_without_ours(name: &ServiceName, object: &Service, objects: &Objects) -> ServiceStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let is_recorded = |entry: &LoadBalancerIngress| {
        let ip = entry.ip.as_ref().and_then(|ip| ip.parse().ok());
        ip.and_then(|ip| objects.virtual_ips.get(&address::virtual_ip_name(ip))).is_some_and(|record| {
            record.spec.consumers.iter().any(|user| user.service().as_ref() == Some(name))
        })
    };
    if let Some(load_balancer) = &mut status.load_balancer
        && let Some(ingress) = &mut load_balancer.ingress
    {
        ingress.retain(|entry| !is_recorded(entry));
        if ingress.is_empty() {
            load_balancer.ingress = None;
        }
    }
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != ADDRESSES_ASSIGNED);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
    status
}

/// The write that lets a Service show only `addresses` and changes nothing else.
pub(in crate::apply) fn only_addresses(object: &Service, addresses: &BTreeSet<IpAddr>) -> Write {
    let mut status = object.status.clone().unwrap_or_default();
    status.load_balancer = Some(ingress(addresses));
    put_service(object, status)
}

fn put_service(object: &Service, status: ServiceStatus) -> Write {
    let metadata = object.metadata.clone();
    Write::PutServiceStatus(Box::new(Service { metadata, spec: None, status: Some(status) }))
}

/// Whether a Service shows just these addresses and this verdict, whenever that was reached.
fn shows(object: &Service, addresses: &[IpAddr], verdict: Option<&Condition>) -> bool {
    let load_balancer = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    // No list and a status without a list are the same.
    let is_empty = || addresses.is_empty() && load_balancer.is_none();
    (load_balancer == Some(&ingress(addresses)) || is_empty())
        && verdict.is_none_or(|verdict| says(object, verdict))
}

/// Whether the condition of a Service says the same, whenever it was reached.
fn says(object: &Service, verdict: &Condition) -> bool {
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_deref());
    let condition = condition::find(conditions.unwrap_or_default(), &verdict.type_);
    condition.is_some_and(|old| {
        (&old.status, &old.reason, &old.message, old.observed_generation)
            == (&verdict.status, &verdict.reason, &verdict.message, verdict.observed_generation)
    })
}

fn service_status(object: &Service, addresses: &[IpAddr], verdict: Option<Condition>) -> ServiceStatus {
    let mut new = object.status.clone().unwrap_or_default();
    new.load_balancer = Some(ingress(addresses));
    if let Some(verdict) = verdict {
        condition::set(new.conditions.get_or_insert_default(), verdict);
    }
    new
}

fn service_verdict(
    addresses: &[IpAddr],
    refusal: Option<&Refusal>,
    object: &Service,
    now: &Time,
) -> Option<Condition> {
    verdict(ADDRESSES_ASSIGNED, addresses, refusal, object.metadata.generation, now)
}

/// The condition `type_`: whether a consumer has what it asks for. One on its way out that has nothing and wants nothing
/// needs no verdict.
pub(super) fn verdict(
    type_: &str,
    addresses: &[IpAddr],
    refusal: Option<&Refusal>,
    generation: Option<i64>,
    now: &Time,
) -> Option<Condition> {
    let list = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ");
    let (status, reason, message) = match refusal {
        None if addresses.is_empty() => return None,
        None => ("True", "Assigned".to_owned(), list),
        Some(refusal) if addresses.is_empty() => ("False", refusal.reason.to_string(), sentence(refusal)),
        Some(refusal) => {
            ("False", refusal.reason.to_string(), format!("{} It keeps {list}.", ended(sentence(refusal))))
        }
    };
    Some(Condition {
        last_transition_time: now.clone(),
        message,
        observed_generation: generation,
        reason,
        status: status.to_owned(),
        type_: type_.to_owned(),
    })
}

fn ended(mut sentence: String) -> String {
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

fn ingress<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> LoadBalancerStatus {
    let entry = |address: &IpAddr| LoadBalancerIngress {
        ip: Some(address.to_string()),
        // What the API server fills in; without it every status would look changed.
        ip_mode: Some("VIP".to_owned()),
        ..LoadBalancerIngress::default()
    };
    let entries: Vec<_> = addresses.into_iter().map(entry).collect();
    LoadBalancerStatus { ingress: (!entries.is_empty()).then_some(entries) }
}
