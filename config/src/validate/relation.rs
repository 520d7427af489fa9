// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Objects that are each valid and do not fit together. The controller and the speakers find the same at run time, on
//! the object concerned; here it is found before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::address::Family;
use crate::api::annotation;
use crate::reason::{Reason, Refusal};
use crate::snapshot::{FamilyPolicy, LoadBalancer, NodeInfo, Pool};
use crate::{ObjectRef, Objects, Snapshot};

/// The kinds of advertisements.
const L2: &str = "L2Advertisement";
const BGP: &str = "BGPAdvertisement";

pub(super) fn faults(objects: &Objects, snapshot: &Snapshot) -> Vec<Refusal> {
    let mut faults = Vec::new();
    faults.extend(absent_pools(objects));
    faults.extend(snapshot.pools.values().filter_map(|pool| silent_pool(pool, snapshot)));
    faults.extend(homeless(snapshot));
    let usable = || snapshot.load_balancers.values().filter(|service| service.refusal.is_none());
    for service in usable() {
        faults.extend(out_of_reach(service, objects, snapshot));
        faults.extend(unserved_ports(service, snapshot));
    }
    faults.extend(contested(usable(), objects));
    faults
}

/// Advertisements that name a pool that does not exist.
fn absent_pools(objects: &Objects) -> Vec<Refusal> {
    let mut faults = Vec::new();
    let on_segments = objects.l2_advertisements.iter().map(|(name, it)| (L2, name, &it.spec.address_pools));
    let to_routers = objects.bgp_advertisements.iter().map(|(name, it)| (BGP, name, &it.spec.address_pools));
    for (kind, name, pools) in on_segments.chain(to_routers) {
        for (index, pool) in pools.iter().enumerate() {
            if !objects.pools.contains_key(pool) {
                let object = ObjectRef::cluster(kind, name);
                let fault =
                    Refusal::warning(Reason::NotFound, object, format!("there is no AddressPool \"{pool}\""));
                let field = format!("spec.addressPools[{index}]");
                faults.push(fault.field(field).remedy(names("Correct the name", objects.pools.keys())));
            }
        }
    }
    faults
}

/// A pool that no advertisement covers: its addresses are given and nobody answers for them.
fn silent_pool(pool: &Pool, snapshot: &Snapshot) -> Option<Refusal> {
    if snapshot.advertisements.values().any(|advertisement| advertisement.selects_pool(pool))
        || snapshot.bgp_advertisements.values().any(|advertisement| advertisement.selects_pool(pool))
    {
        return None;
    }
    let object = ObjectRef::cluster("AddressPool", &pool.name);
    let fault = Refusal::warning(Reason::NotAdvertised, object, "no advertisement covers the pool");
    Some(fault.remedy("Add an L2Advertisement or a BGPAdvertisement that names it, or names no pool at all."))
}

/// Advertisements and peers whose nodeSelectors fit none of the Nodes. Without any Node nothing can be said.
fn homeless(snapshot: &Snapshot) -> Vec<Refusal> {
    let nobody = |selects: &dyn Fn(&NodeInfo) -> bool| !snapshot.nodes.values().any(selects);
    let on_segments = snapshot.advertisements.iter();
    let on_segments =
        on_segments.filter(|(_, it)| nobody(&|node| it.selects_node(node))).map(|it| (L2, it.0));
    let to_routers = snapshot.bgp_advertisements.iter();
    let to_routers = to_routers.filter(|(_, it)| nobody(&|node| it.selects_node(node))).map(|it| (BGP, it.0));
    let peers = snapshot.bgp_peers.iter();
    let peers = peers.filter(|(_, it)| nobody(&|node| it.selects_node(node))).map(|it| ("BGPPeer", it.0));
    let all = on_segments.chain(to_routers).chain(peers).filter(|_| !snapshot.nodes.is_empty());
    let fault = |(kind, name): (&str, &String)| {
        let object = ObjectRef::cluster(kind, name);
        let message = "no Node has the labels that nodeSelectors asks for";
        Refusal::warning(Reason::NodeNotSelected, object, message)
            .field("spec.nodeSelectors")
            .remedy("Correct the selectors, or label the nodes.")
    };
    all.map(fault).collect()
}

/// A Service that no pool can serve as it asks.
fn out_of_reach(service: &LoadBalancer, objects: &Objects, snapshot: &Snapshot) -> Option<Refusal> {
    let object = ObjectRef::namespaced("Service", &service.name);
    if let Some(name) = service.pool.as_ref().filter(|name| !snapshot.pools.contains_key(*name)) {
        let fault = Refusal::error(Reason::NotFound, object, format!("there is no AddressPool \"{name}\""));
        let remedy = names("Correct the name", snapshot.pools.keys());
        return Some(fault.field(annotation_path(annotation::ADDRESS_POOL)).remedy(remedy));
    }
    let pools =
        || snapshot.pools.values().filter(|pool| service.pool.as_ref().is_none_or(|name| *name == pool.name));
    if let Some(address) =
        service.requested.iter().find(|address| !pools().any(|pool| pool.contains(**address)))
    {
        let avoiding = pools().find(|pool| pool.ranges.contains(*address));
        let message = match (avoiding, &service.pool) {
            (Some(pool), _) => format!("AddressPool {} avoids {address} for its last octet", pool.name),
            (None, Some(pool)) => format!("{address} is not in AddressPool {pool}"),
            (None, None) => format!("{address} is in no AddressPool"),
        };
        let field = request_field(service, objects);
        let fault = Refusal::error(Reason::AddressNotInPool, object, message).field(field);
        return Some(fault.remedy("Ask for an address of a pool, or add the address to one."));
    }
    let offers = |family| {
        let mut open = pools()
            .filter(|pool| pool.auto_assign || service.pool.is_some() || !service.requested.is_empty());
        open.any(|pool| pool.ranges.has_family(family))
    };
    let wanted: &[Family] = match (service.family_policy, service.families.as_slice()) {
        (FamilyPolicy::RequireDualStack, _) => &[Family::V4, Family::V6],
        (FamilyPolicy::SingleStack, [family, ..]) => std::slice::from_ref(family),
        (FamilyPolicy::SingleStack | FamilyPolicy::PreferDualStack, _) => &[],
    };
    let missing = wanted.iter().find(|family| !offers(**family))?;
    let fault = Refusal::error(
        Reason::NoSuchFamily,
        object,
        format!("no pool open to this Service has {missing} addresses"),
    );
    Some(
        fault
            .field("spec.ipFamilies")
            .remedy(format!("Add an {missing} range to a pool, or change the Service's families.")),
    )
}

/// No ports at all, or ports for which the EndpointSlices have no port of that name. Without any EndpointSlice nothing can be said.
fn unserved_ports(service: &LoadBalancer, snapshot: &Snapshot) -> Vec<Refusal> {
    if service.ports.is_empty() {
        let object = ObjectRef::namespaced("Service", &service.name);
        let fault =
            Refusal::warning(Reason::InvalidValue, object, "the Service has no ports, so nothing is served");
        return vec![fault.field("spec.ports").remedy("Add a port.")];
    }
    let Some(endpoints) = snapshot.endpoints.get(&service.name) else { return Vec::new() };
    let mut faults = Vec::new();
    for (index, port) in service.ports.iter().enumerate() {
        let mut known = endpoints.iter().flat_map(|endpoint| &endpoint.ports);
        if !endpoints.is_empty()
            && !known.any(|other| other.name == port.name && other.protocol == port.protocol)
        {
            let message =
                format!("no port of the EndpointSlices is named \"{}\" and {}", port.name, port.protocol);
            let object = ObjectRef::namespaced("Service", &service.name);
            let fault = Refusal::warning(Reason::NoEndpoints, object, message);
            let remedy = "Give the EndpointSlice's port the name of the Service's port.";
            faults.push(fault.field(format!("spec.ports[{index}].name")).remedy(remedy));
        }
    }
    faults
}

/// Services that ask for an address that another one, earlier by name, asks for too and cannot share.
fn contested<'a>(services: impl Iterator<Item = &'a LoadBalancer>, objects: &Objects) -> Vec<Refusal> {
    let mut askers: BTreeMap<IpAddr, Vec<&LoadBalancer>> = BTreeMap::new();
    let mut faults = Vec::new();
    for service in services {
        for address in &service.requested {
            let others = askers.entry(*address).or_default();
            if let Some(other) = others.iter().find(|other| !may_share(other, service)) {
                let message = format!("{address} is asked for by Service {} already", other.name);
                let fault = Refusal::error(
                    Reason::AddressInUse,
                    ObjectRef::namespaced("Service", &service.name),
                    message,
                );
                let remedy = format!(
                    "Ask for another address, or let both share it by the annotation {} and different ports.",
                    annotation::SHARING_KEY
                );
                faults.push(fault.field(request_field(service, objects)).remedy(remedy));
            }
            others.push(service);
        }
    }
    faults
}

fn may_share(one: &LoadBalancer, other: &LoadBalancer) -> bool {
    let clash = |port: &crate::snapshot::ServicePort| {
        other.ports.iter().any(|theirs| theirs.port == port.port && theirs.protocol == port.protocol)
    };
    one.sharing_key.is_some() && one.sharing_key == other.sharing_key && !one.ports.iter().any(clash)
}

/// Where a Service's request for addresses stands.
fn request_field(service: &LoadBalancer, objects: &Objects) -> String {
    let annotations =
        objects.services.get(&service.name).and_then(|object| object.metadata.annotations.as_ref());
    match annotations.is_some_and(|all| all.contains_key(annotation::ADDRESSES)) {
        true => annotation_path(annotation::ADDRESSES),
        false => "spec.loadBalancerIP".to_owned(),
    }
}

fn annotation_path(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

pub(super) fn names<'a>(advice: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).take(8).collect();
    if known.is_empty() {
        "Add the pool.".to_owned()
    } else {
        format!("{advice}; there are {}.", known.join(", "))
    }
}
