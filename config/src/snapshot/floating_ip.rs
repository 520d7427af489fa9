// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs, with every field read and checked.

mod read;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Protocol;
use crate::address::Family;
use crate::api::{self, AddressMode};
use crate::name::ServiceName;
use crate::reason::{Refusal, Severity};
use crate::selector::Selector;

/// A FloatingIP.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatingIP {
    /// Its namespace and name.
    pub name: ServiceName,
    /// Its uid.
    pub uid: Option<String>,
    /// When it was created.
    pub created: Option<Time>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its spec asks for; `None` while that is refused.
    pub wanted: Option<FloatingForm>,
    /// What it asked for when it was last accepted.
    pub accepted: Option<FloatingForm>,
    /// The addresses in its status.
    pub status_addresses: Vec<IpAddr>,
    /// Why its spec cannot be used as it stands: it is given no new address, and nothing that it has is taken away.
    pub refusal: Option<Refusal>,
}

/// What a FloatingIP asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatingForm {
    /// The pool asked for.
    pub pool: Option<String>,
    /// The addresses asked for, at most one a family.
    pub requested: Vec<IpAddr>,
    /// The families asked for, each once; empty: one address, of whichever family.
    pub families: Vec<Family>,
    /// Its group, by the name that the spec gives it.
    pub group: Option<String>,
    /// How its addresses are held, and where their traffic goes.
    pub carriage: Carriage,
    /// Which nodes may carry them.
    pub candidates: Candidates,
    /// What must answer on a node that carries them.
    pub health_checks: Vec<HealthCheck>,
}

/// How the addresses of a FloatingIP are held, and where their traffic goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// They are on an interface of the node, whose programs listen on them.
    Bound,
    /// They are on no interface, and their traffic is led there.
    ReplyOnly(FloatingTarget),
}

/// Where the traffic of an address that is on no interface goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloatingTarget {
    /// To ports of the node that carries it; at least one, each port and protocol once.
    Ports(Vec<FloatingPort>),
    /// To the endpoints of this Service.
    Service(ServiceName),
}

/// A port of the address, and the port on the node that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatingPort {
    /// The protocol.
    pub protocol: Protocol,
    /// The port on the address.
    pub port: u16,
    /// The port on the node.
    pub target: u16,
}

/// Which nodes may carry an address; both parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Nodes by label; `None`: all.
    pub node_selector: Option<Selector>,
    /// Nodes with a ready endpoint of this Service; `None`: all.
    pub service: Option<ServiceName>,
}

/// One check that a candidate makes of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthCheck {
    /// What is tried.
    pub probe: Probe,
    /// The time from one try to the next; at least a second.
    pub interval: Duration,
    /// A try without an answer has failed after this time; at least a second.
    pub timeout: Duration,
    /// Tries in a row that must succeed before the node counts as healthy; at least one.
    pub rise: u32,
    /// Tries in a row that must fail before it counts as unhealthy; at least one.
    pub fall: u32,
}

/// What a check tries on the node itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// A GET request.
    Http {
        /// The port.
        port: u16,
        /// The path: printable ASCII, beginning with a slash.
        path: String,
        /// The header `Host`: printable ASCII; `None`: the address and port that are connected to.
        host: Option<String>,
        /// The status codes that count as success.
        expected: StatusRange,
    },
    /// A connection.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A command, which must end with 0. Never of an object that came from a cluster.
    Exec {
        /// The program and its arguments; not empty.
        command: Vec<String>,
    },
}

/// HTTP status codes, from the first to the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// Reads `200` or `200-399`.
    pub fn parse(text: &str) -> Option<Self> {
        let code = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_digit());
            text.parse::<u16>().ok().filter(|code| digits && (100..=599).contains(code))
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (code(first)?, code(last)?),
            None => (code(text)?, code(text)?),
        };
        (first <= last).then_some(Self { first, last })
    }

    /// Whether `code` is among them.
    pub fn contains(self, code: u16) -> bool {
        RangeInclusive::new(self.first, self.last).contains(&code)
    }
}

impl FloatingForm {
    /// How its addresses are held.
    pub fn mode(&self) -> AddressMode {
        match self.carriage {
            Carriage::Bound => AddressMode::Bound,
            Carriage::ReplyOnly(_) => AddressMode::ReplyOnly,
        }
    }
}

impl FloatingIP {
    /// Reads a FloatingIP; what is refused or warned about is added to `refused`.
    pub fn read(name: &ServiceName, object: &api::FloatingIP, refused: &mut Vec<Refusal>) -> Self {
        let (wanted, refusals) = read::form(name, &object.spec);
        let refusal = refusals.iter().find(|refusal| refusal.severity == Severity::Error).cloned();
        refused.extend(refusals);
        let status = object.status.as_ref();
        let accepted = status.and_then(|status| read::form(name, status.accepted.as_ref()?).0);
        let addresses = status.map(|status| status.addresses.as_slice()).unwrap_or_default();
        Self {
            name: name.clone(),
            uid: object.metadata.uid.clone(),
            created: object.metadata.creation_timestamp.clone(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            labels: object.metadata.labels.clone().unwrap_or_default(),
            wanted,
            accepted,
            status_addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
            refusal,
        }
    }

    /// What is in force: what the spec asks for, or what was last accepted while that is refused. `None`: it never
    /// could be used.
    pub fn in_force(&self) -> Option<&FloatingForm> {
        self.wanted.as_ref().or(self.accepted.as_ref())
    }

    /// What is in force for an address that the controller recorded with `mode`. A spec that asks for another mode is in
    /// force once the record says so too: the pool may not allow it.
    pub fn carried_as(&self, mode: AddressMode) -> Option<&FloatingForm> {
        let forms = self.wanted.iter().chain(&self.accepted);
        forms.into_iter().find(|form| form.mode() == mode)
    }

    /// What its addresses are elected with, a name that no Service's addresses have: FloatingIPs of one namespace share
    /// one if they say so.
    pub fn group(&self) -> String {
        let ServiceName { namespace, name } = &self.name;
        match self.in_force().and_then(|form| form.group.as_ref()) {
            Some(group) => format!("{namespace}/group/{group}"),
            None => format!("{namespace}/floatingip/{name}"),
        }
    }
}

pub(super) fn build(
    objects: &BTreeMap<ServiceName, Arc<api::FloatingIP>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<ServiceName, FloatingIP> {
    objects.iter().map(|(name, object)| (name.clone(), FloatingIP::read(name, object, refused))).collect()
}

#[cfg(test)]
mod tests;
