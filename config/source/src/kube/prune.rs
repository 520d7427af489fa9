// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is kept of an object that the API server sent: what somebody reads or writes back, and nothing else.
//!
//! A cluster sends up to ten times as much as is read: managed fields, images of nodes, annotations of others.

use std::collections::BTreeMap;

use ferrolb_config::api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
use ferrolb_config::compat::metallb;
use k8s_openapi::api::core::v1::{Namespace, Node, NodeSpec, NodeStatus, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// Annotations of others are not read, and may be large.
const ANNOTATIONS: [&str; 3] = ["ferrolb.io/", "metallb.io/", "metallb.universe.tf/"];
/// Names the Service of an EndpointSlice.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The conditions of a Node that say whether it can carry addresses.
const NODE_CONDITIONS: [&str; 2] = ["Ready", "NetworkUnavailable"];

/// Forgets what nobody reads.
pub(crate) trait Prune {
    fn prune(&mut self);
}

impl Prune for AddressPool {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
    }
}

impl Prune for L2Advertisement {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
    }
}

impl Prune for metallb::IPAddressPool {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
    }
}

impl Prune for metallb::L2Advertisement {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
    }
}

impl Prune for VirtualIP {
    /// It is replaced as a whole, so its metadata must be whole too.
    fn prune(&mut self) {
        self.metadata.managed_fields = None;
    }
}

impl Prune for Speaker {
    fn prune(&mut self) {
        let owners = self.metadata.owner_references.take();
        metadata(&mut self.metadata);
        self.metadata.owner_references = owners;
    }
}

impl Prune for Service {
    fn prune(&mut self) {
        let has_ingress = self
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref())
            .is_some_and(|ingress| !ingress.is_empty());
        let writers = self.metadata.managed_fields.take().filter(|_| has_ingress);
        metadata(&mut self.metadata);
        // Who wrote the status is named to users when the address is not ours.
        self.metadata.managed_fields = writers.map(status_writers).filter(|writers| !writers.is_empty());
        if let Some(spec) = &mut self.spec {
            spec.external_name = None;
            spec.internal_traffic_policy = None;
            spec.session_affinity_config = None;
            spec.traffic_distribution = None;
            for port in spec.ports.iter_mut().flatten() {
                port.app_protocol = None;
            }
        }
    }
}

impl Prune for EndpointSlice {
    fn prune(&mut self) {
        let service =
            self.metadata.labels.as_mut().and_then(|labels| labels.remove_entry(SERVICE_NAME_LABEL));
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
        self.metadata.finalizers = None;
        self.metadata.labels = service.map(|label| BTreeMap::from([label]));
        for endpoint in &mut self.endpoints {
            // Kubernetes gives a meaning to the first address only.
            endpoint.addresses.truncate(1);
            endpoint.deprecated_topology = None;
            endpoint.hints = None;
            endpoint.hostname = None;
            endpoint.target_ref = None;
            endpoint.zone = None;
        }
        for port in self.ports.iter_mut().flatten() {
            port.app_protocol = None;
        }
    }
}

impl Prune for Node {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
        self.spec = self.spec.take().map(|spec| NodeSpec {
            taints: spec.taints,
            unschedulable: spec.unschedulable,
            ..NodeSpec::default()
        });
        self.status = self.status.take().map(|status| NodeStatus {
            addresses: status.addresses,
            conditions: status.conditions.map(|mut conditions| {
                conditions.retain(|condition| NODE_CONDITIONS.contains(&condition.type_.as_str()));
                for condition in &mut conditions {
                    // A heartbeat is no news.
                    condition.last_heartbeat_time = None;
                    condition.message = None;
                }
                conditions
            }),
            ..NodeStatus::default()
        });
    }
}

impl Prune for Namespace {
    fn prune(&mut self) {
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
        self.spec = None;
        self.status = None;
    }
}

fn metadata(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    metadata.owner_references = None;
    metadata.generate_name = None;
    metadata.self_link = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)));
    }
    metadata.annotations = metadata.annotations.take().filter(|annotations| !annotations.is_empty());
    metadata.labels = metadata.labels.take().filter(|labels| !labels.is_empty());
}

/// The names of those who wrote the status, without what each wrote.
fn status_writers(entries: Vec<ManagedFieldsEntry>) -> Vec<ManagedFieldsEntry> {
    let of_status = entries.into_iter().filter(|entry| entry.subresource.as_deref() == Some("status"));
    of_status
        .map(|entry| ManagedFieldsEntry {
            manager: entry.manager,
            subresource: entry.subresource,
            ..ManagedFieldsEntry::default()
        })
        .collect()
}

#[cfg(test)]
mod tests;
