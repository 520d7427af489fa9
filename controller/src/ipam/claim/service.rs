// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a Service asks for.

use ferrolb_config::ObjectRef;
use ferrolb_config::address::Family;
use ferrolb_config::api::{AddressMode, ConsumerKind, Purpose, annotation};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{FamilyPolicy, LoadBalancer, TrafficPolicy};
use sha2::{Digest, Sha256};

use super::{Backends, Claim, Families, Named, Request, Sharing, Standing, annotated};

impl<'a> Claim<'a> {
    /// Reads the claim of a Service. A wish that contradicts itself freezes the claim.
    pub fn of_service(service: &'a LoadBalancer) -> Self {
        let mut ports: Vec<_> = service.ports.iter().map(|port| (port.protocol, port.port)).collect();
        ports.sort_unstable();
        ports.dedup();
        let backends = match service.traffic_policy {
            TrafficPolicy::Local if !service.backend_selector.is_empty() => {
                Backends::Local { namespace: &service.name.namespace, selector: &service.backend_selector }
            }
            _ => Backends::Anywhere,
        };
        let pool = service.pool.as_deref();
        let families = families(service);
        let named = Named::new(&service.requested);
        let request = match (named, pool) {
            (Some(addresses), pool) => Request::Named { addresses, pool },
            (None, Some(pool)) => Request::Pool(pool),
            (None, None) => Request::Any,
        };
        let standing = match (&service.refusal, contradiction(service, families, named)) {
            _ if service.deleting => Standing::Leaving,
            (Some(refusal), _) => Standing::Frozen(refusal.clone()),
            (None, Some(refusal)) => Standing::Frozen(refusal),
            (None, None) => Standing::Open,
        };
        Self {
            kind: ConsumerKind::Service,
            consumer: &service.name,
            uid: service.uid.as_deref(),
            created: service.created.as_ref(),
            families,
            request,
            backends: digest(&backends),
            sharing: service.sharing_key.as_deref().map(|key| Sharing { key, backends }),
            consent: &service.consent,
            labels: &service.labels,
            purpose: service.purpose,
            mode: AddressMode::ReplyOnly,
            ports,
            shown: match service.purpose {
                Purpose::LoadBalancer => &service.status_addresses,
                Purpose::ExternalIP => &service.external_ips,
            },
            shown_by: service.status_writer.as_deref(),
            standing,
        }
    }
}

/// The pods in few octets, so that a record can tell whether they are still the same.
fn digest(backends: &Backends<'_>) -> Option<String> {
    let Backends::Local { namespace, selector } = backends else { return None };
    let mut hash = Sha256::new();
    for text in std::iter::once(*namespace)
        .chain(selector.iter().flat_map(|(key, value)| [key, value].map(String::as_str)))
    {
        hash.update(text);
        hash.update([0]);
    }
    Some(hash.finalize().iter().take(8).map(|octet| format!("{octet:02x}")).collect())
}

/// The cluster's own addresses settle the families, as the data path can lead only where they lead; without a cluster
/// the spec does.
fn families(service: &LoadBalancer) -> Families {
    let of_cluster: Vec<_> = service.cluster_ips.iter().map(|address| Family::of(*address)).collect();
    let said = if of_cluster.is_empty() { &service.families } else { &of_cluster };
    let primary = said.first().copied();
    match service.family_policy {
        FamilyPolicy::RequireDualStack => Families::Both,
        FamilyPolicy::PreferDualStack if of_cluster.len() == 1 => {
            primary.map_or(Families::Either, Families::One)
        }
        FamilyPolicy::PreferDualStack => Families::UpToBoth { primary: primary.unwrap_or(Family::V4) },
        FamilyPolicy::SingleStack => primary.map_or(Families::Either, Families::One),
    }
}

/// What in the Service's wish contradicts itself.
fn contradiction(service: &LoadBalancer, families: Families, named: Option<Named>) -> Option<Refusal> {
    let object = || ObjectRef::namespaced("Service", &service.name);
    if families == Families::Both && service.cluster_ips.len() == 1 {
        let message = "it requires both families and has one cluster address only";
        return Some(
            Refusal::error(Reason::NoSuchFamily, object(), message)
                .field("spec.ipFamilyPolicy")
                .remedy("Set spec.ipFamilyPolicy to PreferDualStack, or make the cluster dual-stack."),
        );
    }
    let refuse = |message: String, remedy: &str| {
        let field = annotated(annotation::ADDRESSES);
        Some(Refusal::error(Reason::NoSuchFamily, object(), message).field(field).remedy(remedy))
    };
    let named = named?;
    if let Some(stranger) = named.iter().find(|address| !families.admits(Family::of(*address))) {
        let wanted = named.iter().map(|address| address.to_string()).collect::<Vec<_>>().join(" and ");
        return refuse(
            format!("it asks for {wanted}, and is not an {} Service", Family::of(stranger)),
            "Ask for an address of the Service's own family, or set spec.ipFamilies.",
        );
    }
    match (families, named) {
        (Families::Either, Named::Pair(v4, v6)) => refuse(
            format!("it asks for {v4} and {v6}, and is single-stack"),
            "Set spec.ipFamilyPolicy to PreferDualStack, or ask for one address.",
        ),
        (Families::Both, Named::One(address)) => refuse(
            format!("it requires both families and asks for {address} only"),
            "Ask for an IPv4 and an IPv6 address, separated by a comma.",
        ),
        (Families::UpToBoth { .. }, Named::One(address)) if service.cluster_ips.len() == 2 => refuse(
            format!("it is dual-stack and asks for {address} only"),
            "Ask for an IPv4 and an IPv6 address, separated by a comma.",
        ),
        _ => None,
    }
}
