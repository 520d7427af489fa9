// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads one Service that asks for addresses. Every fault is told; the first error makes the Service refused.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{ServiceSpec, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::wish::{self, Wish, stated};
use super::{Consent, FamilyPolicy, LoadBalancer, Protocol, ServicePort, TargetPort, TrafficPolicy};
use crate::address::Family;
use crate::api::{Purpose, annotation};
use crate::name::ServiceName;
use crate::reason::{Reason, Refusal};
use crate::snapshot::faults::Faults;

pub(super) fn load_balancer(
    name: &ServiceName,
    purpose: Purpose,
    metadata: &ObjectMeta,
    spec: &ServiceSpec,
    status: Option<&ServiceStatus>,
) -> (LoadBalancer, Vec<Refusal>) {
    let none = BTreeMap::new();
    let annotations = metadata.annotations.as_ref().unwrap_or(&none);
    let text = |key: &str| annotations.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut faults = Faults::of("Service", name);

    let addresses = stated(annotations, wish::ADDRESSES, &mut faults);
    let pool = pool(annotations, purpose, &mut faults);
    let ingress = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = ingress.and_then(|load_balancer| load_balancer.ingress.as_deref()).unwrap_or_default();
    let mut load_balancer = LoadBalancer {
        name: name.clone(),
        purpose,
        uid: metadata.uid.clone(),
        created: metadata.creation_timestamp.clone(),
        deleting: metadata.deletion_timestamp.is_some(),
        labels: metadata.labels.clone().unwrap_or_default(),
        class: spec.load_balancer_class.clone(),
        families: families(spec, &mut faults),
        family_policy: family_policy(spec, &mut faults),
        cluster_ips: cluster_ips(spec),
        ports: ports(spec, &mut faults),
        backend_selector: spec.selector.clone().unwrap_or_default(),
        traffic_policy: traffic_policy(spec, &mut faults),
        requested: requested(addresses, spec, &mut faults),
        pool: pool.map(|wish| wish.value.to_owned()),
        sharing_key: stated(annotations, wish::SHARING_KEY, &mut faults).map(|wish| wish.value.to_owned()),
        consent: text(annotation::SHARING_NAMESPACES).map_or_else(Consent::default, Consent::parse),
        client_ip_affinity: spec.session_affinity.as_deref() == Some("ClientIP"),
        source_ranges: source_ranges(spec, &mut faults),
        announce_without_endpoints: text(annotation::ANNOUNCE_WITHOUT_ENDPOINTS) == Some("true"),
        // Host names in the status are another controller's.
        status_addresses: ingress.iter().filter_map(|entry| entry.ip.as_ref()?.parse().ok()).collect(),
        status_writer: status_writer(metadata),
        external_ips: spec.external_ips.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
        refusal: None,
    };
    if purpose == Purpose::ExternalIP {
        external_ips_are_possible(spec, &mut faults);
    }
    load_balancer.refusal = faults.first_error().cloned();
    (load_balancer, faults.into_all())
}

/// The pool asked for. External addresses come from the pool that their own annotation names.
fn pool<'a>(
    annotations: &'a BTreeMap<String, String>,
    purpose: Purpose,
    faults: &mut Faults<'_>,
) -> Option<Wish<'a>> {
    let named = stated(annotations, wish::POOL, faults);
    let external = annotations.get(annotation::EXTERNAL_IPS_FROM).map(|value| value.trim());
    let Some(external) = external.filter(|value| !value.is_empty()) else { return named };
    let field = wish::path(annotation::EXTERNAL_IPS_FROM);
    match (purpose, named) {
        (Purpose::LoadBalancer, named) => {
            let message = "a Service of type LoadBalancer shows its addresses in its status".to_owned();
            let remedy = format!("Remove it, or write {}.", annotation::ADDRESS_POOL);
            faults.warn(Reason::ContradictoryRequest, field, message, remedy);
            named
        }
        (Purpose::ExternalIP, Some(named)) if named.value != external => {
            let message = format!("{} asks for another pool, \"{}\"", named.annotation, named.value);
            let remedy = format!("Remove {}.", named.annotation);
            faults.add_as(Reason::ContradictoryRequest, field, message, remedy);
            Some(named)
        }
        (Purpose::ExternalIP, _) => Some(Wish { value: external, annotation: annotation::EXTERNAL_IPS_FROM }),
    }
}

/// Kubernetes ignores `spec.externalIPs` of Services without a cluster address.
fn external_ips_are_possible(spec: &ServiceSpec, faults: &mut Faults<'_>) {
    let what = if spec.type_.as_deref() == Some("ExternalName") {
        "of type ExternalName"
    } else if spec.cluster_ip.as_deref() == Some("None") {
        "without a cluster address"
    } else {
        return;
    };
    let message = format!("Kubernetes ignores external addresses of a Service {what}");
    let remedy = "Remove the annotation, or give the Service a cluster address.";
    faults.add(wish::path(annotation::EXTERNAL_IPS_FROM), message, remedy);
}

/// Who wrote the status last, by the name in the managed fields.
fn status_writer(metadata: &ObjectMeta) -> Option<String> {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let of_status = entries.iter().filter(|entry| entry.subresource.as_deref() == Some("status"));
    of_status.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.clone()
}

fn families(spec: &ServiceSpec, faults: &mut Faults<'_>) -> Vec<Family> {
    let mut families = Vec::new();
    for (index, text) in spec.ip_families.iter().flatten().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        match Family::parse(text) {
            Some(family) if families.contains(&family) => {
                faults.add(field, format!("{family} stands twice"), "Name each family once.");
            }
            Some(family) => families.push(family),
            None => faults.add(field, format!("\"{text}\" is not an address family"), "Write IPv4 or IPv6."),
        }
    }
    families
}

fn family_policy(spec: &ServiceSpec, faults: &mut Faults<'_>) -> FamilyPolicy {
    match spec.ip_family_policy.as_deref() {
        None | Some("SingleStack") => FamilyPolicy::SingleStack,
        Some("PreferDualStack") => FamilyPolicy::PreferDualStack,
        Some("RequireDualStack") => FamilyPolicy::RequireDualStack,
        Some(other) => {
            let remedy = "Write SingleStack, PreferDualStack or RequireDualStack.";
            faults.add("spec.ipFamilyPolicy", format!("\"{other}\" is not a policy"), remedy);
            FamilyPolicy::SingleStack
        }
    }
}

fn traffic_policy(spec: &ServiceSpec, faults: &mut Faults<'_>) -> TrafficPolicy {
    match spec.external_traffic_policy.as_deref() {
        None | Some("Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            let message = format!("\"{other}\" is not a policy");
            faults.add("spec.externalTrafficPolicy", message, "Write Cluster or Local.");
            TrafficPolicy::Cluster
        }
    }
}

/// Headless Services say `None`, which is no address.
fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    let list = spec.cluster_ips.as_deref().filter(|list| !list.is_empty());
    list.map_or_else(
        || spec.cluster_ip.iter().filter_map(|text| text.parse().ok()).collect(),
        |list| list.iter().filter_map(|text| text.parse().ok()).collect(),
    )
}

fn ports(spec: &ServiceSpec, faults: &mut Faults<'_>) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::new();
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let field = |name: &str| format!("spec.ports[{index}].{name}");
        let Some(number) = port_number(port.port) else {
            faults.add(field("port"), format!("{} is not a port number", port.port), "Write 1 to 65535.");
            continue;
        };
        let protocol = match Protocol::parse(port.protocol.as_deref()) {
            Ok(protocol) => protocol,
            Err(other) => {
                let message = format!("\"{other}\" is not a protocol");
                faults.add(field("protocol"), message, "Write TCP, UDP or SCTP.");
                continue;
            }
        };
        let target = match &port.target_port {
            None => TargetPort::Number(number),
            // The API server takes 0 and an empty name for "not given".
            Some(IntOrString::Int(0)) => TargetPort::Number(number),
            Some(IntOrString::String(name)) if name.is_empty() => TargetPort::Number(number),
            Some(IntOrString::String(name)) => TargetPort::Name(name.clone()),
            Some(IntOrString::Int(target)) => match port_number(*target) {
                Some(target) => TargetPort::Number(target),
                None => {
                    faults.add(
                        field("targetPort"),
                        format!("{target} is not a port number"),
                        "Write 1 to 65535.",
                    );
                    continue;
                }
            },
        };
        if ports.iter().any(|other| other.port == number && other.protocol == protocol) {
            faults.add(field("port"), format!("{protocol} {number} stands twice"), "Give each port once.");
            continue;
        }
        ports.push(ServicePort {
            name: port.name.clone().unwrap_or_default(),
            protocol,
            port: number,
            target,
            node_port: port.node_port.and_then(port_number),
        });
    }
    ports
}

fn port_number(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number > 0)
}

/// The addresses asked for by annotation or by `spec.loadBalancerIP`, at most one a family.
fn requested(annotated: Option<Wish<'_>>, spec: &ServiceSpec, faults: &mut Faults<'_>) -> Vec<IpAddr> {
    let by_field = spec.load_balancer_ip.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let field = wish::path(annotated.map_or(annotation::ADDRESSES, |wish| wish.annotation));
    let annotated = annotated.map(|wish| parse_addresses(wish.value, &field, faults));
    let by_field = by_field.map(|text| parse_addresses(text, "spec.loadBalancerIP", faults));
    match (annotated, by_field) {
        (None, None) => Vec::new(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(annotated), Some(by_field)) => {
            if annotated != by_field {
                let message = "the annotation and spec.loadBalancerIP ask for different addresses".to_owned();
                let remedy = "Remove spec.loadBalancerIP, which Kubernetes deprecated.";
                faults.add_as(Reason::ContradictoryRequest, field, message, remedy);
            }
            annotated
        }
    }
}

fn parse_addresses(list: &str, field: &str, faults: &mut Faults<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in list.split(',').map(str::trim) {
        match text.parse::<IpAddr>() {
            Ok(address) => {
                let family = Family::of(address);
                if addresses.iter().any(|other| Family::of(*other) == family) {
                    faults.add(
                        field,
                        format!("{address} is the second {family} address"),
                        "Ask for one address per family.",
                    );
                } else {
                    addresses.push(address);
                }
            }
            Err(_) => faults.add(
                field,
                format!("\"{text}\" is not an IP address"),
                "Write one address, or an IPv4 and an IPv6 address with a comma.",
            ),
        }
    }
    addresses
}

/// A range that cannot be read refuses the Service: leaving it out could open it to everybody.
fn source_ranges(spec: &ServiceSpec, faults: &mut Faults<'_>) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for (index, text) in spec.load_balancer_source_ranges.iter().flatten().enumerate() {
        match text.trim().parse::<IpNet>() {
            Ok(net) => nets.push(net.trunc()),
            Err(_) => faults.add(
                format!("spec.loadBalancerSourceRanges[{index}]"),
                format!("\"{text}\" is not a CIDR"),
                "Write a network with its prefix length, for example 198.51.100.0/24.",
            ),
        }
    }
    nets
}
