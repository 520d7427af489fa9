// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one Service wants of one address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::api::{Purpose, VirtualIPSpec};
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{Advertisement, LoadBalancer, Protocol, TrafficPolicy};

use super::Obstacle;
use super::endpoints::Answering;
use super::ground::{Ground, name_all};
use super::view::{Consumer, View};

/// A Service on an address, and who may carry the address as far as this Service is concerned.
pub(super) struct Wish<'a> {
    pub(super) service: &'a LoadBalancer,
    /// Those that cover the address for this Service.
    pub(super) advertisements: Vec<&'a Advertisement>,
    pub(super) answering: Answering<'a>,
    /// Whether it limits its clients to ranges of which one cannot be read.
    pub(super) unreadable_ranges: bool,
    /// The nodes that may carry the address.
    pub(super) nodes: Arc<BTreeSet<String>>,
    pool: &'a str,
    /// The Service has the address as an external one, and its namespace may not use the pool (any more): whoever may
    /// write a Service must not draw traffic to an address of his choice (CVE-2020-8554).
    fenced_off: bool,
    /// Why this Service is announced from no node, if that is so for everyone alike; told in several places.
    why_nowhere: Option<Obstacle>,
}

impl<'a> Wish<'a> {
    pub(super) fn new(
        view: &View<'a>,
        address: IpAddr,
        spec: &'a VirtualIPSpec,
        consumer: &'a Consumer,
    ) -> Self {
        let service = &consumer.service;
        let ground = &view.ground.is;
        let pool = ground.pools.get(&spec.pool);
        let covers = |advertisement: &&Advertisement| {
            pool.is_some_and(|pool| advertisement.selects_pool(pool))
                && advertisement.selects_service(service)
        };
        let advertisements: Vec<_> = ground.advertisements.values().filter(covers).collect();
        let answering = Answering::new(&consumer.endpoints, address);
        let selected = view.ground.selected_by(&advertisements);
        let may_draw = || pool.is_some_and(|pool| view.may_draw(service, pool));
        let fenced_off = service.purpose == Purpose::ExternalIP && !may_draw();
        let pool = &spec.pool;
        let unreadable_ranges = consumer.unreadable_ranges;
        let why_nowhere = None;
        let wish = Wish {
            service,
            advertisements,
            answering,
            unreadable_ranges,
            nodes: Arc::default(),
            pool,
            fenced_off,
            why_nowhere,
        };
        Wish { nodes: wish.served_by(selected), why_nowhere: wish.nowhere(), ..wish }
    }

    /// Those of the nodes that advertisements select which serve the Service.
    pub(super) fn served_by(&self, selected: Arc<BTreeSet<String>>) -> Arc<BTreeSet<String>> {
        let anyhow = self.service.announce_without_endpoints;
        match self.service.traffic_policy {
            _ if self.fenced_off => Arc::default(),
            _ if self.answering.is_empty() => {
                if anyhow {
                    selected
                } else {
                    Arc::default()
                }
            }
            TrafficPolicy::Cluster => selected,
            TrafficPolicy::Local => {
                let local = self.answering.nodes();
                let both: BTreeSet<_> =
                    selected.iter().filter(|node| local.contains(node.as_str())).cloned().collect();
                // Endpoints that name no node, as some Gateway API implementations write, leave everything open.
                if both.is_empty() && anyhow { selected } else { Arc::new(both) }
            }
        }
    }

    /// Whether it follows from the labels of the Service's namespace too.
    pub(super) fn asks_for_namespace(&self) -> bool {
        self.service.purpose == Purpose::ExternalIP
    }

    /// A TCP port with an endpoint behind it that is open to every client.
    pub(super) fn open_tcp_port(&self) -> Option<NonZeroU16> {
        if self.unreadable_ranges || !self.service.source_ranges.is_empty() {
            return None;
        }
        let tcp = self.service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let mut served =
            tcp.filter(|port| !self.answering.sockets(&port.name, port.protocol, None).is_empty());
        served.find_map(|port| NonZeroU16::new(port.port))
    }

    fn nowhere(&self) -> Option<Obstacle> {
        if self.advertisements.is_empty() && !self.fenced_off {
            let name = &self.service.name;
            let message = format!("no L2Advertisement selects AddressPool {} and Service {name}", self.pool);
            return Some(Obstacle::new(Reason::NotAdvertised, message));
        }
        self.why_unservable()
    }

    /// Why no node can serve the Service, whoever announces it.
    pub(super) fn why_unservable(&self) -> Option<Obstacle> {
        let name = &self.service.name;
        if self.fenced_off {
            let message = format!(
                "AddressPool {} does not serve namespace {}, so its addresses are not announced as external ones of \
                 Service {name}",
                self.pool, name.namespace
            );
            Some(Obstacle::new(Reason::PoolNotAllowed, message))
        } else if self.answering.is_empty() && !self.service.announce_without_endpoints {
            let message =
                format!("Service {name} has no endpoint of this address family that is ready or serving");
            Some(Obstacle::new(Reason::NoEndpoints, message))
        } else {
            None
        }
    }

    /// Why `node` may not carry the address, given that it may not.
    pub(super) fn why_not_here(&self, ground: &Ground, node: &str) -> Obstacle {
        self.why_nowhere.clone().unwrap_or_else(|| {
            if ground.selected_by(&self.advertisements).contains(node) {
                let message = format!(
                    "Service {} has externalTrafficPolicy Local and no ready endpoint on Node {node}",
                    self.service.name
                );
                Obstacle::new(Reason::NoLocalEndpoints, message)
            } else {
                ground.why_not_selected(node, &self.advertisements)
            }
        })
    }

    /// Why no candidate serves this Service, given that none does.
    pub(super) fn why_unserved(&self, ground: &Ground, address: IpAddr) -> Obstacle {
        self.why_nowhere.clone().unwrap_or_else(|| {
            let name = &self.service.name;
            let (reason, message) = if !self.nodes.is_empty() {
                let message = format!(
                    "no node can carry {address} for Service {name} and for the older Services on it; give it an \
                     address of its own"
                );
                (Reason::SharingConflict, message)
            } else if ground.selected_by(&self.advertisements).is_empty() {
                let message = format!("{} selects no node that may carry addresses", name_all(&self.advertisements));
                (Reason::NodeNotSelected, message)
            } else {
                let message = format!(
                    "Service {name} has externalTrafficPolicy Local and no ready endpoint on a node that {} selects",
                    name_all(&self.advertisements)
                );
                (Reason::NoLocalEndpoints, message)
            };
            Obstacle::new(reason, message)
        })
    }
}
