// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which endpoints of a Service answer, and where.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ferrolb_config::snapshot::{Endpoint, Protocol};

/// The endpoints of a Service that can answer on one address family.
///
/// Ready ones, and only where there is none those that still serve while they terminate (KEP-1669); so a rolling update
/// that takes the last ready endpoint away before the next is up serves on.
pub(super) struct Answering<'a> {
    ready: Vec<&'a Endpoint>,
    serving: Vec<&'a Endpoint>,
}

impl<'a> Answering<'a> {
    /// Those of `endpoints` that can answer on the family of `vip`.
    pub(super) fn new(endpoints: &'a [Endpoint], vip: IpAddr) -> Self {
        let usable = |endpoint: &&Endpoint| {
            endpoint.address.is_ipv4() == vip.is_ipv4() && is_reachable(endpoint.address)
        };
        let of_family = endpoints.iter().filter(usable);
        let (ready, others): (Vec<_>, Vec<_>) = of_family.partition(|endpoint| endpoint.ready);
        Answering { ready, serving: others.into_iter().filter(|endpoint| endpoint.serving).collect() }
    }

    /// Whether nothing answers on any node.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.serving.is_empty()
    }

    /// The nodes on which something answers: with a ready endpoint, or, if none is ready anywhere, with a serving one.
    pub(super) fn nodes(&self) -> BTreeSet<&'a str> {
        let endpoints = if self.ready.is_empty() { &self.serving } else { &self.ready };
        endpoints.iter().filter_map(|endpoint| endpoint.node.as_deref()).collect()
    }

    /// Where the Service port `name` is served, on `node` or on all.
    pub(super) fn sockets(&self, name: &str, protocol: Protocol, node: Option<&str>) -> BTreeSet<SocketAddr> {
        let on_node = |endpoint: &&&Endpoint| node.is_none() || endpoint.node.as_deref() == node;
        let sockets = |endpoints: &[&Endpoint]| -> BTreeSet<SocketAddr> {
            let ports = endpoints.iter().filter(on_node).flat_map(|endpoint| {
                let wanted =
                    endpoint.ports.iter().filter(|port| port.name == name && port.protocol == protocol);
                wanted.map(|port| SocketAddr::new(endpoint.address, port.port))
            });
            ports.collect()
        };
        let ready = sockets(&self.ready);
        if ready.is_empty() { sockets(&self.serving) } else { ready }
    }
}

/// Whether packets can be sent there. The API server admits no other endpoints, but a folder may hold anything: a
/// Service must not become a way to this machine's own ports or to a cloud's metadata service (169.254.169.254).
fn is_reachable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}
