// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The objects that a plan says should be there, as they are written, and only where they differ from what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::api::{
    AddressPool, AddressPoolStatus, L2Advertisement, L2AdvertisementStatus, VirtualIP,
};
use ferrolb_config::condition::{self, ADDRESSES_ASSIGNED, READY};
use ferrolb_config::reason::Refusal;
use ferrolb_config::{Objects, ServiceName};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use super::Write;
use crate::ipam::Unread;
use crate::plan::{Plan, PoolPlan, Readiness, ServicePlan, sentence};

/// The names of the objects whose status we have written at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Services.
    pub services: BTreeSet<ServiceName>,
    /// AddressPools.
    pub pools: BTreeSet<String>,
    /// L2Advertisements.
    pub l2_advertisements: BTreeSet<String>,
}

impl Written {
    /// Takes note of a write that was carried out.
    pub fn note(&mut self, write: &Write) {
        match write {
            Write::PutVirtualIP(_) | Write::DeleteVirtualIP(_) => {}
            Write::PutServiceStatus(object) => self.services.extend(service_name(object)),
            Write::DeleteServiceStatus(name) => {
                self.services.remove(name);
            }
            Write::PutPoolStatus(object) => self.pools.extend(object.metadata.name.clone()),
            Write::DeletePoolStatus(name) => {
                self.pools.remove(name);
            }
            Write::PutL2AdvertisementStatus(object) => {
                self.l2_advertisements.extend(object.metadata.name.clone())
            }
            Write::DeleteL2AdvertisementStatus(name) => {
                self.l2_advertisements.remove(name);
            }
        }
    }
}

pub(super) fn service_name(service: &Service) -> Option<ServiceName> {
    let namespace = service.metadata.namespace.clone()?;
    Some(ServiceName { namespace, name: service.metadata.name.clone()? })
}

/// The addresses that a Service shows.
pub(super) fn shown(service: &Service) -> BTreeSet<IpAddr> {
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect()
}

pub(super) fn has_our_condition(status: &ServiceStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == ADDRESSES_ASSIGNED)
}

/// The writes of Service statuses, by Service.
pub(super) fn services(
    plan: &Plan,
    objects: &Objects,
    written: &Written,
    unread: &Unread,
    now: &Time,
) -> BTreeMap<ServiceName, Write> {
    let mut writes = BTreeMap::new();
    for (name, service) in &plan.services {
        let ServicePlan::Ours { addresses, refusal } = service else { continue };
        let Some(object) = objects.services.get(name) else { continue };
        let verdict = verdict(addresses, refusal.as_ref(), object.metadata.generation, now);
        if !shows(object, addresses, verdict.as_ref()) {
            writes.insert(name.clone(), put_service(object, service_status(object, addresses, verdict)));
        }
    }
    for name in &written.services {
        let ours = matches!(plan.services.get(name), Some(ServicePlan::Ours { .. }));
        let hidden = !objects.services.contains_key(name) && unread.may_hide_service(name);
        if !ours && !hidden {
            writes.insert(name.clone(), Write::DeleteServiceStatus(name.clone()));
        }
    }
    writes
}

/// The write that lets a Service show only `addresses` and changes nothing else.
pub(super) fn only_addresses(object: &Service, addresses: &BTreeSet<IpAddr>) -> Write {
    let mut status = object.status.clone().unwrap_or_default();
    status.load_balancer = Some(ingress(addresses));
    put_service(object, status)
}

fn put_service(object: &Service, status: ServiceStatus) -> Write {
    let metadata = ObjectMeta {
        namespace: object.metadata.namespace.clone(),
        name: object.metadata.name.clone(),
        ..ObjectMeta::default()
    };
    Write::PutServiceStatus(Box::new(Service { metadata, spec: None, status: Some(status) }))
}

/// Whether a Service shows just these addresses and this verdict, whenever that was reached.
fn shows(object: &Service, addresses: &[IpAddr], verdict: Option<&Condition>) -> bool {
    let status = object.status.as_ref();
    let load_balancer = status.and_then(|status| status.load_balancer.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let condition = conditions.iter().find(|condition| condition.type_ == ADDRESSES_ASSIGNED);
    let same = |new: &Condition| {
        condition.is_some_and(|old| {
            (&old.status, &old.reason, &old.message, old.observed_generation)
                == (&new.status, &new.reason, &new.message, new.observed_generation)
        })
    };
    load_balancer == Some(&ingress(addresses)) && verdict.is_none_or(same)
}

fn service_status(object: &Service, addresses: &[IpAddr], verdict: Option<Condition>) -> ServiceStatus {
    let mut new = object.status.clone().unwrap_or_default();
    new.load_balancer = Some(ingress(addresses));
    if let Some(verdict) = verdict {
        condition::set(new.conditions.get_or_insert_default(), verdict);
    }
    new
}

/// Whether the Service has what it asks for. One on its way out that has nothing and wants nothing needs no verdict.
fn verdict(
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
        type_: ADDRESSES_ASSIGNED.to_owned(),
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

/// The VirtualIPs to write, by address.
pub(super) fn virtual_ips(plan: &Plan, objects: &Objects) -> BTreeMap<IpAddr, Write> {
    let mut writes = BTreeMap::new();
    for (address, (name, spec)) in plan.virtual_ips.keys().zip(plan.records()) {
        if objects.virtual_ips.get(&name).is_none_or(|object| object.spec != *spec) {
            writes.insert(*address, Write::PutVirtualIP(Box::new(VirtualIP::new(&name, spec.clone()))));
        }
    }
    for (name, object) in &objects.virtual_ips {
        // A record that cannot be read is refused, not removed: nobody knows whose it is.
        let Some(address) = ferrolb_config::address::parse_virtual_ip_name(name)
            .filter(|address| object.spec.address.parse() == Ok(*address))
        else {
            continue;
        };
        if !plan.virtual_ips.contains_key(&address) {
            writes.insert(address, Write::DeleteVirtualIP(name.clone()));
        }
    }
    writes
}

/// The statuses of pools and advertisements to write.
pub(super) fn configuration(
    plan: &Plan,
    objects: &Objects,
    written: &Written,
    unread: &Unread,
    now: &Time,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for (name, pool) in &plan.pools {
        let Some(object) = objects.pools.get(name) else { continue };
        let status = pool_status(object, pool, now);
        if object.status.as_ref() != Some(&status) {
            let object =
                AddressPool { metadata: named(name), spec: object.spec.clone(), status: Some(status) };
            writes.push(Write::PutPoolStatus(Box::new(object)));
        }
    }
    for (name, readiness) in &plan.l2_advertisements {
        let Some(object) = objects.l2_advertisements.get(name) else { continue };
        let status = l2_advertisement_status(object, readiness, now);
        if object.status.as_ref() != Some(&status) {
            let object =
                L2Advertisement { metadata: named(name), spec: object.spec.clone(), status: Some(status) };
            writes.push(Write::PutL2AdvertisementStatus(Box::new(object)));
        }
    }
    let gone = |name: &&String| !objects.pools.contains_key(*name) && !unread.may_hide_pool(name);
    writes.extend(written.pools.iter().filter(gone).cloned().map(Write::DeletePoolStatus));
    let gone = |name: &&String| {
        !objects.l2_advertisements.contains_key(*name) && !unread.may_hide_l2_advertisement(name)
    };
    writes.extend(
        written.l2_advertisements.iter().filter(gone).cloned().map(Write::DeleteL2AdvertisementStatus),
    );
    writes
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
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
