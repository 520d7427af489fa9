// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What table `inet ferrolb` contains for a [`DataPath`].
//!
//! The base chains hold a constant handful of rules, which look addresses and ports up in maps and sets; so the
//! cost of a packet does not grow with the number of Services, and a change touches only the elements and the
//! chain of the port that changed.
//!
//! No packet or connection marks are used: kube-proxy and the CNI plugins share one 32-bit mark. That a connection is one of
//! ours to be masqueraded is read from its original destination, which the kernel remembers anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::model::{Backends, Clients, DataPath, Frontend, Role, Source};

/// The table's family and name, as `nft` wants them.
pub(crate) const TABLE: &str = "inet ferrolb";
/// Its name alone.
pub(crate) const TABLE_NAME: &str = "ferrolb";

/// A fixed seed makes every node choose the same endpoint for a client, so affinity outlives a failover.
const AFFINITY_SEED: &str = "0x466c4c42";

/// Address family of the things that exist once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub(super) fn digit(self) -> char {
        match self {
            Family::V4 => '4',
            Family::V6 => '6',
        }
    }

    /// The header that rules match on.
    pub(super) fn header(self) -> &'static str {
        match self {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        }
    }

    fn address_type(self) -> &'static str {
        match self {
            Family::V4 => "ipv4_addr",
            Family::V6 => "ipv6_addr",
        }
    }

    pub(super) fn echo_request(self) -> &'static str {
        match self {
            Family::V4 => "icmp type echo-request",
            Family::V6 => "icmpv6 type echo-request",
        }
    }
}

/// A kind of map or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Map: virtual IP, protocol, port → the port's chain.
    Ports,
    /// Set: virtual IPs that this node may carry.
    Candidates,
    /// Set: virtual IPs that only other nodes may carry.
    Elsewhere,
    /// Set: virtual IP, protocol, endpoint, endpoint's port of the connections to masquerade.
    Masquerade,
    /// Set: an endpoint's address twice, for endpoints that reach themselves through a virtual IP.
    Hairpin,
}

/// A map or set of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Container {
    pub(crate) kind: Kind,
    pub(crate) family: Family,
}

impl Container {
    /// Every container, in the order in which they are declared.
    pub(crate) fn all() -> impl Iterator<Item = Container> {
        [Kind::Ports, Kind::Candidates, Kind::Elsewhere, Kind::Masquerade, Kind::Hairpin]
            .into_iter()
            .flat_map(|kind| Family::BOTH.map(|family| Container { kind, family }))
    }

    /// `map` or `set`.
    pub(crate) fn keyword(self) -> &'static str {
        match self.kind {
            Kind::Ports => "map",
            _ => "set",
        }
    }

    /// The declaration between the braces. Everything can time out, see [`super::transaction::linger`].
    pub(crate) fn definition(self) -> String {
        let address = self.family.address_type();
        let key = match self.kind {
            Kind::Ports => format!("{address} . inet_proto . inet_service : verdict"),
            Kind::Candidates | Kind::Elsewhere => address.to_owned(),
            Kind::Masquerade => format!("{address} . inet_proto . {address} . inet_service"),
            Kind::Hairpin => format!("{address} . {address}"),
        };
        format!("type {key}; flags timeout;")
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::Ports => "ports",
            Kind::Candidates => "candidates",
            Kind::Elsewhere => "elsewhere",
            Kind::Masquerade => "masquerade",
            Kind::Hairpin => "hairpin",
        };
        write!(f, "{name}{}", self.family.digit())
    }
}

/// The chain of a translated port.
///
/// The endpoint is chosen by a row of rules, not by a map: while a transaction replaces a chain, a packet on its way
/// through the old rules could find the old map's elements gone already. Rules without a map are replaced in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortChain {
    /// The rules, the last one with the [`digest`](Self::digest) in its comment.
    pub(crate) rules: Vec<String>,
    /// Tells a later process whether the chain that it finds is the one that it wants.
    pub(crate) digest: String,
}

/// The changing part of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// One chain per translated port, by name.
    pub(crate) chains: BTreeMap<String, PortChain>,
    /// What the maps and sets hold.
    pub(crate) elements: Elements,
}

/// Elements of maps and sets: their key → the chain they lead to, in maps.
pub(crate) type Elements = BTreeMap<Container, BTreeMap<String, Option<String>>>;

impl Ruleset {
    fn insert(&mut self, kind: Kind, family: Family, key: String, target: Option<String>) {
        self.elements.entry(Container { kind, family }).or_default().insert(key, target);
    }
}

/// The changing part of the table that does what `desired` says.
pub(crate) fn ruleset(desired: &DataPath) -> Ruleset {
    let mut rules = Ruleset::default();
    for (&address, role) in &desired.vips {
        let kind = match role {
            Role::Candidate => Kind::Candidates,
            Role::Elsewhere => Kind::Elsewhere,
        };
        rules.insert(kind, Family::of(address), address.to_string(), None);
    }
    let keeps_source = keeping_source(desired);
    for (frontend, backends) in &desired.ports {
        let family = Family::of(frontend.address);
        let endpoints = of_family(&backends.endpoints, family);
        if endpoints.is_empty() {
            continue;
        }
        let chain = chain_name(frontend);
        rules.chains.insert(chain.clone(), port_chain(frontend, backends, &endpoints));
        let Frontend { address, protocol, port } = frontend;
        rules.insert(Kind::Ports, family, format!("{address} . {protocol} . {port}"), Some(chain));
        // What stays on this node needs no way back.
        for endpoint in endpoints.into_iter().filter(|endpoint| !endpoint.ip().is_unspecified()) {
            let (ip, port) = (endpoint.ip(), endpoint.port());
            match backends.source {
                Source::Kept => rules.insert(Kind::Hairpin, family, format!("{ip} . {ip}"), None),
                Source::Masqueraded if keeps_source.contains(&(*address, *protocol, endpoint)) => {}
                Source::Masqueraded => {
                    rules.insert(
                        Kind::Masquerade,
                        family,
                        format!("{address} . {protocol} . {ip} . {port}"),
                        None,
                    );
                }
            }
        }
    }
    rules
}

/// Endpoints that two ports of one address lead to, one of them keeping the client's address: on the way out the
/// two look alike. The address is kept for both, which works, as such an endpoint is on this node.
fn keeping_source(desired: &DataPath) -> BTreeSet<(IpAddr, super::model::Protocol, SocketAddr)> {
    desired
        .ports
        .iter()
        .filter(|(_, backends)| backends.source == Source::Kept)
        .flat_map(|(frontend, backends)| {
            backends.endpoints.iter().map(|&endpoint| (frontend.address, frontend.protocol, endpoint))
        })
        .collect()
}

fn of_family(endpoints: &BTreeSet<SocketAddr>, family: Family) -> Vec<SocketAddr> {
    endpoints.iter().copied().filter(|endpoint| Family::of(endpoint.ip()) == family).collect()
}

/// The name of a port's chain, such as `port/tcp/80/192.0.2.1`; colons are not allowed in names.
pub(crate) fn chain_name(frontend: &Frontend) -> String {
    let Frontend { address, protocol, port } = frontend;
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join("-"),
    };
    format!("port/{protocol}/{port}/{address}")
}

/// Only chains of this form are ever deleted.
pub(crate) fn is_port_chain(name: &str) -> bool {
    name.starts_with("port/")
}

fn port_chain(frontend: &Frontend, backends: &Backends, endpoints: &[SocketAddr]) -> PortChain {
    let family = Family::of(frontend.address);
    let header = family.header();
    let mut rules = Vec::new();
    if let Clients::Within(networks) = &backends.clients {
        rules.extend(refuse_strangers(networks, family));
    }
    let count = endpoints.len();
    rules.extend(endpoints.iter().enumerate().map(|(index, endpoint)| {
        let choice = match count - index {
            1 => String::new(),
            _ if backends.affinity => {
                format!("jhash {header} saddr mod {count} seed {AFFINITY_SEED} {index} ")
            }
            left => format!("numgen random mod {left} 0 "),
        };
        let verdict = if endpoint.ip().is_unspecified() {
            format!("redirect to :{}", endpoint.port())
        } else {
            format!("dnat {header} to {endpoint}")
        };
        format!("{choice}meta l4proto {} {verdict}", frontend.protocol)
    }));
    let digest = format!("{:016x}", rules.iter().fold(FNV_OFFSET, |hash, rule| fnv1a(hash, rule)));
    if let Some(last) = rules.last_mut() {
        // The reverse of `comment_digest`.
        last.push_str(&format!(" comment \"{} {digest}\"", comment(&backends.service)));
    }
    PortChain { rules, digest }
}

/// The digest in the comment of a chain's last rule.
pub(crate) fn comment_digest(comment: &str) -> Option<&str> {
    comment.rsplit_once(' ').map(|(_service, digest)| digest)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash FNV-1a, 64 bit: the same in every build, unlike the standard library's.
fn fnv1a(hash: u64, text: &str) -> u64 {
    text.bytes()
        .chain([b'\n'])
        .fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The rule that drops clients outside of `networks`, if anybody is outside.
fn refuse_strangers(networks: &BTreeSet<IpNet>, family: Family) -> Option<String> {
    // Overlapping networks in one set are refused by nft, hence the aggregation.
    let allowed: Vec<String> = match family {
        Family::V4 => {
            let networks =
                networks.iter().filter_map(|net| if let IpNet::V4(net) = net { Some(*net) } else { None });
            Ipv4Net::aggregate(&networks.collect()).iter().map(ToString::to_string).collect()
        }
        Family::V6 => {
            let networks =
                networks.iter().filter_map(|net| if let IpNet::V6(net) = net { Some(*net) } else { None });
            Ipv6Net::aggregate(&networks.collect()).iter().map(ToString::to_string).collect()
        }
    };
    if allowed.iter().any(|net| net.ends_with("/0")) {
        None
    } else if allowed.is_empty() {
        Some("drop".to_owned())
    } else {
        Some(format!("{} saddr != {{ {} }} drop", family.header(), allowed.join(", ")))
    }
}

/// A Service's name made safe to stand between quotes: object names never need other characters, but a file
/// could hold anything. The kernel takes comments of up to 127 bytes, of which the digest needs 17.
fn comment(service: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    service.chars().take(110).map(|c| if allowed(c) { c } else { '?' }).collect()
}
