// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Finds the addresses that a sharer could join without looking at those of everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::snapshot::{Consent, Protocol};

use super::claim::{Backends, Claim};

type Port = (Protocol, u16);

/// The addresses in use, by the terms on which they are shared.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharers<'a>(BTreeMap<Circle<'a>, Shared>);

/// Those who may find each other: equal terms, and either one namespace or an open mind for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Circle<'a> {
    key: &'a str,
    backends: &'a Backends<'a>,
    /// `None`: across namespaces.
    namespace: Option<&'a str>,
}

/// The addresses of one circle.
#[derive(Clone, Debug, Default)]
struct Shared {
    addresses: BTreeSet<IpAddr>,
    by_port: BTreeMap<Port, BTreeSet<IpAddr>>,
}

impl Shared {
    /// The addresses on which nobody uses any of `ports`.
    fn without<'b>(&'b self, ports: &'b [Port]) -> impl Iterator<Item = IpAddr> + 'b {
        let users = |port| self.by_port.get(port);
        // Where one of the ports is taken everywhere there is nothing to look through.
        let full = ports.iter().filter_map(users).any(|users| users.len() == self.addresses.len());
        let addresses = if full { None } else { Some(&self.addresses) };
        addresses.into_iter().flatten().copied().filter(move |address| {
            !ports.iter().any(|port| self.by_port.get(port).is_some_and(|users| users.contains(address)))
        })
    }
}

/// The circles of a claim that shares.
fn circles<'a>(claim: &'a Claim<'_>) -> impl Iterator<Item = Circle<'a>> {
    let own = Some(claim.consumer.namespace.as_str());
    let across = (*claim.consent != Consent::OwnNamespace).then_some(None);
    claim.sharing.iter().flat_map(move |sharing| {
        let circle = move |namespace| Circle { key: sharing.key, backends: &sharing.backends, namespace };
        std::iter::once(own).chain(across).map(circle)
    })
}

impl<'a> Sharers<'a> {
    /// Takes note that `claim` holds `address`.
    pub(super) fn enter(&mut self, address: IpAddr, claim: &'a Claim<'a>) {
        for circle in circles(claim) {
            let shared = self.0.entry(circle).or_default();
            shared.addresses.insert(address);
            for port in &claim.ports {
                shared.by_port.entry(*port).or_default().insert(address);
            }
        }
    }

    /// Takes note that `claim` holds `address` no more, which `others` still do.
    pub(super) fn leave(&mut self, address: IpAddr, claim: &'a Claim<'a>, others: &[&'a Claim<'a>]) {
        for circle in circles(claim) {
            let Some(shared) = self.0.get_mut(&circle) else { continue };
            for port in &claim.ports {
                if let Some(users) = shared.by_port.get_mut(port) {
                    users.remove(&address);
                }
            }
            let is_left = others.iter().all(|other| circles(other).all(|other| other != circle));
            if is_left {
                shared.addresses.remove(&address);
            }
        }
    }

    /// Addresses on which none of the claim's ports is in use, ascending. None for a claim without ports, which could
    /// not be told from a tenant.
    pub(super) fn open_to<'b>(&'b self, claim: &'b Claim<'_>) -> Box<dyn Iterator<Item = IpAddr> + 'b> {
        if claim.sharing.is_none() || claim.ports.is_empty() {
            return Box::new(std::iter::empty());
        }
        let mut found: Vec<_> = circles(claim).filter_map(|circle| self.0.get(&circle)).collect();
        match (found.pop(), found.pop()) {
            (None, _) => Box::new(std::iter::empty()),
            (Some(one), None) => Box::new(one.without(&claim.ports)),
            (Some(one), Some(other)) => {
                let all: BTreeSet<_> = one.without(&claim.ports).chain(other.without(&claim.ports)).collect();
                Box::new(all.into_iter())
            }
        }
    }
}
