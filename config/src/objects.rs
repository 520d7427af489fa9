// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every object that a source delivers, as it came.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::{AddressPool, L2Advertisement, Speaker, VirtualIP};
use crate::reason::Refusal;

/// The namespace and name of a namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// The namespace; a manifest without one is in `default`.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Names one object of any kind in messages, conditions and events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// `AddressPool`, `Service`, …
    pub kind: String,
    /// `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Names a cluster-scoped object.
    pub fn cluster(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: None, name: name.into() }
    }

    /// Names a namespaced object.
    pub fn namespaced(kind: impl Into<String>, name: &ServiceName) -> Self {
        Self { kind: kind.into(), namespace: Some(name.namespace.clone()), name: name.name.clone() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Every object of a source, unvalidated, by name. Cloned on change only; shared as `Arc<Objects>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// AddressPools.
    pub pools: BTreeMap<String, AddressPool>,
    /// L2Advertisements.
    pub l2_advertisements: BTreeMap<String, L2Advertisement>,
    /// VirtualIPs: the controller's records, with the owners' status merged in.
    pub virtual_ips: BTreeMap<String, VirtualIP>,
    /// Speakers.
    pub speakers: BTreeMap<String, Speaker>,
    /// Services.
    pub services: BTreeMap<ServiceName, Service>,
    /// EndpointSlices.
    pub endpoint_slices: BTreeMap<ServiceName, EndpointSlice>,
    /// Nodes.
    pub nodes: BTreeMap<String, Node>,
    /// Namespaces.
    pub namespaces: BTreeMap<String, Namespace>,
    /// What the source itself could not use: an unreadable document, an object given twice.
    pub refused: Vec<Refusal>,
}
