// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which ports of an address this node translates, and where to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::num::NonZeroU16;

use ferrolb_config::ObjectRef;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{LoadBalancer, Protocol as ServiceProtocol, TrafficPolicy};

use super::view::View;
use super::wish::Wish;
use crate::datapath::{Backends, Clients, Frontend, Mode, Protocol, Source};

type Ports = BTreeMap<Frontend, Backends>;

/// The ports of `address`, with what of the Services on it cannot be served. None where kube-proxy translates.
pub(super) fn of(view: &View<'_>, address: IpAddr, wishes: &[Wish<'_>]) -> (Ports, Vec<Refusal>) {
    let (mut ports, mut refused) = (Ports::new(), Vec::new());
    if view.mode == Mode::NFTables {
        for wish in wishes {
            add(&mut ports, &mut refused, view.node, address, wish);
        }
    }
    (ports, refused)
}

fn add(ports: &mut Ports, refused: &mut Vec<Refusal>, node: &str, address: IpAddr, wish: &Wish<'_>) {
    let service = wish.service;
    let (source, node) = match service.traffic_policy {
        TrafficPolicy::Cluster => (Source::Masqueraded, None),
        TrafficPolicy::Local => (Source::Kept, Some(node)),
    };
    for port in &service.ports {
        let refuse = |reason, message: String| {
            Refusal::error(reason, ObjectRef::namespaced("Service", &service.name), message)
                .field("spec.ports")
        };
        let protocol = match port.protocol {
            ServiceProtocol::Tcp => Protocol::Tcp,
            ServiceProtocol::Udp => Protocol::Udp,
            ServiceProtocol::Sctp => {
                let refusal = refuse(Reason::UnsupportedProtocol, format!("port {} is SCTP", port.port));
                refused.push(refusal.remedy("The data path translates TCP and UDP only."));
                continue;
            }
        };
        let Some(number) = NonZeroU16::new(port.port) else { continue };
        let backends = Backends {
            service: service.name.to_string(),
            source,
            endpoints: wish.answering.sockets(&port.name, port.protocol, node),
            affinity: service.client_ip_affinity,
            clients: clients(service, wish.unreadable_ranges),
        };
        match ports.entry(Frontend { address, protocol, port: number }) {
            Entry::Vacant(entry) => {
                entry.insert(backends);
            }
            Entry::Occupied(entry) => {
                let message = format!("{} is already {}'s", entry.key(), entry.get().service);
                let refusal = refuse(Reason::SharingConflict, message);
                refused.push(refusal.remedy("Give the Services different ports, or an address each."));
            }
        }
    }
}

/// Ranges that cannot be read must not open the Service to everybody.
fn clients(service: &LoadBalancer, unreadable_ranges: bool) -> Clients {
    if service.source_ranges.is_empty() && !unreadable_ranges {
        Clients::Anyone
    } else {
        Clients::Within(service.source_ranges.iter().copied().collect())
    }
}
