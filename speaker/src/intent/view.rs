// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where what follows for an address is read: only what belongs to that address, at the moment when it is asked for.

use ferrolb_config::api::{ConsumerKind, VirtualIPSpec};
use ferrolb_config::snapshot::{Endpoint, LoadBalancer, Pool, Scope, namespace_labels};
use ferrolb_config::{ObjectRef, Objects, ServiceName};

use super::ground::Ground;
use super::uses::Slices;
use crate::datapath::Mode;

/// Where what follows for an address is read.
pub(super) struct View<'a> {
    pub(super) ground: &'a Ground,
    pub(super) objects: &'a Objects,
    pub(super) slices: &'a Slices,
    pub(super) node: &'a str,
    pub(super) mode: Mode,
}

/// A Service on an address.
pub(super) struct Consumer {
    pub(super) service: LoadBalancer,
    pub(super) endpoints: Vec<Endpoint>,
    /// A source range of it cannot be read.
    pub(super) unreadable_ranges: bool,
}

impl View<'_> {
    /// The Services on an address, the oldest first.
    pub(super) fn consumers(&self, spec: &VirtualIPSpec) -> impl Iterator<Item = Consumer> {
        spec.consumers
            .iter()
            .filter(|consumer| consumer.kind == ConsumerKind::Service)
            .map(|consumer| ServiceName {
                namespace: consumer.namespace.clone(),
                name: consumer.name.clone(),
            })
            .filter_map(|name| self.consumer(&name))
    }

    pub(super) fn consumer(&self, name: &ServiceName) -> Option<Consumer> {
        let mut refused = Vec::new();
        // Whom a VirtualIP records was judged by the controller.
        let service =
            LoadBalancer::read(name, self.objects.services.get(name)?, &Scope::Every, &mut refused)?;
        let reference = ObjectRef::namespaced("Service", name);
        let unreadable_ranges = self.ground.has_unreadable_ranges(&reference, &refused);
        let endpoints = Endpoint::gather(self.slices.of(&name.namespace, &name.name), &mut refused);
        Some(Consumer { service, endpoints, unreadable_ranges })
    }

    /// The endpoints of a Service, whatever its type.
    pub(super) fn endpoints(&self, name: &ServiceName) -> Vec<Endpoint> {
        Endpoint::gather(self.slices.of(&name.namespace, &name.name), &mut Vec::new())
    }

    /// Whether `service` may draw from `pool`.
    pub(super) fn may_draw(&self, service: &LoadBalancer, pool: &Pool) -> bool {
        let name = &service.name.namespace;
        let labels = self.objects.namespaces.get(name);
        let labels = labels.map(|namespace| namespace_labels(name, namespace.metadata.labels.as_ref()));
        pool.lets_draw(service, labels.as_ref())
    }
}
