// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Services that ask for addresses, with every field that matters read and checked.

mod read;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Scope;
use crate::address::Family;
use crate::api::{Purpose, annotation};
use crate::name::{ObjectRef, ServiceName};
use crate::reason::{Reason, Refusal};

/// The `spec.loadBalancerClass` that means us, unless we are told another. A Service without a class is ours too then.
pub const LOAD_BALANCER_CLASS: &str = "ferrolb.io/ferrolb";

/// A Service that asks for addresses: one of type LoadBalancer that is ours by its class, or one of another type that
/// asks for external addresses by annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// Its namespace and name.
    pub name: ServiceName,
    /// What it asks for addresses for.
    pub purpose: Purpose,
    /// Its uid.
    pub uid: Option<String>,
    /// When it was created.
    pub created: Option<Time>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its class, if it names one.
    pub class: Option<String>,
    /// `spec.ipFamilies`, the primary one first; empty when the spec says nothing.
    pub families: Vec<Family>,
    /// `spec.ipFamilyPolicy`.
    pub family_policy: FamilyPolicy,
    /// Its cluster addresses, the primary one first; empty when it has none.
    pub cluster_ips: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// The pods behind it; Services share an address under [`TrafficPolicy::Local`] only with equal selectors.
    pub backend_selector: BTreeMap<String, String>,
    /// `spec.externalTrafficPolicy`.
    pub traffic_policy: TrafficPolicy,
    /// The addresses asked for, at most one a family.
    pub requested: Vec<IpAddr>,
    /// The pool asked for.
    pub pool: Option<String>,
    /// Services with equal keys may share an address.
    pub sharing_key: Option<String>,
    /// The other namespaces whose Services may share with it.
    pub consent: Consent,
    /// `spec.sessionAffinity: ClientIP`.
    pub client_ip_affinity: bool,
    /// Who may connect; empty: everybody.
    pub source_ranges: Vec<IpNet>,
    /// Announce the address although no endpoint is ready.
    pub announce_without_endpoints: bool,
    /// The addresses in `status.loadBalancer.ingress`.
    pub status_addresses: Vec<IpAddr>,
    /// Who wrote the status last, by its name in the managed fields.
    pub status_writer: Option<String>,
    /// The addresses in `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// Why the Service cannot be used as it stands: it is given no new address and its address is not announced
    /// anew, but nothing that it has is taken away.
    pub refusal: Option<Refusal>,
}

/// The other namespaces whose Services may share an address with a Service. Both sides must agree; within a namespace
/// nobody is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// None.
    #[default]
    OwnNamespace,
    /// These.
    Namespaces(BTreeSet<String>),
    /// Every one.
    Everyone,
}

impl Consent {
    /// Reads the value of the annotation: `*`, or names separated by commas.
    fn parse(text: &str) -> Self {
        let names: BTreeSet<_> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.contains("*") {
            Self::Everyone
        } else if names.is_empty() {
            Self::OwnNamespace
        } else {
            Self::Namespaces(names)
        }
    }

    /// Whether Services of `namespace`, which is not the own one, may share.
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::OwnNamespace => false,
            Self::Namespaces(names) => names.contains(namespace),
            Self::Everyone => true,
        }
    }
}

/// How many families a Service wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FamilyPolicy {
    /// One.
    #[default]
    SingleStack,
    /// Two, or one if there are not two.
    PreferDualStack,
    /// Two or none.
    RequireDualStack,
}

/// Which endpoints a node may send clients to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TrafficPolicy {
    /// Those of every node; the client's address is not kept.
    #[default]
    Cluster,
    /// The node's own only; the client's address is kept.
    Local,
}

/// A transport protocol of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads Kubernetes' word; none means TCP.
    ///
    /// # Errors
    /// Any other word, given back.
    pub fn parse(text: Option<&str>) -> Result<Self, &str> {
        match text {
            None | Some("TCP") => Ok(Self::Tcp),
            Some("UDP") => Ok(Self::Udp),
            Some("SCTP") => Ok(Self::Sctp),
            Some(other) => Err(other),
        }
    }
}

impl Protocol {
    /// The word that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty when the Service has one unnamed port. Endpoint ports of the same name serve it.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port on the virtual IP.
    pub port: u16,
    /// The port on the endpoints, as the Service names it; the EndpointSlices hold the number.
    pub target: TargetPort,
    /// The port on every node, if one is given.
    pub node_port: Option<u16>,
}

/// `targetPort` of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// A port of the pod by its name.
    Name(String),
}

impl LoadBalancer {
    /// Reads a Service; `None` if it asks for no addresses, or is not within `scope`. What is refused or warned about
    /// is added to `refused`.
    pub fn read(
        name: &ServiceName,
        service: &Service,
        scope: &Scope,
        refused: &mut Vec<Refusal>,
    ) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let purpose = if spec.type_.as_deref() == Some("LoadBalancer") {
            let class = spec.load_balancer_class.as_deref();
            if !scope.admits(class) {
                refused.extend(class.map(|class| of_other_class(name, class, scope)));
                return None;
            }
            Purpose::LoadBalancer
        } else {
            let pool = service.metadata.annotations.as_ref()?.get(annotation::EXTERNAL_IPS_FROM)?;
            if pool.trim().is_empty() {
                return None;
            }
            Purpose::ExternalIP
        };
        let status = service.status.as_ref();
        let (load_balancer, refusals) = read::load_balancer(name, purpose, &service.metadata, spec, status);
        refused.extend(refusals);
        Some(load_balancer)
    }
}

pub(super) fn build(
    services: &BTreeMap<ServiceName, Arc<Service>>,
    scope: &Scope,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<ServiceName, LoadBalancer> {
    let read = |(name, service): (&ServiceName, &Arc<Service>)| {
        Some((name.clone(), LoadBalancer::read(name, service, scope, refused)?))
    };
    // Collected in their order, which builds the map without searching it.
    services.iter().filter_map(read).collect()
}

fn of_other_class(name: &ServiceName, class: &str, scope: &Scope) -> Refusal {
    let ours = scope.class();
    let message = format!("the class \"{class}\" is another controller's");
    let object = ObjectRef::namespaced("Service", name);
    Refusal::warning(Reason::OtherLoadBalancerClass, object, message)
        .field("spec.loadBalancerClass")
        .remedy(format!("Leave it to that controller, or set the class to {ours}."))
}
