// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who holds which address, and who may join whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::ServiceName;
use ferrolb_config::api::{Consumer, ConsumerKind, ConsumerName, ConsumerPort, annotation};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Protocol;
use jiff::Timestamp;

use super::claim::{Claim, Sharing, key_of};
use super::quota::Quotas;
use super::retained::Retained;
use super::sharers::Sharers;

/// A VirtualIP names at most so many consumers, as its definition says.
const MOST_TENANTS: usize = 256;

/// One holder of an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tenant<'a> {
    /// A consumer whose claim is known.
    Claimant(&'a Claim<'a>),
    /// A recorded consumer whose object cannot be read at the moment; it keeps its place.
    Unread(&'a Consumer),
}

impl Tenant<'_> {
    /// The tenant as a VirtualIP records it.
    pub fn to_consumer(self) -> Consumer {
        match self {
            Self::Unread(consumer) => consumer.clone(),
            Self::Claimant(claim) => Consumer {
                kind: claim.kind,
                namespace: claim.consumer.namespace.clone(),
                name: claim.consumer.name.clone(),
                uid: claim.uid.map(str::to_owned),
                ports: claim
                    .ports
                    .iter()
                    .map(|(protocol, port)| ConsumerPort {
                        protocol: protocol.as_str().to_owned(),
                        port: *port,
                    })
                    .collect(),
                backends: claim.backends.clone(),
                purpose: claim.purpose,
            },
        }
    }

    /// Its kind, namespace and name.
    pub fn name(self) -> ConsumerName {
        match self {
            Self::Claimant(claim) => claim.consumer_name(),
            Self::Unread(consumer) => consumer.identity(),
        }
    }

    fn namespace(&self) -> &str {
        match self {
            Self::Claimant(claim) => &claim.consumer.namespace,
            Self::Unread(consumer) => &consumer.namespace,
        }
    }

    fn is(self, claim: &Claim<'_>) -> bool {
        match self {
            Self::Claimant(other) => other.key() == claim.key(),
            Self::Unread(other) => key_of(other) == claim.key(),
        }
    }
}

/// An address in use. It has at least one tenant, and its tenants are fit to share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding<'a> {
    /// The pool that the address counts for.
    pub pool: &'a str,
    /// The key under which more consumers may join; `None`: nobody may.
    pub key: Option<&'a str>,
    /// Who holds it, the oldest first.
    pub tenants: Vec<Tenant<'a>>,
    /// What joiners must agree with; `None`: nobody may join.
    sharing: Option<&'a Sharing<'a>>,
    ports: BTreeMap<(Protocol, u16), &'a ServiceName>,
}

impl<'a> Holding<'a> {
    fn claimants(&self) -> impl Iterator<Item = &'a Claim<'a>> {
        self.tenants.iter().filter_map(|tenant| match tenant {
            Tenant::Claimant(claim) => Some(*claim),
            Tenant::Unread(_) => None,
        })
    }

    /// What keeps `claim` and the tenants from standing side by side.
    fn misfit(&self, claim: &Claim<'_>) -> Option<Conflict> {
        let first = self.tenants.first()?;
        let (Some(theirs), Some(ours)) = (self.sharing, &claim.sharing) else {
            return Some(Conflict::Held(first.name()));
        };
        if theirs.key != ours.key {
            return Some(Conflict::Held(first.name()));
        }
        if theirs.backends != ours.backends {
            return Some(Conflict::Backends(first.name().name));
        }
        claim.ports.iter().find_map(|port| {
            let by = self.ports.get(port)?;
            Some(Conflict::Port((*by).clone(), port.0, port.1))
        })
    }

    fn has_tenant_of(&self, namespace: &str) -> bool {
        self.tenants.iter().any(|tenant| tenant.namespace() == namespace)
    }
}

/// Why a claim may not hold an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Conflict {
    /// Somebody holds it who does not share with the claim.
    Held(ConsumerName),
    /// A sharer already uses one of the claim's ports.
    Port(ServiceName, Protocol, u16),
    /// externalTrafficPolicy Local, and the sharers have other pods.
    Backends(ServiceName),
    /// A sharer of another namespace, and not both agreed to that.
    Namespace(ServiceName),
    /// It has as many sharers as a record holds.
    Full,
    /// It is kept for these until then.
    Retained(String, Timestamp),
}

impl Conflict {
    /// The conflict over `address` in words, for the claim that loses.
    pub fn refusal(&self, address: IpAddr, claim: &Claim<'_>) -> Refusal {
        let refuse = |reason, message: String, remedy: String| {
            Refusal::error(reason, claim.object(), message).remedy(remedy)
        };
        match self {
            Self::Held(by) => refuse(
                Reason::AddressInUse,
                format!("{address} is in use by {}", by.object()),
                match (by.kind, claim.kind) {
                    (ConsumerKind::Service, ConsumerKind::Service) => format!(
                        "Ask for another address, or give both Services the same {} and different ports.",
                        annotation::SHARING_KEY
                    ),
                    _ => "Ask for another address: that of a FloatingIP is not shared.".to_owned(),
                },
            ),
            Self::Port(by, protocol, port) => refuse(
                Reason::SharingConflict,
                format!("Service {by} already uses {protocol} {port} on {address}"),
                "Services that share an address need different ports.".to_owned(),
            ),
            Self::Backends(by) => refuse(
                Reason::SharingConflict,
                format!("Service {by} on {address} leads to other pods, and externalTrafficPolicy is Local"),
                "Under externalTrafficPolicy Local, Services that share an address need the same selector and namespace.".to_owned(),
            ),
            Self::Namespace(by) => refuse(
                Reason::SharingConflict,
                format!("{address} is in use by Service {by} of another namespace"),
                format!("Let both sides agree by the annotation {}.", annotation::SHARING_NAMESPACES),
            ),
            Self::Full => refuse(
                Reason::SharingConflict,
                format!("{address} has {MOST_TENANTS} Services already"),
                format!("Use another {}.", annotation::SHARING_KEY),
            ),
            Self::Retained(names, until) => refuse(
                Reason::AddressRetained,
                format!("{address} is kept for {names} until {until}"),
                "Ask for another address, or delete its VirtualIP to free it now.".to_owned(),
            ),
        }
    }
}

/// Every address in use, and every address that is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenancy<'a> {
    holdings: BTreeMap<IpAddr, Holding<'a>>,
    retained: BTreeMap<IpAddr, Retained<'a>>,
    sharers: Sharers<'a>,
    quotas: Quotas<'a>,
}

impl<'a> Tenancy<'a> {
    pub(super) fn new(quotas: Quotas<'a>) -> Self {
        Self { quotas, ..Self::default() }
    }

    /// Whether `address` is in use or kept.
    pub(super) fn is_held(&self, address: IpAddr) -> bool {
        self.holdings.contains_key(&address) || self.retained.contains_key(&address)
    }

    /// The addresses in use that `claim` may join, ascending.
    pub(super) fn joinable<'b>(&'b self, claim: &'b Claim<'_>) -> impl Iterator<Item = IpAddr> + 'b {
        self.sharers.open_to(claim).filter(|address| self.conflict(*address, claim).is_none())
    }

    /// What keeps `claim` from joining those who hold `address`; `None` when nothing does.
    pub(super) fn conflict(&self, address: IpAddr, claim: &Claim<'_>) -> Option<Conflict> {
        if let Some(retained) = self.retained.get(&address) {
            return Some(Conflict::Retained(retained.names(), retained.until));
        }
        let holding = self.holdings.get(&address)?;
        holding.misfit(claim).or_else(|| {
            if holding.tenants.len() >= MOST_TENANTS {
                return Some(Conflict::Full);
            }
            let stranger = holding.claimants().find(|other| !claim.agrees_with(other))?;
            Some(Conflict::Namespace(stranger.consumer.clone()))
        })
    }

    /// What keeps `claim` and those who hold `address` from standing side by side there, whether or not they like each
    /// other.
    fn misfit(&self, address: IpAddr, claim: &Claim<'_>) -> Option<Conflict> {
        if let Some(retained) = self.retained.get(&address) {
            return Some(Conflict::Retained(retained.names(), retained.until));
        }
        self.holdings.get(&address)?.misfit(claim)
    }

    /// How many more addresses of `pool` the claim's namespace may hold, if `address` is a new one for it; `None`: as
    /// many as there are.
    pub(super) fn quota_left(&self, pool: &str, address: Option<IpAddr>, claim: &Claim<'_>) -> Option<u32> {
        let namespace = &claim.consumer.namespace;
        let holding = address.and_then(|address| self.holdings.get(&address));
        if holding.is_some_and(|holding| holding.has_tenant_of(namespace)) {
            return None;
        }
        self.quotas.left(pool, namespace)
    }

    /// How many addresses of `pool` count against the quota of `namespace`.
    pub(super) fn counted(&self, pool: &str, namespace: &str) -> u32 {
        self.quotas.used(pool, namespace)
    }

    /// Gives `address` to `claim`, which joins its sharers if there are any.
    ///
    /// # Errors
    /// When those who hold the address cannot or do not want to share it with the claim; then nothing changes.
    pub(super) fn join(
        &mut self,
        address: IpAddr,
        pool: &'a str,
        claim: &'a Claim<'a>,
    ) -> Result<(), Conflict> {
        match self.conflict(address, claim) {
            Some(conflict) => Err(conflict),
            None => {
                self.enter(address, pool, claim);
                Ok(())
            }
        }
    }

    /// Seats `claim` on an address that it has already. Nobody is asked whether they agree to share: an address is not
    /// taken away because the rules for newcomers are stricter than those under which it was given.
    ///
    /// # Errors
    /// When those who hold the address cannot share it with the claim; then nothing changes.
    pub(super) fn seat(
        &mut self,
        address: IpAddr,
        pool: &'a str,
        claim: &'a Claim<'a>,
    ) -> Result<(), Conflict> {
        match self.misfit(address, claim) {
            Some(conflict) => Err(conflict),
            None => {
                self.enter(address, pool, claim);
                Ok(())
            }
        }
    }

    fn enter(&mut self, address: IpAddr, pool: &'a str, claim: &'a Claim<'a>) {
        let sharing = claim.sharing.as_ref();
        let key = sharing.map(|sharing| sharing.key);
        let holding = self.holdings.entry(address).or_insert_with(|| Holding {
            pool,
            key,
            tenants: Vec::new(),
            sharing,
            ports: BTreeMap::new(),
        });
        let namespace = claim.consumer.namespace.as_str();
        if !holding.has_tenant_of(namespace) {
            self.quotas.take(holding.pool, namespace);
        }
        holding.tenants.push(Tenant::Claimant(claim));
        if sharing.is_some() {
            holding.ports.extend(claim.ports.iter().map(|port| (*port, claim.consumer)));
            self.sharers.enter(address, claim);
        }
    }

    /// Keeps `address` for exactly these recorded `tenants`, some of which cannot be read: nobody may join them.
    pub(super) fn close(
        &mut self,
        address: IpAddr,
        pool: &'a str,
        key: Option<&'a str>,
        tenants: Vec<Tenant<'a>>,
    ) {
        let mut holding = Holding { pool, key, tenants: Vec::new(), sharing: None, ports: BTreeMap::new() };
        for tenant in tenants {
            let namespace = match tenant {
                Tenant::Claimant(claim) => claim.consumer.namespace.as_str(),
                Tenant::Unread(consumer) => consumer.namespace.as_str(),
            };
            if !holding.has_tenant_of(namespace) {
                self.quotas.take(pool, namespace);
            }
            holding.tenants.push(tenant);
        }
        self.holdings.insert(address, holding);
    }

    /// Keeps `address`, which nobody holds, for who gave it up.
    pub(super) fn retain(&mut self, address: IpAddr, retained: Retained<'a>) {
        for namespace in retained.namespaces() {
            self.quotas.take(retained.pool, namespace);
        }
        self.retained.insert(address, retained);
    }

    /// Takes `address` from the consumer of `claim`. Whoever shares it stays.
    pub(super) fn leave(&mut self, address: IpAddr, claim: &Claim<'_>) {
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        let Some(place) = holding.tenants.iter().position(|tenant| tenant.is(claim)) else { return };
        let gone = holding.tenants.remove(place);
        if let Tenant::Claimant(claim) = gone {
            holding.ports.retain(|_, by| *by != claim.consumer);
            let others: Vec<_> = holding.claimants().collect();
            self.sharers.leave(address, claim, &others);
            let namespace = claim.consumer.namespace.as_str();
            if !holding.has_tenant_of(namespace) {
                self.quotas.give_back(holding.pool, namespace);
            }
        }
        if holding.tenants.is_empty() {
            self.holdings.remove(&address);
        }
    }

    /// Every address in use, and every address that is kept.
    pub(super) fn into_parts(self) -> (BTreeMap<IpAddr, Holding<'a>>, BTreeMap<IpAddr, Retained<'a>>) {
        (self.holdings, self.retained)
    }
}
