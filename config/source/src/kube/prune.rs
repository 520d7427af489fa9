// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is kept of an object that the API server sent: what somebody reads or writes back, and nothing else.
//!
//! A cluster sends up to ten times as much as is read: managed fields, images of nodes, annotations of others.

use std::collections::BTreeMap;

use ferrolb_config::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP, annotation,
};
use ferrolb_config::compat::metallb;
use ferrolb_config::condition::REACHABLE;
use ferrolb_config::snapshot::PASSWORD_KEY;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Node, NodeSpec, NodeStatus, Secret, Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::field_manager::FIELD_MANAGER;

/// Annotations of others are not read, and may be large.
const ANNOTATIONS: [&str; 3] = ["ferrolb.io/", "metallb.io/", "metallb.universe.tf/"];
/// Those of a Service that a speaker reads.
const SPEAKERS_ANNOTATIONS: [&str; 2] =
    [annotation::ANNOUNCE_WITHOUT_ENDPOINTS, annotation::EXTERNAL_IPS_FROM];
/// Names the Service of an EndpointSlice.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The conditions of a Node that say whether it can carry addresses.
const NODE_CONDITIONS: [&str; 2] = ["Ready", "NetworkUnavailable"];

/// Who reads what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Writes objects back, so it needs their metadata.
    Controller,
    /// Reads only; on every node, so that memory counts most.
    Speaker,
}

/// Forgets what `reader` does not read, and the room that lists have for more.
pub(crate) trait Prune {
    fn prune(&mut self, reader: Reader);
}

/// Kinds of which all is read but what the API server adds for itself.
macro_rules! metadata_only {
    ($($kind:ty),+) => {$(
        impl Prune for $kind {
            fn prune(&mut self, _: Reader) {
                metadata(&mut self.metadata);
            }
        }
    )+};
}

metadata_only!(AddressPool, L2Advertisement, BGPPeer, BGPAdvertisement, BFDProfile, Community);

/// The same for MetalLB's, of which no annotation is read.
macro_rules! metadata_of_metallbs {
    ($($kind:ty),+) => {$(
        impl Prune for $kind {
            fn prune(&mut self, _: Reader) {
                metadata(&mut self.metadata);
                self.metadata.annotations = None;
            }
        }
    )+};
}

metadata_of_metallbs!(
    metallb::IPAddressPool,
    metallb::L2Advertisement,
    metallb::BGPPeer,
    metallb::BGPAdvertisement,
    metallb::BFDProfile,
    metallb::Community
);

impl Prune for Secret {
    fn prune(&mut self, _: Reader) {
        name_only(&mut self.metadata);
        self.immutable = None;
        if let Some(data) = &mut self.data {
            data.retain(|key, _| key == PASSWORD_KEY);
        }
        // As an API server does; in a folder nobody else would.
        let plain = self.string_data.take().and_then(|mut written| written.remove(PASSWORD_KEY));
        if let Some(plain) = plain {
            let data = self.data.get_or_insert_default();
            data.insert(PASSWORD_KEY.to_owned(), ByteString(plain.into_bytes()));
        }
    }
}

impl Prune for FloatingIP {
    fn prune(&mut self, reader: Reader) {
        metadata(&mut self.metadata);
        // The schema has no commands. Should it be replaced by one that has: nobody's write runs a program on nodes.
        let accepted = self.status.as_mut().and_then(|status| status.accepted.as_mut());
        for check in self
            .spec
            .health_checks
            .iter_mut()
            .chain(accepted.into_iter().flat_map(|spec| &mut spec.health_checks))
        {
            check.exec = None;
        }
        if reader == Reader::Speaker {
            let labels = self.metadata.labels.take();
            name_only(&mut self.metadata);
            self.metadata.labels = labels;
            if let Some(status) = &mut self.status {
                status.conditions = Vec::new();
            }
        }
    }
}

impl Prune for VirtualIP {
    /// The controller replaces it as a whole, so its metadata must be whole too.
    fn prune(&mut self, reader: Reader) {
        self.metadata.managed_fields = None;
        if reader == Reader::Speaker {
            let wish = self.metadata.annotations.as_mut().and_then(|all| all.remove_entry(annotation::MOVE));
            name_only(&mut self.metadata);
            self.metadata.annotations = wish.map(|wish| BTreeMap::from([wish]));
            self.spec.sharing_key = None;
            for consumer in &mut self.spec.consumers {
                // Who shares with whom was judged by the controller; the Services themselves say what they are.
                consumer.uid = None;
                consumer.ports = Vec::new();
                consumer.backends = None;
            }
            if let Some(status) = &mut self.status {
                // `Ready` is told by the entries, and only said anew. What witnesses say is compared with what they see.
                status.conditions.retain(|condition| condition.type_ == REACHABLE);
                status.conditions.shrink_to_fit();
                for reached in status.conditions.iter_mut().filter(|condition| condition.status == "True") {
                    reached.message = String::new();
                }
                status.layer2.shrink_to_fit();
                for owner in &mut status.layer2 {
                    // For people.
                    owner.interface = String::new();
                    owner.cause = String::new();
                }
            }
        }
        self.spec.consumers.shrink_to_fit();
        for consumer in &mut self.spec.consumers {
            consumer.ports.shrink_to_fit();
        }
        shrink(&mut self.metadata.finalizers);
    }
}

impl Prune for Speaker {
    fn prune(&mut self, _: Reader) {
        let owners = self.metadata.owner_references.take();
        metadata(&mut self.metadata);
        self.metadata.owner_references = owners;
    }
}

impl Prune for Service {
    fn prune(&mut self, reader: Reader) {
        let ingress = self.status.as_mut().and_then(|status| status.load_balancer.as_mut()?.ingress.as_mut());
        let has_ingress = ingress.is_some_and(|ingress| {
            ingress.shrink_to_fit();
            !ingress.is_empty()
        });
        let writers = self.metadata.managed_fields.take();
        metadata(&mut self.metadata);
        if has_ingress && reader == Reader::Controller {
            // Who wrote the status is named to users when the address is not ours.
            self.metadata.managed_fields = writers.and_then(status_writers);
        }
        if let Some(spec) = &mut self.spec {
            spec.external_name = None;
            spec.internal_traffic_policy = None;
            spec.session_affinity_config = None;
            spec.traffic_distribution = None;
            for port in spec.ports.iter_mut().flatten() {
                port.app_protocol = None;
            }
            // Which pods are behind it matters to those who share an address under the policy Local.
            if reader == Reader::Speaker || spec.external_traffic_policy.as_deref() != Some("Local") {
                spec.selector = None;
            }
            if reader == Reader::Speaker {
                for_speakers(spec);
            }
            shrink(&mut spec.ports);
            shrink(&mut spec.cluster_ips);
            shrink(&mut spec.ip_families);
            shrink(&mut spec.external_ips);
            shrink(&mut spec.load_balancer_source_ranges);
        }
        if reader == Reader::Speaker {
            self.status = None;
            let (labels, annotations) = (self.metadata.labels.take(), self.metadata.annotations.take());
            name_only(&mut self.metadata);
            let annotations = annotations.map(|mut annotations| {
                annotations.retain(|key, _| SPEAKERS_ANNOTATIONS.contains(&key.as_str()));
                annotations
            });
            let annotations = annotations.filter(|annotations| !annotations.is_empty());
            let is_external =
                annotations.iter().flatten().any(|(key, _)| key == annotation::EXTERNAL_IPS_FROM);
            if is_external
                || self.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer")
            {
                (self.metadata.labels, self.metadata.annotations) = (labels, annotations);
            } else {
                // It asks for no address, as most Services of a cluster.
                self.spec = None;
            }
        }
    }
}

/// Forgets what only matters to who gives addresses, and what says the same as its absence.
fn for_speakers(spec: &mut ServiceSpec) {
    spec.cluster_ip = None;
    spec.cluster_ips = None;
    spec.external_ips = None;
    spec.ip_families = None;
    spec.ip_family_policy = None;
    spec.load_balancer_class = None;
    spec.load_balancer_ip = None;
    spec.session_affinity = spec.session_affinity.take().filter(|affinity| affinity != "None");
    let policy = spec.external_traffic_policy.take();
    spec.external_traffic_policy = policy.filter(|policy| policy != "Cluster");
    for port in spec.ports.iter_mut().flatten() {
        // The EndpointSlices hold the numbers.
        port.target_port = None;
        port.node_port = None;
        port.protocol = port.protocol.take().filter(|protocol| protocol != "TCP");
    }
}

impl Prune for EndpointSlice {
    fn prune(&mut self, reader: Reader) {
        let service =
            self.metadata.labels.as_mut().and_then(|labels| labels.remove_entry(SERVICE_NAME_LABEL));
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
        self.metadata.creation_timestamp = None;
        self.metadata.finalizers = None;
        self.metadata.labels = service.map(|label| BTreeMap::from([label]));
        for endpoint in &mut self.endpoints {
            // Kubernetes gives a meaning to the first address only.
            endpoint.addresses.truncate(1);
            endpoint.addresses.shrink_to_fit();
            endpoint.deprecated_topology = None;
            endpoint.hints = None;
            endpoint.hostname = None;
            endpoint.target_ref = None;
            endpoint.zone = None;
        }
        self.endpoints.shrink_to_fit();
        for port in self.ports.iter_mut().flatten() {
            port.app_protocol = None;
        }
        shrink(&mut self.ports);
        if reader == Reader::Speaker {
            self.metadata.uid = None;
            self.metadata.generation = None;
            // Each address says its family itself.
            self.address_type = String::new();
            for port in self.ports.iter_mut().flatten() {
                port.name = port.name.take().filter(|name| !name.is_empty());
                port.protocol = port.protocol.take().filter(|protocol| protocol != "TCP");
            }
            for endpoint in &mut self.endpoints {
                if let Some(conditions) = &mut endpoint.conditions {
                    conditions.terminating = None;
                }
            }
        }
    }
}

impl Prune for Node {
    fn prune(&mut self, _: Reader) {
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
    fn prune(&mut self, _: Reader) {
        metadata(&mut self.metadata);
        self.metadata.annotations = None;
        self.spec = None;
        self.status = None;
    }
}

/// Keeps what an object is called, and which form of it this is.
fn name_only(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        namespace: metadata.namespace.take(),
        name: metadata.name.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        ..ObjectMeta::default()
    };
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

/// The names of those but us who wrote the status, without what each wrote.
fn status_writers(entries: Vec<ManagedFieldsEntry>) -> Option<Vec<ManagedFieldsEntry>> {
    let of_status = entries.into_iter().filter(|entry| {
        entry.subresource.as_deref() == Some("status") && entry.manager.as_deref() != Some(FIELD_MANAGER)
    });
    let mut writers: Vec<ManagedFieldsEntry> = of_status
        .map(|entry| ManagedFieldsEntry {
            manager: entry.manager,
            subresource: entry.subresource,
            ..ManagedFieldsEntry::default()
        })
        .collect();
    writers.shrink_to_fit();
    Some(writers).filter(|writers| !writers.is_empty())
}

/// Lists that grew while they were read have room for four at least.
fn shrink<T>(list: &mut Option<Vec<T>>) {
    if let Some(list) = list {
        list.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
