// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The endpoints of a Service, gathered from its EndpointSlices.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::load_balancer::Protocol;
use crate::name::{ObjectRef, ServiceName};
use crate::objects::DEFAULT_NAMESPACE;
use crate::reason::{Reason, Refusal};

/// Names the Service that an EndpointSlice belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// One place that answers for a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// The ports that it serves, each for the Service port of the same name.
    pub ports: Vec<EndpointPort>,
    /// The node that it runs on, if known.
    pub node: Option<String>,
    /// Whether it takes new connections. Unknown counts as ready, as Kubernetes says.
    pub ready: bool,
    /// Whether it answers, be it while terminating.
    pub serving: bool,
    /// Whether it is going away.
    pub terminating: bool,
}

/// One port of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointPort {
    /// The Service port's name; empty when the Service has one unnamed port.
    pub name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port on the endpoint.
    pub port: u16,
}

/// The name of the Service that a slice belongs to; it is in the slice's namespace.
pub fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL).map(String::as_str)
}

impl Endpoint {
    /// The endpoints of one Service, from all its slices: in ascending order and each once.
    pub fn gather<'a>(
        slices: impl IntoIterator<Item = &'a EndpointSlice>,
        refused: &mut Vec<Refusal>,
    ) -> Vec<Self> {
        let mut endpoints = Vec::new();
        for slice in slices {
            read(slice, &mut endpoints, refused);
        }
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }
}

pub(super) fn build(
    slices: &BTreeMap<ServiceName, Arc<EndpointSlice>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<ServiceName, Vec<Endpoint>> {
    let mut by_service = Vec::with_capacity(slices.len());
    for (name, slice) in slices {
        match service_of(slice) {
            Some(service) => by_service.push((&name.namespace, service, name, slice.as_ref())),
            None => refused.push(of_nobody(slice)),
        }
    }
    // Sorted first, which builds the map without searching it.
    by_service.sort_by(|one, other| (one.0, one.1, one.2).cmp(&(other.0, other.1, other.2)));
    let of_one_service = by_service.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1));
    let gathered = of_one_service.filter_map(|slices| {
        let (namespace, service, ..) = slices.first()?;
        let service = ServiceName { namespace: String::clone(namespace), name: (*service).to_owned() };
        Some((service, Endpoint::gather(slices.iter().map(|(.., slice)| *slice), refused)))
    });
    gathered.collect()
}

fn of_nobody(slice: &EndpointSlice) -> Refusal {
    Refusal::warning(Reason::InvalidValue, reference(slice), "the EndpointSlice names no Service")
        .field("metadata.labels")
        .remedy(format!("Set the label {SERVICE_NAME_LABEL} to the Service's name."))
}

fn reference(slice: &EndpointSlice) -> ObjectRef {
    let metadata = &slice.metadata;
    ObjectRef {
        kind: "EndpointSlice".to_owned(),
        namespace: Some(metadata.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

fn read(slice: &EndpointSlice, endpoints: &mut Vec<Endpoint>, refused: &mut Vec<Refusal>) {
    let object = || reference(slice);
    let ports = ports(slice, &object, refused);
    for (index, endpoint) in slice.endpoints.iter().enumerate() {
        // Kubernetes gives a meaning to the first address only.
        let Some(text) = endpoint.addresses.first() else { continue };
        let Ok(address) = text.parse() else {
            refused.push(
                Refusal::error(Reason::InvalidValue, object(), format!("\"{text}\" is not an IP address"))
                    .field(format!("endpoints[{index}].addresses[0]"))
                    .remedy("Write the endpoint's IP address; host names are not resolved."),
            );
            continue;
        };
        let conditions = endpoint.conditions.as_ref();
        let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
        endpoints.push(Endpoint {
            address,
            ports: ports.clone(),
            node: endpoint.node_name.clone(),
            ready,
            serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
            terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
        });
    }
}

fn ports(
    slice: &EndpointSlice,
    object: &impl Fn() -> ObjectRef,
    refused: &mut Vec<Refusal>,
) -> Vec<EndpointPort> {
    let mut ports = Vec::new();
    for (index, port) in slice.ports.iter().flatten().enumerate() {
        // Without a number it means every port, which no load balancer can translate to.
        let Some(number) = port.port else { continue };
        let protocol = Protocol::parse(port.protocol.as_deref());
        match (u16::try_from(number), protocol) {
            (Ok(number @ 1..), Ok(protocol)) => ports.push(EndpointPort {
                name: port.name.clone().unwrap_or_default(),
                protocol,
                port: number,
            }),
            (_, Err(text)) => refused.push(
                Refusal::error(Reason::InvalidValue, object(), format!("\"{text}\" is not a protocol"))
                    .field(format!("ports[{index}].protocol"))
                    .remedy("Write TCP, UDP or SCTP."),
            ),
            _ => refused.push(
                Refusal::error(Reason::InvalidValue, object(), format!("{number} is not a port number"))
                    .field(format!("ports[{index}].port"))
                    .remedy("Write a port from 1 to 65535."),
            ),
        }
    }
    ports
}
