// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one consumer asks for, read so that a claim that exists can be served as it stands.

mod floating_ip;
mod service;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_config::address::Family;
use ferrolb_config::api::{AddressMode, Consumer, ConsumerKind, ConsumerName, Purpose, annotation};
use ferrolb_config::reason::Refusal;
use ferrolb_config::snapshot::{Consent, Pool, Protocol};
use ferrolb_config::{ObjectRef, ServiceName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
