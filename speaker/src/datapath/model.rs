// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the data path shall do, in the words of Services: no nftables in here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnet::IpNet;

/// Everything this node shall do with traffic to virtual IPs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataPath {
    /// Every virtual IP that this node knows, and what it is to this node.
    pub vips: BTreeMap<IpAddr, Role>,
    /// The ports that are translated. A port of a virtual IP that is missing here is refused or dropped,
    /// as the address' [`Role`] says.
    pub ports: BTreeMap<Frontend, Arc<Backends>>,
    /// The virtual IPs that our own table leads on even where kube-proxy leads to Services: it knows nothing of them.
    pub ours: BTreeSet<IpAddr>,
}

impl DataPath {
    /// The virtual IPs that this node may carry.
    pub fn candidates(&self) -> impl Iterator<Item = IpAddr> {
        self.vips.iter().filter(|(_, role)| **role == Role::Candidate).map(|(address, _)| *address)
    }
}

/// What a virtual IP is to this node; decides about packets to it that no Service port translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This node may carry the address: it answers ping, and refuses unused ports at once.
    Candidate,
    /// Only other nodes may carry it: packets of clients that still hold this node's MAC address are dropped
    /// without a word, so that the client tries again, until it has learned the new MAC address.
    Elsewhere,
}

/// Transport protocols that can be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Protocol {
    /// The name that `nft` and `conntrack` use.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// The virtual IP.
    pub address: IpAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port of the Service.
    pub port: NonZeroU16,
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, SocketAddr::new(self.address, self.port.get()))
    }
}

/// Where connections to a [`Frontend`] go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends {
    /// `namespace/name` of the Service; shown as a comment beside its rules.
    pub service: String,
    /// What the backend sees as the client's address.
    pub source: Source,
    /// The endpoints to choose from. Those of the other address family are left out, since a packet cannot
    /// change its family. None of this family: the port is treated as unused. The unspecified address is this node
    /// itself (RFC 1122, 3.2.1.3), by whichever address of its own the packet came to.
    pub endpoints: BTreeSet<SocketAddr>,
    /// `sessionAffinity: ClientIP`: a client address keeps its endpoint while the endpoints stay the same, on
    /// whichever node its packets arrive. The time-out in `sessionAffinityConfig` has no meaning here.
    pub affinity: bool,
    /// `loadBalancerSourceRanges`.
    pub clients: Clients,
}

/// What the backend sees as the client's address: the difference that `externalTrafficPolicy` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Policy `Local`: the client's own address, so replies must come back through this node by themselves.
    Kept,
    /// Policy `Cluster`: this node's address.
    Masqueraded,
}

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Everybody.
    Anyone,
    /// Clients within these networks only; without a network of the client's family, no client of that family.
    Within(BTreeSet<IpNet>),
}
