// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The endpoints of a Service, gathered from its EndpointSlices.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::load_balancer::Protocol;
use crate::objects::{ObjectRef, ServiceName};
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

pub(super) fn build(
    slices: &BTreeMap<ServiceName, Arc<EndpointSlice>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<ServiceName, Vec<Endpoint>> {
    let mut by_slice = Vec::with_capacity(slices.len());
    for (name, slice) in slices {
        let object = || ObjectRef::namespaced("EndpointSlice", name);
        let Some(service) = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL))
        else {
            refused.push(
                Refusal::warning(Reason::InvalidValue, object(), "the EndpointSlice names no Service")
                    .field("metadata.labels")
                    .remedy(format!("Set the label {SERVICE_NAME_LABEL} to the Service's name.")),
            );
            continue;
        };
        let service = ServiceName { namespace: name.namespace.clone(), name: service.clone() };
        let mut of_slice = Vec::with_capacity(slice.endpoints.len());
        let ports = ports(slice, &object, refused);
        for (index, endpoint) in slice.endpoints.iter().enumerate() {
            // Kubernetes gives a meaning to the first address only.
            let Some(text) = endpoint.addresses.first() else { continue };
            let Ok(address) = text.parse() else {
                refused.push(
                    Refusal::error(
                        Reason::InvalidValue,
                        object(),
                        format!("\"{text}\" is not an IP address"),
                    )
                    .field(format!("endpoints[{index}].addresses[0]"))
                    .remedy("Write the endpoint's IP address; host names are not resolved."),
                );
                continue;
            };
            let conditions = endpoint.conditions.as_ref();
            let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
            of_slice.push(Endpoint {
                address,
                ports: ports.clone(),
                node: endpoint.node_name.clone(),
                ready,
                serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
                terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
            });
        }
        by_slice.push((service, of_slice));
    }
    gather(by_slice)
}

/// Brings the slices of each Service together. Sorted first, which builds the map without searching it.
fn gather(mut by_slice: Vec<(ServiceName, Vec<Endpoint>)>) -> BTreeMap<ServiceName, Vec<Endpoint>> {
    by_slice.sort();
    let mut by_service: Vec<(ServiceName, Vec<Endpoint>)> = Vec::with_capacity(by_slice.len());
    for (service, of_slice) in by_slice {
        match by_service.last_mut() {
            Some((last, endpoints)) if *last == service => endpoints.extend(of_slice),
            _ => by_service.push((service, of_slice)),
        }
    }
    for (_, endpoints) in &mut by_service {
        endpoints.sort();
        endpoints.dedup();
    }
    by_service.into_iter().collect()
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
