// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who holds which address, and who may join whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::ServiceName;
use ferrolb_config::api::{Consumer, ConsumerKind, ConsumerPort, Purpose};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Protocol;

use super::claim::{Claim, Sharing};

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
                kind: ConsumerKind::Service,
                namespace: claim.consumer.namespace.clone(),
                name: claim.consumer.name.clone(),
                uid: claim.uid.map(str::to_owned),
                ports: Self::ports_of(claim).collect(),
                backends: None,
                purpose: Purpose::LoadBalancer,
            },
        }
    }

    /// The claim's ports as a VirtualIP records them.
    pub fn ports_of(claim: &Claim<'_>) -> impl Iterator<Item = ConsumerPort> {
        claim
            .ports
            .iter()
            .map(|(protocol, port)| ConsumerPort { protocol: protocol.to_string(), port: *port })
    }

    /// Its namespace and name.
    pub fn name(self) -> ServiceName {
        match self {
            Self::Claimant(claim) => claim.consumer.clone(),
            Self::Unread(consumer) => {
                ServiceName { namespace: consumer.namespace.clone(), name: consumer.name.clone() }
            }
        }
    }

    fn is(self, consumer: &ServiceName) -> bool {
        match self {
            Self::Claimant(claim) => claim.consumer == consumer,
            Self::Unread(other) => other.namespace == consumer.namespace && other.name == consumer.name,
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

/// Why a claim may not hold an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Conflict {
    /// Somebody holds it who does not share with the claim.
    Held(ServiceName),
    /// A sharer already uses one of the claim's ports.
    Port(ServiceName, Protocol, u16),
    /// externalTrafficPolicy Local, and the sharers have other pods.
    Backends(ServiceName),
}

impl Conflict {
    /// The conflict over `address` in words, for the claim that loses.
    pub fn refusal(&self, address: IpAddr, claim: &Claim<'_>) -> Refusal {
        match self {
            Self::Held(by) => Refusal::error(
                Reason::AddressInUse,
                claim.object(),
                format!("{address} is in use by Service {by}"),
            )
            .remedy("Ask for another address, or give both Services the same ferrolb.io/sharing-key and different ports."),
            Self::Port(by, protocol, port) => Refusal::error(
                Reason::SharingConflict,
                claim.object(),
                format!("Service {by} already uses {protocol} {port} on {address}"),
            )
            .remedy("Services that share an address need different ports."),
            Self::Backends(by) => Refusal::error(
                Reason::SharingConflict,
                claim.object(),
                format!("Service {by} on {address} leads to other pods, and externalTrafficPolicy is Local"),
            )
            .remedy("Under externalTrafficPolicy Local, Services that share an address need the same selector and namespace."),
        }
    }
}

/// Every address in use.
#[derive(Clone, Debug, Default)]
pub struct Tenancy<'a> {
    holdings: BTreeMap<IpAddr, Holding<'a>>,
    shared: BTreeMap<&'a Sharing<'a>, Shared>,
}

/// The addresses of those who share on equal terms.
#[derive(Clone, Debug, Default)]
struct Shared {
    addresses: BTreeSet<IpAddr>,
    by_port: BTreeMap<(Protocol, u16), BTreeSet<IpAddr>>,
}

impl Shared {
    /// The addresses on which nobody uses any of `ports`.
    fn without<'b>(&'b self, ports: &'b [(Protocol, u16)]) -> impl Iterator<Item = IpAddr> + 'b {
        let users = |port| self.by_port.get(port);
        // Where one of the ports is taken everywhere there is nothing to look through.
        let full = ports.iter().filter_map(users).any(|users| users.len() == self.addresses.len());
        let addresses = if full { None } else { Some(&self.addresses) };
        addresses.into_iter().flatten().copied().filter(move |address| {
            !ports.iter().any(|port| self.by_port.get(port).is_some_and(|users| users.contains(address)))
        })
    }
}

impl<'a> Tenancy<'a> {
    /// Whether anybody holds `address`.
    pub fn is_held(&self, address: IpAddr) -> bool {
        self.holdings.contains_key(&address)
    }

    /// The addresses in use that `claim` may join, ascending. None for a claim without ports, which could not be told
    /// from a tenant.
    pub fn joinable<'b>(&'b self, claim: &'b Claim<'_>) -> impl Iterator<Item = IpAddr> + 'b {
        let sharing = claim.sharing.as_ref().filter(|_| !claim.ports.is_empty());
        let shared = sharing.and_then(|sharing| self.shared.get(sharing));
        shared.into_iter().flat_map(|shared| shared.without(&claim.ports))
    }

    /// What keeps `claim` from holding `address`; `None` when nothing does.
    pub fn conflict(&self, address: IpAddr, claim: &Claim<'_>) -> Option<Conflict> {
        let holding = self.holdings.get(&address)?;
        let first = holding.tenants.first()?;
        let (Some(theirs), Some(ours)) = (holding.sharing, &claim.sharing) else {
            return Some(Conflict::Held(first.name()));
        };
        if theirs.key != ours.key {
            return Some(Conflict::Held(first.name()));
        }
        if theirs.backends != ours.backends {
            return Some(Conflict::Backends(first.name()));
        }
        claim.ports.iter().find_map(|port| {
            let by = holding.ports.get(port)?;
            Some(Conflict::Port((*by).clone(), port.0, port.1))
        })
    }

    /// Gives `address` to `claim`, which joins its sharers if there are any.
    ///
    /// # Errors
    /// When those who hold the address cannot share it with the claim; then nothing changes.
    pub fn admit(&mut self, address: IpAddr, pool: &'a str, claim: &'a Claim<'a>) -> Result<(), Conflict> {
        if let Some(conflict) = self.conflict(address, claim) {
            return Err(conflict);
        }
        let sharing = claim.sharing.as_ref();
        let key = sharing.map(|sharing| sharing.key);
        let holding = self.holdings.entry(address).or_insert_with(|| Holding {
            pool,
            key,
            tenants: Vec::new(),
            sharing,
            ports: BTreeMap::new(),
        });
        holding.tenants.push(Tenant::Claimant(claim));
        if let Some(sharing) = sharing {
            holding.ports.extend(claim.ports.iter().map(|port| (*port, claim.consumer)));
            let shared = self.shared.entry(sharing).or_default();
            shared.addresses.insert(address);
            for port in &claim.ports {
                shared.by_port.entry(*port).or_default().insert(address);
            }
        }
        Ok(())
    }

    /// Keeps `address` for exactly these recorded `tenants`, some of which cannot be read: nobody may join them.
    pub fn close(&mut self, address: IpAddr, pool: &'a str, key: Option<&'a str>, tenants: Vec<Tenant<'a>>) {
        let holding = Holding { pool, key, tenants, sharing: None, ports: BTreeMap::new() };
        self.holdings.insert(address, holding);
    }

    /// Takes `address` from `consumer`. Whoever shares it stays.
    pub fn leave(&mut self, address: IpAddr, consumer: &ServiceName) {
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        holding.tenants.retain(|tenant| !tenant.is(consumer));
        let shared = &mut holding.sharing.and_then(|sharing| self.shared.get_mut(sharing));
        holding.ports.retain(|port, by| {
            let stays = *by != consumer;
            if let (false, Some(users)) =
                (stays, shared.as_mut().and_then(|shared| shared.by_port.get_mut(port)))
            {
                users.remove(&address);
            }
            stays
        });
        if holding.tenants.is_empty() {
            if let Some(shared) = shared {
                shared.addresses.remove(&address);
            }
            self.holdings.remove(&address);
        }
    }

    /// Every address in use.
    pub fn into_holdings(self) -> BTreeMap<IpAddr, Holding<'a>> {
        self.holdings
    }
}
