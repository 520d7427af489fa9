// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one consumer asks for, read so that a claim that exists can be served as it stands.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_config::address::Family;
use ferrolb_config::api::{AddressMode, Consumer, ConsumerKind, ConsumerName, Purpose, annotation};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{
    Carriage, Consent, FamilyPolicy, FloatingForm, FloatingIP, FloatingTarget, LoadBalancer, Pool, Protocol,
    TrafficPolicy,
};
use ferrolb_config::{ObjectRef, ServiceName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sha2::{Digest, Sha256};

/// What one consumer asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<'a> {
    /// What kind of object asks.
    pub kind: ConsumerKind,
    /// Who asks.
    pub consumer: &'a ServiceName,
    /// The consumer's uid, a hint for the record.
    pub uid: Option<&'a str>,
    /// When the consumer was created; those that say nothing come after those that do.
    pub created: Option<&'a Time>,
    /// Which families it wants.
    pub families: Families,
    /// Where the addresses may come from.
    pub request: Request<'a>,
    /// Whether and with whom it shares; `None`: with nobody.
    pub sharing: Option<Sharing<'a>>,
    /// The other namespaces that it shares with.
    pub consent: &'a Consent,
    /// The consumer's labels; pools choose by them.
    pub labels: &'a BTreeMap<String, String>,
    /// What it wants the addresses for; of Services only.
    pub purpose: Purpose,
    /// How a node is to hold the addresses.
    pub mode: AddressMode,
    /// The ports it uses on its addresses, ascending.
    pub ports: Vec<(Protocol, u16)>,
    /// A digest of the pods behind it, where they matter to sharers.
    pub backends: Option<String>,
    /// Addresses that the consumer shows without any record of ours.
    pub shown: &'a [IpAddr],
    /// Who made it show them, by the name that the API server knows.
    pub shown_by: Option<&'a str>,
    /// Whether it may be given anything.
    pub standing: Standing,
}

/// Which families a claim wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// One address, and nothing says of which family: the one it has, else the first one that is offered.
    Either,
    /// One address of this family.
    One(Family),
    /// Both if there are both in one pool, one otherwise; `primary` is the one to take then.
    UpToBoth {
        /// The family to take when only one is to be had.
        primary: Family,
    },
    /// Both from one pool, or nothing.
    Both,
}

impl Families {
    /// Whether an address of `family` is welcome.
    pub fn admits(self, family: Family) -> bool {
        match self {
            Self::One(only) => only == family,
            Self::Either | Self::UpToBoth { .. } | Self::Both => true,
        }
    }

    /// How many addresses the claim holds at most.
    pub fn most(self) -> usize {
        match self {
            Self::Either | Self::One(_) => 1,
            Self::UpToBoth { .. } | Self::Both => 2,
        }
    }
}

/// Where the addresses of a claim may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Any pool that gives addresses automatically.
    Any,
    /// The pool with this name.
    Pool(&'a str),
    /// These addresses.
    Named {
        /// The addresses.
        addresses: Named,
        /// The pool that they must be in, if one was asked for too.
        pool: Option<&'a str>,
    },
}

/// Addresses asked for: one, or one of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// One address.
    One(IpAddr),
    /// One of each family.
    Pair(Ipv4Addr, Ipv6Addr),
}

impl Named {
    /// The addresses, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        let (first, second) = match self {
            Self::One(address) => (address, None),
            Self::Pair(v4, v6) => (IpAddr::V4(v4), Some(IpAddr::V6(v6))),
        };
        std::iter::once(first).chain(second)
    }

    /// Whether `address` is among them.
    pub fn contains(self, address: IpAddr) -> bool {
        self.iter().any(|named| named == address)
    }

    /// At most one address a family; `None` when there is none, or two of one family.
    fn new(addresses: &[IpAddr]) -> Option<Self> {
        match *addresses {
            [one] => Some(Self::One(one)),
            [IpAddr::V4(v4), IpAddr::V6(v6)] | [IpAddr::V6(v6), IpAddr::V4(v4)] => Some(Self::Pair(v4, v6)),
            _ => None,
        }
    }
}

/// With whom a claim shares its addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sharing<'a> {
    /// Equal keys may share.
    pub key: &'a str,
    /// What the traffic of an address must lead to.
    pub backends: Backends<'a>,
}

impl<'a> Claim<'a> {
    /// Whether the claim and one of another namespace, or of the same, agree to share.
    pub fn agrees_with(&self, other: &Claim<'_>) -> bool {
        let (ours, theirs) = (&self.consumer.namespace, &other.consumer.namespace);
        ours == theirs || (self.consent.includes(theirs) && other.consent.includes(ours))
    }
}

/// The pods that sharers must have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backends<'a> {
    /// externalTrafficPolicy Cluster, or Local without a selector: any node can serve any sharer.
    Anywhere,
    /// externalTrafficPolicy Local: only nodes with these pods serve, so sharers must have the same ones. Pods are of a
    /// namespace, so an equal selector in another namespace means other pods.
    Local {
        /// The pods' namespace.
        namespace: &'a str,
        /// Their labels.
        selector: &'a BTreeMap<String, String>,
    },
}

/// Whether a claim may be given anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It may.
    Open,
    /// It keeps what it has, and is given nothing new, for this reason.
    Frozen(Refusal),
    /// Its object is being deleted: it keeps what it has until it is gone, and is given nothing new.
    Leaving,
}

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

    /// Reads the claim of a FloatingIP: of what it asks for, or of what was last accepted.
    pub fn of_floating_ip(floating_ip: &'a FloatingIP) -> Self {
        let form = floating_ip.in_force();
        let pool = form.and_then(|form| form.pool.as_deref());
        let named = form.and_then(|form| Named::new(&form.requested));
        let request = match (named, pool) {
            (Some(addresses), pool) => Request::Named { addresses, pool },
            (None, Some(pool)) => Request::Pool(pool),
            (None, None) => Request::Any,
        };
        let said = form.map(|form| form.families.as_slice()).unwrap_or_default();
        let families = match (named, said) {
            (Some(Named::Pair(..)), _) | (None, [_, _, ..]) => Families::Both,
            (None, [family]) => Families::One(*family),
            (Some(Named::One(address)), _) => Families::One(Family::of(address)),
            (None, []) => Families::Either,
        };
        let mut ports: Vec<_> = match form.map(|form| &form.carriage) {
            Some(Carriage::ReplyOnly(FloatingTarget::Ports(ports))) => {
                ports.iter().map(|port| (port.protocol, port.port)).collect()
            }
            Some(Carriage::ReplyOnly(FloatingTarget::Service(_)) | Carriage::Bound) | None => Vec::new(),
        };
        ports.sort_unstable();
        let standing = match &floating_ip.refusal {
            _ if floating_ip.deleting => Standing::Leaving,
            Some(refusal) => Standing::Frozen(refusal.clone()),
            None => Standing::Open,
        };
        Self {
            kind: ConsumerKind::FloatingIP,
            consumer: &floating_ip.name,
            uid: floating_ip.uid.as_deref(),
            created: floating_ip.created.as_ref(),
            families,
            request,
            sharing: None,
            consent: &Consent::OwnNamespace,
            labels: &floating_ip.labels,
            purpose: Purpose::LoadBalancer,
            mode: form.map(FloatingForm::mode).unwrap_or_default(),
            ports,
            backends: None,
            shown: &floating_ip.status_addresses,
            shown_by: None,
            standing,
        }
    }

    /// The claim's place among equals: the older first, then by name.
    pub fn seniority(&self) -> (bool, Option<&'a Time>, &'a ServiceName, ConsumerKind) {
        (self.created.is_none(), self.created, self.consumer, self.kind)
    }

    /// What the claim is known by where others are looked up.
    pub(super) fn key(&self) -> Key<'a> {
        (self.kind, &self.consumer.namespace, &self.consumer.name)
    }

    /// Who asks, by kind and name.
    pub(super) fn consumer_name(&self) -> ConsumerName {
        ConsumerName { kind: self.kind, name: self.consumer.clone() }
    }

    /// The object that refusals of this claim are about.
    pub fn object(&self) -> ObjectRef {
        ObjectRef::namespaced(self.kind.as_str(), self.consumer)
    }

    /// Whether a pool lets nodes hold its addresses as the claim asks for.
    pub(super) fn is_held_as_allowed_by(&self, pool: &Pool) -> bool {
        self.mode == AddressMode::ReplyOnly || pool.allow_bound
    }

    /// Where the consumer names a pool.
    pub(super) fn pool_field(&self) -> String {
        match (self.kind, self.purpose) {
            (ConsumerKind::FloatingIP, _) => "spec.pool".to_owned(),
            (ConsumerKind::Service, Purpose::LoadBalancer) => annotated(annotation::ADDRESS_POOL),
            (ConsumerKind::Service, Purpose::ExternalIP) => annotated(annotation::EXTERNAL_IPS_FROM),
        }
    }

    /// Where the consumer asks for certain addresses.
    pub(super) fn addresses_field(&self) -> String {
        match self.kind {
            ConsumerKind::FloatingIP => "spec.addresses".to_owned(),
            ConsumerKind::Service => annotated(annotation::ADDRESSES),
        }
    }
}

/// A consumer by kind, namespace and name.
pub(super) type Key<'a> = (ConsumerKind, &'a str, &'a str);

/// The key of a recorded consumer.
pub(super) fn key_of(consumer: &Consumer) -> Key<'_> {
    (consumer.kind, &consumer.namespace, &consumer.name)
}

fn annotated(name: &str) -> String {
    format!("metadata.annotations[{name}]")
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
