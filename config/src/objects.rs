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

/// One object of a kind that FerroLB reads. It is shared: a copy is a pointer.
#[derive(Clone, Debug)]
pub enum Object {
    /// An AddressPool.
    AddressPool(Arc<AddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Arc<L2Advertisement>),
    /// A FloatingIP.
    FloatingIP(Arc<FloatingIP>),
    /// A VirtualIP.
    VirtualIP(Arc<VirtualIP>),
    /// A Speaker.
    Speaker(Arc<Speaker>),
    /// A core/v1 Service.
    Service(Arc<Service>),
    /// A discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice(Arc<EndpointSlice>),
    /// A core/v1 Node.
    Node(Arc<Node>),
    /// A core/v1 Namespace.
    Namespace(Arc<Namespace>),
    /// An IPAddressPool of MetalLB's.
    MetalLBPool(Arc<metallb::IPAddressPool>),
    /// An L2Advertisement of MetalLB's.
    MetalLBL2Advertisement(Arc<metallb::L2Advertisement>),
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AddressPool(one), Self::AddressPool(other)) => is_same(one, other),
            (Self::L2Advertisement(one), Self::L2Advertisement(other)) => is_same(one, other),
            (Self::FloatingIP(one), Self::FloatingIP(other)) => is_same(one, other),
            (Self::VirtualIP(one), Self::VirtualIP(other)) => is_same(one, other),
            (Self::Speaker(one), Self::Speaker(other)) => is_same(one, other),
            (Self::Service(one), Self::Service(other)) => is_same(one, other),
            (Self::EndpointSlice(one), Self::EndpointSlice(other)) => is_same(one, other),
            (Self::Node(one), Self::Node(other)) => is_same(one, other),
            (Self::Namespace(one), Self::Namespace(other)) => is_same(one, other),
            (Self::MetalLBPool(one), Self::MetalLBPool(other)) => is_same(one, other),
            (Self::MetalLBL2Advertisement(one), Self::MetalLBL2Advertisement(other)) => is_same(one, other),
            _ => false,
        }
    }
}

/// Whether two objects are alike. What is the same memory is not looked at.
fn is_same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Whether two kinds hold objects that are alike, under the same names.
fn are_same<K: PartialEq, T: PartialEq>(one: &BTreeMap<K, Arc<T>>, other: &BTreeMap<K, Arc<T>>) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((name, one), (its, other))| name == its && is_same(one, other))
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
            Self::AddressPool(object) => &mut Arc::make_mut(object).metadata,
            Self::L2Advertisement(object) => &mut Arc::make_mut(object).metadata,
            Self::FloatingIP(object) => &mut Arc::make_mut(object).metadata,
            Self::VirtualIP(object) => &mut Arc::make_mut(object).metadata,
            Self::Speaker(object) => &mut Arc::make_mut(object).metadata,
            Self::Service(object) => &mut Arc::make_mut(object).metadata,
            Self::EndpointSlice(object) => &mut Arc::make_mut(object).metadata,
            Self::Node(object) => &mut Arc::make_mut(object).metadata,
            Self::Namespace(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBPool(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBL2Advertisement(object) => &mut Arc::make_mut(object).metadata,
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
#[derive(Clone, Debug, Default)]
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

impl PartialEq for Objects {
    /// Two views of one source share most of their memory, which is not looked at.
    fn eq(&self, other: &Self) -> bool {
        let Self {
            pools,
            l2_advertisements,
            floating_ips,
            virtual_ips,
            speakers,
            services,
            endpoint_slices,
            nodes,
            namespaces,
            metallb_pools,
            metallb_l2_advertisements,
            refused,
            freshness,
        } = self;
        *freshness == other.freshness
            && *refused == other.refused
            && are_same(pools, &other.pools)
            && are_same(l2_advertisements, &other.l2_advertisements)
            && are_same(floating_ips, &other.floating_ips)
            && are_same(virtual_ips, &other.virtual_ips)
            && are_same(speakers, &other.speakers)
            && are_same(services, &other.services)
            && are_same(endpoint_slices, &other.endpoint_slices)
            && are_same(nodes, &other.nodes)
            && are_same(namespaces, &other.namespaces)
            && are_same(metallb_pools, &other.metallb_pools)
            && are_same(metallb_l2_advertisements, &other.metallb_l2_advertisements)
    }
}

impl Objects {
    /// Whether there is an object of the same kind and name.
    pub fn has_like(&self, object: &Object) -> bool {
        let ObjectRef { namespace, name, .. } = object.reference();
        let namespaced = |name| ServiceName { namespace: namespace.unwrap_or_default(), name };
        match object {
            Object::AddressPool(_) => self.pools.contains_key(&name),
            Object::L2Advertisement(_) => self.l2_advertisements.contains_key(&name),
            Object::FloatingIP(_) => self.floating_ips.contains_key(&namespaced(name)),
            Object::VirtualIP(_) => self.virtual_ips.contains_key(&name),
            Object::Speaker(_) => self.speakers.contains_key(&name),
            Object::Service(_) => self.services.contains_key(&namespaced(name)),
            Object::EndpointSlice(_) => self.endpoint_slices.contains_key(&namespaced(name)),
            Object::Node(_) => self.nodes.contains_key(&name),
            Object::Namespace(_) => self.namespaces.contains_key(&name),
            Object::MetalLBPool(_) => self.metallb_pools.contains_key(&name),
            Object::MetalLBL2Advertisement(_) => self.metallb_l2_advertisements.contains_key(&name),
        }
    }

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
            Object::AddressPool(object) => drop(self.pools.insert(name, object)),
            Object::L2Advertisement(object) => drop(self.l2_advertisements.insert(name, object)),
            Object::FloatingIP(object) => drop(self.floating_ips.insert(namespaced(name), object)),
            Object::VirtualIP(object) => drop(self.virtual_ips.insert(name, object)),
            Object::Speaker(object) => drop(self.speakers.insert(name, object)),
            Object::Service(object) => drop(self.services.insert(namespaced(name), object)),
            Object::EndpointSlice(object) => drop(self.endpoint_slices.insert(namespaced(name), object)),
            Object::Node(object) => drop(self.nodes.insert(name, object)),
            Object::Namespace(object) => drop(self.namespaces.insert(name, object)),
            Object::MetalLBPool(object) => drop(self.metallb_pools.insert(name, object)),
            Object::MetalLBL2Advertisement(object) => {
                drop(self.metallb_l2_advertisements.insert(name, object))
            }
        }
    }
}
