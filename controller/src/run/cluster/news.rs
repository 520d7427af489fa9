// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users are told under `kubectl describe`: what a write changes, and nothing that was so before. Pure.
//!
//! News come from the difference between an object and what is written to it, not from a memory of what was told: a
//! controller that starts anew has nothing to tell of what is as it should be.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ferrolb_config::api::{Consumer, ConsumerKind, ConsumerName, FloatingIP};
use ferrolb_config::condition::{self, ADDRESSES_ASSIGNED, READY};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::{ObjectRef, Objects, ServiceName};
use ferrolb_source::events::{Event, Tone};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::apply::{Write, addresses_in_sight, floating_addresses};
use crate::plan::sentence;

/// The apiVersion of our kinds.
pub(super) const OURS: &str = "ferrolb.io/v1beta1";
/// What was being done.
const ALLOCATE: &str = "Allocate";
const JUDGE: &str = "Judge";
/// Of how many Services that others serve is told at once, at most.
const MOST_FOREIGN: usize = 20;

/// What `write` changes that users want to hear of, once it is done. `view` is what it was decided upon.
pub(super) fn of(write: &Write, view: &Objects) -> Vec<Event> {
    match write {
        Write::PutServiceStatus(object) | Write::PutExternalIPs(object) => of_service(write, object, view),
        Write::PutFloatingIPStatus(object) => of_floating_ip(write, object, view),
        Write::PutPoolStatus(object) => {
            let old = view.pools.get(&write.object().name).and_then(|pool| pool.status.as_ref());
            let old = old.and_then(|status| condition::find(&status.conditions, READY));
            let new = object.status.as_ref().and_then(|status| condition::find(&status.conditions, READY));
            verdict(write, view, OURS, old, new)
        }
        Write::PutVerdict(judged) => {
            let old = condition::find(judged.conditions_in(view), READY);
            verdict(write, view, OURS, old, condition::find(judged.conditions(), READY))
        }
        _ => Vec::new(),
    }
}

fn of_service(write: &Write, object: &Service, view: &Objects) -> Vec<Event> {
    let ObjectRef { namespace, name, .. } = write.object();
    let name = ServiceName { namespace: namespace.unwrap_or_default(), name };
    let Some(base) = view.services.get(&name) else { return Vec::new() };
    // A write changes one of the two places where a Service shows addresses, and leaves the other out.
    let mut after = object.clone();
    match write {
        Write::PutExternalIPs(_) => after.status.clone_from(&base.status),
        _ => after.spec.clone_from(&base.spec),
    }
    let (before, now) = (addresses_in_sight(base), addresses_in_sight(&after));
    let mut events = Vec::from_iter(given(write, view, "v1", &before, &now));
    let condition = |service: &Service| {
        let conditions = service.status.as_ref()?.conditions.as_deref()?;
        condition::find(conditions, ADDRESSES_ASSIGNED).cloned()
    };
    events.extend(verdict(write, view, "v1", condition(base).as_ref(), condition(&after).as_ref()));
    events
}

fn of_floating_ip(write: &Write, object: &FloatingIP, view: &Objects) -> Vec<Event> {
    let ObjectRef { namespace, name, .. } = write.object();
    let name = ServiceName { namespace: namespace.unwrap_or_default(), name };
    let Some(base) = view.floating_ips.get(&name) else { return Vec::new() };
    let (before, now) = (floating_addresses(base), floating_addresses(object));
    let condition =
        |object: &FloatingIP| condition::find(object.status.as_ref()?.conditions.as_slice(), READY).cloned();
    let judged = verdict(write, view, OURS, condition(base).as_ref(), condition(object).as_ref());
    given(write, view, OURS, &before, &now).into_iter().chain(judged).collect()
}

/// Other addresses than before. What is given up is told once its record is gone.
fn given(
    write: &Write,
    view: &Objects,
    api_version: &str,
    before: &BTreeSet<IpAddr>,
    now: &BTreeSet<IpAddr>,
) -> Option<Event> {
    if before == now || now.is_empty() {
        return None;
    }
    let (reason, note) = match before.is_empty() {
        true => ("Assigned", format!("It has {}.", list(now))),
        false => ("Moved", format!("It moved from {} to {}.", list(before), list(now))),
    };
    Some(event(write.object(), view, api_version, Tone::Normal, reason, ALLOCATE, note))
}

/// Who is no longer recorded for an address after `write`.
pub(super) fn leavers(write: &Write, view: &Objects) -> Vec<(ConsumerName, String)> {
    let (name, staying) = match write {
        Write::DeleteVirtualIP(object) => (&object.metadata.name, &[][..]),
        Write::PutVirtualIP(object) => (&object.metadata.name, object.spec.consumers.as_slice()),
        _ => return Vec::new(),
    };
    let Some(base) = name.as_ref().and_then(|name| view.virtual_ips.get(name)) else { return Vec::new() };
    let stays = |name: &ConsumerName| staying.iter().any(|consumer| consumer.identity() == *name);
    let leavers = base.spec.consumers.iter().map(Consumer::identity).filter(|name| !stays(name));
    leavers.map(|name| (name, base.spec.address.clone())).collect()
}

/// What is told of those who left, by what is so now: nothing of one that is gone, or that has another address.
pub(super) fn released(leavers: Vec<(ConsumerName, String)>, view: &Objects) -> Vec<Event> {
    let left_with_nothing = |(consumer, address): (ConsumerName, String)| {
        let (api_version, left) = match consumer.kind {
            ConsumerKind::Service => ("v1", addresses_in_sight(view.services.get(&consumer.name)?)),
            ConsumerKind::FloatingIP => (OURS, floating_addresses(view.floating_ips.get(&consumer.name)?)),
        };
        let note = format!("It gave up {address}.");
        let told = || event(consumer.object(), view, api_version, Tone::Normal, "Released", ALLOCATE, note);
        left.is_empty().then(told)
    };
    leavers.into_iter().filter_map(left_with_nothing).collect()
}

/// A refusal that was none before, or another one.
fn verdict(
    write: &Write,
    view: &Objects,
    api_version: &str,
    old: Option<&Condition>,
    new: Option<&Condition>,
) -> Vec<Event> {
    let words = |condition: &Condition| (condition.reason.clone(), condition.message.clone());
    let Some(new) = new.filter(|new| new.status == "False") else { return Vec::new() };
    if old.map(words) == Some(words(new)) {
        return Vec::new();
    }
    vec![event(write.object(), view, api_version, Tone::Warning, &new.reason, JUDGE, new.message.clone())]
}

/// The API server does not take a write.
pub(super) fn refused(write: &Write, view: &Objects, reason: Reason, why: &str) -> Event {
    let api_version = if write.object().kind == "Service" { "v1" } else { OURS };
    let note = format!("What FerroLB wants to write is refused: {why}");
    event(write.object(), view, api_version, Tone::Warning, &reason.to_string(), ALLOCATE, note)
}

/// Somebody else keeps changing what is written.
pub(super) fn contended(write: &Write, view: &Objects) -> Event {
    let note = "Somebody else keeps changing the status that FerroLB writes; it is written less often now. \
                metadata.managedFields names who.";
    let reason = Reason::Contended.to_string();
    event(write.object(), view, "v1", Tone::Warning, &reason, ALLOCATE, note.to_owned())
}

/// Services that others serve, as they become known.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    known: Option<HashMap<ServiceName, String>>,
}

impl Foreign {
    /// What is new. At the start everything is known: whoever installs FerroLB beside another controller did not ask.
    pub(super) fn learn(&mut self, found: Vec<(ServiceName, Refusal)>, view: &Objects) -> Vec<Event> {
        let now: HashMap<_, _> =
            found.iter().map(|(name, refusal)| (name.clone(), sentence(refusal))).collect();
        let Some(known) = self.known.replace(now) else { return Vec::new() };
        let is_new = |(name, refusal): &&(ServiceName, Refusal)| known.get(name) != Some(&sentence(refusal));
        let told = found.iter().filter(is_new).take(MOST_FOREIGN);
        told.map(|(name, refusal)| {
            let object = ObjectRef::namespaced("Service", name);
            let reason = refusal.reason.to_string();
            event(object, view, "v1", Tone::Warning, &reason, ALLOCATE, sentence(refusal))
        })
        .collect()
    }
}

/// An event about an object of `view`.
pub(super) fn event(
    object: ObjectRef,
    view: &Objects,
    api_version: &str,
    tone: Tone,
    reason: &str,
    action: &'static str,
    note: String,
) -> Event {
    let uid = view.metadata(&object).and_then(|metadata| metadata.uid.clone());
    let (api_version, reason) = (api_version.to_owned(), reason.to_owned());
    Event { object, api_version, uid, tone, reason, action, note }
}

fn list<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::api::VirtualIP;

    use super::*;

    fn service(addresses: &[&str], refusal: Option<&str>) -> Service {
        let ingress: Vec<_> = addresses.iter().map(|ip| serde_json::json!({"ip": ip})).collect();
        let conditions: Vec<_> = refusal
            .into_iter()
            .map(|reason| {
                serde_json::json!({
                    "type": ADDRESSES_ASSIGNED, "status": "False", "reason": reason, "message": "why",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "default", "name": "a", "uid": "u"},
            "status": {"loadBalancer": {"ingress": ingress}, "conditions": conditions},
        }))
        .unwrap()
    }

    fn told(before: &Service, after: Service) -> Vec<(String, String)> {
        let mut view = Objects::default();
        let name = ServiceName { namespace: "default".to_owned(), name: "a".to_owned() };
        view.services.insert(name, Arc::new(before.clone()));
        let events = of(&Write::PutServiceStatus(Box::new(after)), &view);
        assert!(events.iter().all(|event| event.uid.as_deref() == Some("u")));
        events.into_iter().map(|event| (event.reason, event.note)).collect()
    }

    fn pair(reason: &str, note: &str) -> (String, String) {
        (reason.to_owned(), note.to_owned())
    }

    #[test]
    fn each_change_is_told_once_and_what_was_so_before_never() {
        let (none, one, two) =
            (service(&[], None), service(&["192.0.2.1"], None), service(&["192.0.2.2"], None));
        assert_eq!(told(&none, one.clone()), [pair("Assigned", "It has 192.0.2.1.")]);
        assert_eq!(told(&one, two), [pair("Moved", "It moved from 192.0.2.1 to 192.0.2.2.")]);
        assert_eq!(told(&one, none.clone()), []);
        assert_eq!(told(&one, one.clone()), []);
        let full = service(&[], Some("PoolExhausted"));
        assert_eq!(told(&none, full.clone()), [pair("PoolExhausted", "why")]);
        assert_eq!(told(&full, full.clone()), []);
    }

    #[test]
    fn who_gave_up_its_address_is_told_so_unless_it_has_another_or_is_gone() {
        let consumer =
            serde_json::json!({"kind": "Service", "namespace": "default", "name": "a", "ports": []});
        let record: VirtualIP = serde_json::from_value(serde_json::json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "VirtualIP", "metadata": {"name": "192.0.2.1"},
            "spec": {"address": "192.0.2.1", "pool": "p", "consumers": [consumer]},
        }))
        .unwrap();
        let record = Arc::new(record);
        let mut view = Objects::default();
        view.virtual_ips.insert("192.0.2.1".to_owned(), Arc::clone(&record));
        let name = ServiceName { namespace: "default".to_owned(), name: "a".to_owned() };
        let user = ConsumerName { kind: ConsumerKind::Service, name: name.clone() };
        let left = leavers(&Write::DeleteVirtualIP(Arc::clone(&record)), &view);
        assert_eq!(left, [(user, "192.0.2.1".to_owned())]);
        assert_eq!(leavers(&Write::PutVirtualIP(Box::new((*record).clone())), &view), []);
        let mut told = |service: Option<Service>| {
            view.services.clear();
            view.services.extend(service.map(|service| (name.clone(), Arc::new(service))));
            released(left.clone(), &view).into_iter().map(|event| event.note).collect::<Vec<_>>()
        };
        assert_eq!(told(None), [""; 0]);
        assert_eq!(told(Some(service(&["192.0.2.2"], None))), [""; 0]);
        assert_eq!(told(Some(service(&[], None))), ["It gave up 192.0.2.1."]);
    }
}
