// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs that are each valid and do not fit what is around them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::relation::names;
use crate::api::AddressMode;
use crate::reason::{Reason, Refusal};
use crate::snapshot::{Carriage, FloatingForm, FloatingIP, FloatingTarget, Pool};
use crate::{ObjectRef, Objects, ServiceName, Snapshot};

pub(super) fn faults(objects: &Objects, snapshot: &Snapshot) -> Vec<Refusal> {
    let mut faults = Vec::new();
    let mut askers: BTreeMap<IpAddr, ObjectRef> = BTreeMap::new();
    for service in snapshot.load_balancers.values() {
        let asker = || ObjectRef::namespaced("Service", &service.name);
        askers.extend(service.requested.iter().map(|address| (*address, asker())));
    }
    for floating_ip in snapshot.floating_ips.values() {
        let Some(form) = &floating_ip.wanted else { continue };
        let object = || object(floating_ip);
        faults.extend(out_of_reach(floating_ip, form, snapshot));
        for (index, address) in form.requested.iter().enumerate() {
            if let Some(other) = askers.get(address) {
                let message = format!("{address} is asked for by {other} already");
                let fault = Refusal::error(Reason::AddressInUse, object(), message);
                let field = format!("spec.addresses[{index}]");
                let remedy = "Ask for another address: that of a FloatingIP is not shared.";
                faults.push(fault.field(field).remedy(remedy));
            }
            askers.entry(*address).or_insert_with(object);
        }
        let target = match &form.carriage {
            Carriage::ReplyOnly(FloatingTarget::Service(name)) => Some(("spec.target.service", name)),
            Carriage::ReplyOnly(FloatingTarget::Ports(_)) | Carriage::Bound => None,
        };
        let candidate = form.candidates.service.as_ref().map(|name| ("spec.candidates.service", name));
        let named = target.into_iter().chain(candidate);
        faults.extend(named.filter_map(|(field, name)| absent(floating_ip, field, name, objects)));
        faults.extend(homeless(floating_ip, form, snapshot));
    }
    faults
}

fn object(floating_ip: &FloatingIP) -> ObjectRef {
    ObjectRef::namespaced("FloatingIP", &floating_ip.name)
}

/// One that no pool can serve as it asks.
fn out_of_reach(floating_ip: &FloatingIP, form: &FloatingForm, snapshot: &Snapshot) -> Option<Refusal> {
    let object = object(floating_ip);
    if let Some(name) = form.pool.as_ref().filter(|name| !snapshot.pools.contains_key(*name)) {
        let fault = Refusal::error(Reason::NotFound, object, format!("there is no AddressPool \"{name}\""));
        return Some(fault.field("spec.pool").remedy(names("Correct the name", snapshot.pools.keys())));
    }
    let pools =
        || snapshot.pools.values().filter(|pool| form.pool.as_ref().is_none_or(|name| *name == pool.name));
    let mut requested = form.requested.iter().enumerate();
    if let Some((index, address)) =
        requested.find(|(_, address)| !pools().any(|pool| pool.contains(**address)))
    {
        let message = match &form.pool {
            Some(pool) => format!("{address} is not one that AddressPool {pool} gives"),
            None => format!("{address} is not one that any AddressPool gives"),
        };
        let fault = Refusal::error(Reason::AddressNotInPool, object, message);
        let remedy = "Ask for an address of a pool, or add the address to one.";
        return Some(fault.field(format!("spec.addresses[{index}]")).remedy(remedy));
    }
    let may_give = |pool: &Pool| match form.requested.as_slice() {
        [] => form.pool.is_some() || pool.auto_assign,
        asked => asked.iter().any(|address| pool.contains(*address)),
    };
    let mut open = pools().filter(|pool| may_give(pool));
    if form.mode() == AddressMode::Bound && !open.any(|pool| pool.allow_bound) {
        let message = "no AddressPool that may give it an address has allowBound: true";
        let fault = Refusal::error(Reason::BoundNotAllowed, object, message).field("spec.mode");
        return Some(fault.remedy("Set allowBound on the pool, or write mode ReplyOnly with a target."));
    }
    None
}

/// A Service that is named and does not stand anywhere.
fn absent(floating_ip: &FloatingIP, field: &str, name: &ServiceName, objects: &Objects) -> Option<Refusal> {
    if objects.services.contains_key(name) {
        return None;
    }
    let fault =
        Refusal::warning(Reason::NotFound, object(floating_ip), format!("there is no Service {name}"));
    Some(fault.field(field).remedy("Correct the name, or add the Service."))
}

/// One whose nodeSelector fits none of the Nodes. Without any Node nothing can be said.
fn homeless(floating_ip: &FloatingIP, form: &FloatingForm, snapshot: &Snapshot) -> Option<Refusal> {
    let selector = form.candidates.node_selector.as_ref()?;
    let fits = snapshot.nodes.values().any(|node| selector.matches(&node.labels));
    if fits || snapshot.nodes.is_empty() {
        return None;
    }
    let message = "no Node has the labels that candidates.nodeSelector asks for";
    let fault = Refusal::warning(Reason::NodeNotSelected, object(floating_ip), message);
    Some(fault.field("spec.candidates.nodeSelector").remedy("Correct the selector, or label the nodes."))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::manifest::Manifest;
    use crate::validate;

    const GROUND: &str = "
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/28]}
---
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
spec: {}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {ferrolb.io/addresses: 192.0.2.7}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
";

    fn found(spec: &str) -> Vec<String> {
        let floating_ip = format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: FloatingIP, metadata: {{name: ingress}}, spec: {spec}}}"
        );
        let manifest = Manifest::parse(Path::new("all.yaml"), &format!("{GROUND}{floating_ip}"));
        validate(&[manifest]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_cannot_be_met_is_found_before_it_is_used() {
        for (spec, words) in [
            (
                "{pool: nowhere, target: {service: web}}",
                "spec.pool: there is no AddressPool \"nowhere\". Correct",
            ),
            ("{addresses: [9.9.9.9], target: {service: web}}", "(AddressNotInPool)"),
            ("{addresses: [192.0.2.7], target: {service: web}}", "asked for by Service default/web already"),
            ("{mode: Bound}", "(BoundNotAllowed)"),
            ("{target: {service: wbe}}", "spec.target.service: there is no Service default/wbe"),
            ("{target: {service: web}, candidates: {service: x}}", "spec.candidates.service: there is no"),
            (
                "{target: {service: web}, candidates: {nodeSelector: {matchLabels: {a: b}}}}",
                "(NodeNotSelected)",
            ),
        ] {
            let found = found(spec);
            let [one] = found.as_slice() else { panic!("{spec}: {found:#?}") };
            assert!(one.contains(words) && one.contains("FloatingIP default/ingress"), "{spec}: {one}");
            assert!(one.starts_with("all.yaml:21:"), "{one}");
        }
        assert_eq!(found("{addresses: [192.0.2.8], target: {service: web}}"), [""; 0]);
    }
}
