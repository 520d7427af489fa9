// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every object that a source delivers, as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{AddressPool, FloatingIP, L2Advertisement, Speaker, VirtualIP};
use crate::compat::{self, metallb};
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

    /// Names all objects of a kind: what holds when none of them can be read.
    pub fn every(kind: impl Into<String>) -> Self {
        Self::cluster(kind, String::new())
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
            None if self.name.is_empty() => write!(f, "every {}", self.kind),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One object of a kind that FerroLB reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// An AddressPool.
    AddressPool(Box<AddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Box<L2Advertisement>),
    /// A FloatingIP.
    FloatingIP(Box<FloatingIP>),
    /// A VirtualIP.
    VirtualIP(Box<VirtualIP>),
    /// A Speaker.
    Speaker(Box<Speaker>),
    /// A core/v1 Service.
    Service(Box<Service>),
    /// A discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice(Box<EndpointSlice>),
    /// A core/v1 Node.
    Node(Box<Node>),
    /// A core/v1 Namespace.
    Namespace(Box<Namespace>),
    /// An IPAddressPool of MetalLB's.
    MetalLBPool(Box<metallb::IPAddressPool>),
    /// An L2Advertisement of MetalLB's.
    MetalLBL2Advertisement(Box<metallb::L2Advertisement>),
}

impl Object {
    /// The kind's name, as `kind:` spells it; for kinds of MetalLB's with the group.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AddressPool(_) => "AddressPool",
            Self::L2Advertisement(_) => "L2Advertisement",
            Self::FloatingIP(_) => "FloatingIP",
            Self::VirtualIP(_) => "VirtualIP",
            Self::Speaker(_) => "Speaker",
            Self::Service(_) => "Service",
            Self::EndpointSlice(_) => "EndpointSlice",
            Self::Node(_) => "Node",
            Self::Namespace(_) => "Namespace",
            Self::MetalLBPool(_) => compat::POOL,
            Self::MetalLBL2Advertisement(_) => compat::L2_ADVERTISEMENT,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::AddressPool(object) => &object.metadata,
            Self::L2Advertisement(object) => &object.metadata,
            Self::FloatingIP(object) => &object.metadata,
            Self::VirtualIP(object) => &object.metadata,
            Self::Speaker(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
            Self::MetalLBPool(object) => &object.metadata,
            Self::MetalLBL2Advertisement(object) => &object.metadata,
        }
    }

    /// Its metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::AddressPool(object) => &mut object.metadata,
            Self::L2Advertisement(object) => &mut object.metadata,
            Self::FloatingIP(object) => &mut object.metadata,
            Self::VirtualIP(object) => &mut object.metadata,
            Self::Speaker(object) => &mut object.metadata,
            Self::Service(object) => &mut object.metadata,
            Self::EndpointSlice(object) => &mut object.metadata,
            Self::Node(object) => &mut object.metadata,
            Self::Namespace(object) => &mut object.metadata,
            Self::MetalLBPool(object) => &mut object.metadata,
            Self::MetalLBL2Advertisement(object) => &mut object.metadata,
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(&self) -> bool {
        match self {
            Self::Service(_) | Self::EndpointSlice(_) | Self::FloatingIP(_) => true,
            Self::MetalLBPool(_) | Self::MetalLBL2Advertisement(_) => true,
            Self::AddressPool(_) | Self::L2Advertisement(_) | Self::VirtualIP(_) => false,
            Self::Speaker(_) | Self::Node(_) | Self::Namespace(_) => false,
        }
    }

    /// Its kind, namespace and name; an object of a namespaced kind without a namespace is in `default`.
    pub fn reference(&self) -> ObjectRef {
        let metadata = self.metadata();
        let namespace = || metadata.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        ObjectRef {
            kind: self.kind().to_owned(),
            namespace: self.is_namespaced().then(namespace),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

/// The namespace of a manifest that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Every object of a source, unvalidated, by name. Each object is shared: a copy of the whole, made on every change,
/// copies names and pointers only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// AddressPools.
    pub pools: BTreeMap<String, Arc<AddressPool>>,
    /// L2Advertisements.
    pub l2_advertisements: BTreeMap<String, Arc<L2Advertisement>>,
    /// FloatingIPs.
    pub floating_ips: BTreeMap<ServiceName, Arc<FloatingIP>>,
    /// VirtualIPs: the controller's records, with the owners' status merged in.
    pub virtual_ips: BTreeMap<String, Arc<VirtualIP>>,
    /// Speakers.
    pub speakers: BTreeMap<String, Arc<Speaker>>,
    /// Services.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// EndpointSlices.
    pub endpoint_slices: BTreeMap<ServiceName, Arc<EndpointSlice>>,
    /// Nodes.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// Namespaces.
    pub namespaces: BTreeMap<String, Arc<Namespace>>,
    /// IPAddressPools of MetalLB's; all of its objects are in one namespace.
    pub metallb_pools: BTreeMap<String, Arc<metallb::IPAddressPool>>,
    /// L2Advertisements of MetalLB's.
    pub metallb_l2_advertisements: BTreeMap<String, Arc<metallb::L2Advertisement>>,
    /// What the source itself could not use: an unreadable document, an object given twice.
    pub refused: Vec<Refusal>,
    /// How far the view can be trusted to be current and whole.
    pub freshness: Freshness,
}

/// How far a view can be trusted. The default, which a folder always has: current and whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Since when the source has been out of reach for at least one kind: the view is the last one known, maybe from
    /// another life of the process. `None`: it follows the source.
    pub stale_since: Option<Timestamp>,
    /// Kinds of which nothing could be read yet, as `kind:` spells them. That the view holds none of them says
    /// nothing, so nobody may give or take an address because of it.
    pub unknown: BTreeSet<&'static str>,
}

impl Freshness {
    /// Whether the view is current and holds every kind.
    pub fn is_whole(&self) -> bool {
        self.stale_since.is_none() && self.unknown.is_empty()
    }
}

impl Objects {
    /// The metadata of the object that `object` names, if it is there.
    pub fn metadata(&self, object: &ObjectRef) -> Option<&ObjectMeta> {
        let ObjectRef { kind, namespace, name } = object;
        let namespaced =
            || ServiceName { namespace: namespace.clone().unwrap_or_default(), name: name.clone() };
        match kind.as_str() {
            "AddressPool" => self.pools.get(name).map(|object| &object.metadata),
            "L2Advertisement" => self.l2_advertisements.get(name).map(|object| &object.metadata),
            "FloatingIP" => self.floating_ips.get(&namespaced()).map(|object| &object.metadata),
            "VirtualIP" => self.virtual_ips.get(name).map(|object| &object.metadata),
            "Speaker" => self.speakers.get(name).map(|object| &object.metadata),
            "Service" => self.services.get(&namespaced()).map(|object| &object.metadata),
            "EndpointSlice" => self.endpoint_slices.get(&namespaced()).map(|object| &object.metadata),
            "Node" => self.nodes.get(name).map(|object| &object.metadata),
            "Namespace" => self.namespaces.get(name).map(|object| &object.metadata),
            _ => None,
        }
    }

    /// Adds `object` under its name and namespace; one of the same kind and name is replaced.
    pub fn insert(&mut self, object: Object) {
        let ObjectRef { namespace, name, .. } = object.reference();
        let namespaced = |name| ServiceName { namespace: namespace.unwrap_or_default(), name };
        match object {
            Object::AddressPool(object) => drop(self.pools.insert(name, Arc::from(object))),
            Object::L2Advertisement(object) => drop(self.l2_advertisements.insert(name, Arc::from(object))),
            Object::FloatingIP(object) => drop(self.floating_ips.insert(namespaced(name), Arc::from(object))),
            Object::VirtualIP(object) => drop(self.virtual_ips.insert(name, Arc::from(object))),
            Object::Speaker(object) => drop(self.speakers.insert(name, Arc::from(object))),
            Object::Service(object) => drop(self.services.insert(namespaced(name), Arc::from(object))),
            Object::EndpointSlice(object) => {
                drop(self.endpoint_slices.insert(namespaced(name), Arc::from(object)))
            }
            Object::Node(object) => drop(self.nodes.insert(name, Arc::from(object))),
            Object::Namespace(object) => drop(self.namespaces.insert(name, Arc::from(object))),
            Object::MetalLBPool(object) => drop(self.metallb_pools.insert(name, Arc::from(object))),
            Object::MetalLBL2Advertisement(object) => {
                drop(self.metallb_l2_advertisements.insert(name, Arc::from(object)))
            }
        }
    }
}
