// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's IPAddressPools beside our AddressPools.
//!
//! An IPAddressPool has no status of ours in which its accepted ranges could live. What it asks for counts as accepted,
//! but for what a pool of ours was accepted with before: so an edit of ours that overlaps it loses, and so does an edit
//! of it that overlaps ours; what it asks for besides stays in force.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Merged, Origins, POOL, metallb, reference, superseded, unknown_fields};
use crate::address::{Range, RangeSet};
use crate::api::{AddressPool, AddressPoolSpec, AddressPoolStatus, ServiceAllocation};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::{Reason, Refusal};

/// All pools.
pub(crate) fn pools(objects: &Objects) -> Merged<'_, AddressPool> {
    let mut all = Cow::Borrowed(&objects.pools);
    let (mut refused, mut origins) = (Vec::new(), BTreeMap::new());
    let ours: RangeSet = objects.pools.values().flat_map(|pool| accepted(pool)).flat_map(readable).collect();
    for (name, object) in &objects.metallb_pools {
        let itself = reference(POOL, &object.metadata);
        let (spec, warnings) = mapped(&itself, &object.spec);
        let in_force = readable(&spec.addresses).collect::<RangeSet>().difference(&ours);
        let status = AddressPoolStatus {
            accepted_addresses: in_force.ranges().map(|range| range.to_string()).collect(),
            ..AddressPoolStatus::default()
        };
        match objects.pools.get(name) {
            Some(pool) => {
                if pool.spec != spec {
                    refused.push(superseded(itself, "AddressPool"));
                }
                // Ours takes its place as an edit of it would: if it is refused, what was there stays in force.
                if accepted(pool).is_none() {
                    let mut pool = AddressPool::clone(pool);
                    pool.status = Some(status);
                    all.to_mut().insert(name.clone(), Arc::new(pool));
                }
            }
            None => {
                refused.extend(warnings);
                origins.insert(name.as_str(), itself);
                let mut pool = AddressPool::new(name, spec);
                pool.metadata.labels.clone_from(&object.metadata.labels);
                pool.status = Some(status);
                all.to_mut().insert(name.clone(), Arc::new(pool));
            }
        }
    }
    Merged { objects: all, refused, origins: Origins { kind: "AddressPool", objects: origins } }
}

/// The ranges that a pool of ours was accepted with, if it ever was.
fn accepted(pool: &AddressPool) -> Option<&[String]> {
    let accepted = pool.status.as_ref()?.accepted_addresses.as_slice();
    (!accepted.is_empty()).then_some(accepted)
}

/// The pool in our words, and what is lost of it.
fn mapped(object: &ObjectRef, spec: &metallb::IPAddressPoolSpec) -> (AddressPoolSpec, Vec<Refusal>) {
    let mut warnings = unknown_fields(object, "spec", &spec.unknown);
    let service_allocation = spec.service_allocation.as_ref().map(|allocation| {
        warnings.extend(unknown_fields(object, "spec.serviceAllocation", &allocation.unknown));
        ServiceAllocation {
            priority: priority(object, allocation.priority, &mut warnings),
            namespaces: allocation.namespaces.clone(),
            namespace_selectors: allocation.namespace_selectors.clone(),
            service_selectors: allocation.service_selectors.clone(),
        }
    });
    let defaults = AddressPoolSpec::default();
    let spec = AddressPoolSpec {
        addresses: spec.addresses.clone(),
        auto_assign: spec.auto_assign.unwrap_or(defaults.auto_assign),
        avoid_buggy_ips: spec.avoid_buggy_ips,
        service_allocation,
        ..defaults
    };
    (spec, warnings)
}

/// MetalLB tries a pool with a negative number before all others.
fn priority(object: &ObjectRef, priority: i64, warnings: &mut Vec<Refusal>) -> u32 {
    let (least, most) = (0, i64::from(i32::MAX));
    if !(least..=most).contains(&priority) {
        let message = format!("{priority} is not within {least} and {most}");
        let warning = Refusal::warning(Reason::InvalidValue, object.clone(), message);
        let remedy = "The nearest number that means the same order is used; write another one.";
        warnings.push(warning.field("spec.serviceAllocation.priority").remedy(remedy));
    }
    let first = if priority < least { 1 } else { priority.min(most) };
    u32::try_from(first).unwrap_or(1)
}

/// What can be read of `texts`: the rest is refused elsewhere.
fn readable(texts: &[String]) -> impl Iterator<Item = Range> {
    texts.iter().filter_map(|text| Range::parse(text).ok()).map(|parsed| parsed.range)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::Snapshot;
    use crate::api::{AddressPool, AddressPoolStatus};
    use crate::objects::Object;

    fn theirs(name: &str, spec: serde_json::Value) -> Object {
        let object = json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
            "metadata": {"name": name, "namespace": "metallb-system", "labels": {"zone": "a"}}, "spec": spec,
        });
        Object::MetalLBPool(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn ours(name: &str, range: &str, accepted: &[&str]) -> Object {
        let spec = AddressPoolSpec { addresses: vec![range.to_owned()], ..AddressPoolSpec::default() };
        let mut pool = AddressPool::new(name, spec);
        pool.status = Some(AddressPoolStatus {
            accepted_addresses: accepted.iter().map(|range| (*range).to_owned()).collect(),
            ..AddressPoolStatus::default()
        });
        Object::AddressPool(Arc::new(pool))
    }

    fn snapshot(objects: impl IntoIterator<Item = Object>) -> Snapshot {
        let mut all = Objects::default();
        objects.into_iter().for_each(|object| all.insert(object));
        Snapshot::build(&all)
    }

    fn in_force(snapshot: &Snapshot, pool: &str) -> Vec<String> {
        snapshot.pools[pool].ranges.ranges().map(|range| range.to_string()).collect()
    }

    fn refusals(snapshot: &Snapshot) -> Vec<String> {
        snapshot.refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pool_of_metallb_is_a_pool_with_all_that_it_says() {
        let spec = json!({
            "addresses": ["192.0.2.0/24", "2001:db8::1 - 2001:db8::9"], "autoAssign": false, "avoidBuggyIPs": true,
            "serviceAllocation": {
                "priority": 50, "namespaces": ["shop"],
                "namespaceSelectors": [{"matchLabels": {"team": "x"}}],
                "serviceSelectors": [{"matchExpressions": [{"key": "public", "operator": "Exists"}]}],
            },
        });
        let Object::MetalLBPool(object) = theirs("first", spec) else { unreachable!() };
        let (spec, warnings) = mapped(&reference(POOL, &object.metadata), &object.spec);
        assert_eq!(warnings, []);
        assert!(!spec.auto_assign && spec.avoid_buggy_ips);
        let allocation = spec.service_allocation.unwrap();
        assert_eq!((allocation.priority, allocation.namespaces), (50, vec!["shop".to_owned()]));
        assert_eq!((allocation.namespace_selectors.len(), allocation.service_selectors.len()), (1, 1));

        let snapshot = snapshot([theirs("first", json!({"addresses": ["192.0.2.0/24"]}))]);
        let pool = &snapshot.pools["first"];
        assert!(pool.accepting.is_ok() && pool.auto_assign && !pool.avoid_buggy_ips);
        assert_eq!(pool.labels["zone"], "a");
        assert_eq!(in_force(&snapshot, "first"), ["192.0.2.0/24"]);
        assert_eq!(snapshot.refused, []);
    }

    #[test]
    fn what_metallb_cannot_be_understood_to_say_is_a_warning_that_names_the_field() {
        let spec = json!({
            "addresses": ["192.0.2.0/24"], "dhcp": true, "serviceAllocation": {"priority": -3, "mood": "good"},
        });
        let snapshot = snapshot([theirs("first", spec)]);
        let refusals = refusals(&snapshot);
        assert_eq!(refusals.len(), 3, "{refusals:#?}");
        for (refusal, field) in refusals.iter().zip(["spec.dhcp", "allocation.mood", "allocation.priority"]) {
            assert!(refusal.starts_with("IPAddressPool.metallb.io metallb-system/first, spec."), "{refusal}");
            assert!(refusal.to_lowercase().contains(field), "{refusal}");
        }
        assert!(snapshot.pools["first"].accepting.is_ok());
    }

    #[test]
    fn an_own_pool_of_the_same_name_is_used_instead_and_equal_ones_are_one() {
        let metallb = || theirs("first", json!({"addresses": ["192.0.2.0/24"]}));
        let equal = snapshot([metallb(), ours("first", "192.0.2.0/24", &["192.0.2.0/24"])]);
        assert_eq!((equal.refused.as_slice(), equal.pools.len()), (&[][..], 1));

        let other = snapshot([metallb(), ours("first", "198.51.100.0/24", &[])]);
        assert_eq!(in_force(&other, "first"), ["198.51.100.0/24"]);
        let said = refusals(&other);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("IPAddressPool.metallb.io metallb-system/first: AddressPool first says"));
        assert!(said[0].ends_with("(DuplicateObject)"), "{said:?}");
    }

    #[test]
    fn a_broken_pool_of_ours_takes_nothing_away_from_that_of_metallb() {
        let metallb = theirs("first", json!({"addresses": ["192.0.2.0/24"]}));
        let snapshot = snapshot([metallb, ours("first", "192.0.2.9-192.0.2.1", &[])]);
        assert!(snapshot.pools["first"].accepting.is_err());
        assert_eq!(in_force(&snapshot, "first"), ["192.0.2.0/24"]);
    }

    #[test]
    fn a_new_pool_of_ours_loses_to_a_standing_one_of_metallb_whatever_its_name() {
        let metallb = theirs("zz", json!({"addresses": ["192.0.2.0/24"]}));
        let snapshot = snapshot([metallb, ours("aa", "192.0.2.128/25", &[])]);
        assert!(snapshot.pools["zz"].accepting.is_ok());
        let refusal = snapshot.pools["aa"].accepting.clone().unwrap_err();
        assert_eq!(refusal.message, "192.0.2.128/25 is already AddressPool zz's");
    }

    #[test]
    fn an_edit_of_metallbs_loses_what_is_ours_and_keeps_the_rest() {
        let metallb = theirs("aa", json!({"addresses": ["192.0.2.0/24"]}));
        let snapshot = snapshot([metallb, ours("zz", "192.0.2.128/25", &["192.0.2.128/25"])]);
        assert!(snapshot.pools["zz"].accepting.is_ok());
        let refusal = snapshot.pools["aa"].accepting.clone().unwrap_err();
        assert_eq!(refusal.to_string().split(',').next(), Some("IPAddressPool.metallb.io metallb-system/aa"));
        assert_eq!(in_force(&snapshot, "aa"), ["192.0.2.0/25"]);
    }

    #[test]
    fn of_two_overlapping_pools_of_metallb_the_later_name_loses() {
        let both = ["aa", "bb"].map(|name| theirs(name, json!({"addresses": ["192.0.2.0/24"]})));
        let snapshot = snapshot(both);
        assert_eq!(in_force(&snapshot, "aa"), ["192.0.2.0/24"]);
        assert_eq!(in_force(&snapshot, "bb"), [""; 0]);
        assert!(snapshot.pools["aa"].accepting.is_ok() && snapshot.pools["bb"].accepting.is_err());
    }

    #[test]
    fn objects_of_metallb_stay_apart_from_ours() {
        let mut objects = Objects::default();
        objects.insert(theirs("first", json!({"addresses": ["192.0.2.0/24"]})));
        assert!(objects.pools.is_empty());
        assert_eq!(objects.metallb_pools.keys().collect::<Vec<_>>(), ["first"]);
        let held = Arc::clone(&objects.metallb_pools["first"]);
        assert_eq!(
            Object::MetalLBPool(Arc::new((*held).clone())).reference().to_string(),
            "IPAddressPool.metallb.io metallb-system/first"
        );
    }
}
