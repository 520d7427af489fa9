// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds that are watched: where the API server has them, and how they are told apart in a view.

use ::kube::Resource;
use ferrolb_config::api::{AddressPool, FloatingIP, L2Advertisement, Speaker, VirtualIP};
use ferrolb_config::compat::{self, metallb};
use ferrolb_config::{Object, Objects, ServiceName};
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{Interest, KubeOptions};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    AddressPool,
    L2Advertisement,
    FloatingIP,
    VirtualIP,
    Speaker,
    Service,
    EndpointSlice,
    Node,
    Namespace,
    MetalLBPool,
    MetalLBL2Advertisement,
}

impl Kind {
    /// Every kind of ours and of Kubernetes.
    pub(crate) const ALL: [Self; 9] = [
        Self::AddressPool,
        Self::L2Advertisement,
        Self::FloatingIP,
        Self::VirtualIP,
        Self::Speaker,
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::Namespace,
    ];

    /// MetalLB's.
    const METALLB: [Self; 2] = [Self::MetalLBPool, Self::MetalLBL2Advertisement];

    /// The kinds that whoever watches needs, and how much of each.
    pub(crate) fn wanted(interest: &Interest, options: &KubeOptions) -> Vec<(Self, Scope)> {
        let scope = |kind| match (kind, interest) {
            // Who answers for a Service is nothing to the one who gives it an address.
            (Self::EndpointSlice, Interest::Controller) => None,
            (Self::Speaker, Interest::Speaker { node }) => Some((kind, Scope::Named(node.clone()))),
            (Self::EndpointSlice | Self::Node | Self::Namespace, Interest::Onlooker) => None,
            (
                _,
                Interest::Controller | Interest::Speaker { .. } | Interest::Onlooker | Interest::Operator,
            ) => Some((kind, Scope::All)),
        };
        let ours = Self::ALL.into_iter().filter_map(scope);
        let theirs = options.metallb_namespace.iter();
        let theirs =
            theirs.flat_map(|within| Self::METALLB.map(|kind| (kind, Scope::Within(within.clone()))));
        ours.chain(theirs).collect()
    }

    /// As `kind:` spells it; for kinds of MetalLB's with the group.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AddressPool => "AddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::FloatingIP => "FloatingIP",
            Self::VirtualIP => "VirtualIP",
            Self::Speaker => "Speaker",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::MetalLBPool => compat::POOL,
            Self::MetalLBL2Advertisement => compat::L2_ADVERTISEMENT,
        }
    }

    /// The resource's plural name, as RBAC spells it.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::AddressPool => "addresspools",
            Self::L2Advertisement => "l2advertisements",
            Self::FloatingIP => "floatingips",
            Self::VirtualIP => "virtualips",
            Self::Speaker => "speakers",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::MetalLBPool => "ipaddresspools.metallb.io",
            Self::MetalLBL2Advertisement => "l2advertisements.metallb.io",
        }
    }

    /// Where the API server lists the kind, over all namespaces.
    pub(crate) fn path(self) -> String {
        fn of<K: Resource<DynamicType = ()>>() -> String {
            K::url_path(&(), None)
        }
        match self {
            Self::AddressPool => of::<AddressPool>(),
            Self::L2Advertisement => of::<L2Advertisement>(),
            Self::FloatingIP => of::<FloatingIP>(),
            Self::VirtualIP => of::<VirtualIP>(),
            Self::Speaker => of::<Speaker>(),
            Self::Service => of::<Service>(),
            Self::EndpointSlice => of::<EndpointSlice>(),
            Self::Node => of::<Node>(),
            Self::Namespace => of::<Namespace>(),
            Self::MetalLBPool => of::<metallb::IPAddressPool>(),
            Self::MetalLBL2Advertisement => of::<metallb::L2Advertisement>(),
        }
    }

    /// Where the API server lists the kind in one namespace.
    pub(crate) fn path_within(self, namespace: &str) -> String {
        let all = self.path();
        match all.rsplit_once('/') {
            Some((api, plural)) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => all,
        }
    }

    /// Whether a CustomResourceDefinition of ours makes the kind.
    pub(crate) fn is_own(self) -> bool {
        matches!(
            self,
            Self::AddressPool | Self::L2Advertisement | Self::FloatingIP | Self::VirtualIP | Self::Speaker
        )
    }

    /// Whether it is a kind of MetalLB's.
    pub(crate) fn is_metallbs(self) -> bool {
        Self::METALLB.contains(&self)
    }

    /// Whether objects of the kind live in a namespace.
    pub(crate) fn is_namespaced(self) -> bool {
        matches!(self, Self::Service | Self::EndpointSlice | Self::FloatingIP) || self.is_metallbs()
    }

    /// Whether FerroLB never writes objects of the kind, so that their resourceVersion is of no use.
    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::EndpointSlice | Self::Node | Self::Namespace) || self.is_metallbs()
    }

    /// The kind of `object`.
    pub(crate) fn of_object(object: &Object) -> Self {
        match object {
            Object::AddressPool(_) => Self::AddressPool,
            Object::L2Advertisement(_) => Self::L2Advertisement,
            Object::FloatingIP(_) => Self::FloatingIP,
            Object::VirtualIP(_) => Self::VirtualIP,
            Object::Speaker(_) => Self::Speaker,
            Object::Service(_) => Self::Service,
            Object::EndpointSlice(_) => Self::EndpointSlice,
            Object::Node(_) => Self::Node,
            Object::Namespace(_) => Self::Namespace,
            Object::MetalLBPool(_) => Self::MetalLBPool,
            Object::MetalLBL2Advertisement(_) => Self::MetalLBL2Advertisement,
        }
    }
}

/// Which objects of a kind are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    All,
    /// The one with this name.
    Named(String),
    /// Those in this namespace.
    Within(String),
}

/// The name of one object among those of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// Empty for an object of a cluster-scoped kind.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Name {
    /// The name of `object`.
    pub(crate) fn of(object: &Object) -> Self {
        let reference = object.reference();
        Self { namespace: reference.namespace.unwrap_or_default(), name: reference.name }
    }

    fn service_name(&self) -> ServiceName {
        ServiceName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// What tells two forms of one object apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// The stamp of the object of that kind and name in `objects`, if there is one.
pub(crate) fn stamp(objects: &Objects, kind: Kind, name: &Name) -> Option<Stamp> {
    let metadata = match kind {
        Kind::AddressPool => &objects.pools.get(&name.name)?.metadata,
        Kind::L2Advertisement => &objects.l2_advertisements.get(&name.name)?.metadata,
        Kind::FloatingIP => &objects.floating_ips.get(&name.service_name())?.metadata,
        Kind::VirtualIP => &objects.virtual_ips.get(&name.name)?.metadata,
        Kind::Speaker => &objects.speakers.get(&name.name)?.metadata,
        Kind::Service => &objects.services.get(&name.service_name())?.metadata,
        Kind::EndpointSlice => &objects.endpoint_slices.get(&name.service_name())?.metadata,
        Kind::Node => &objects.nodes.get(&name.name)?.metadata,
        Kind::Namespace => &objects.namespaces.get(&name.name)?.metadata,
        Kind::MetalLBPool => &objects.metallb_pools.get(&name.name)?.metadata,
        Kind::MetalLBL2Advertisement => &objects.metallb_l2_advertisements.get(&name.name)?.metadata,
    };
    Some(Stamp { uid: metadata.uid.clone(), version: metadata.resource_version.clone() })
}

/// Takes one object out of `objects`; `false` if it was not there.
pub(crate) fn remove(objects: &mut Objects, kind: Kind, name: &Name) -> bool {
    match kind {
        Kind::AddressPool => objects.pools.remove(&name.name).is_some(),
        Kind::L2Advertisement => objects.l2_advertisements.remove(&name.name).is_some(),
        Kind::FloatingIP => objects.floating_ips.remove(&name.service_name()).is_some(),
        Kind::VirtualIP => objects.virtual_ips.remove(&name.name).is_some(),
        Kind::Speaker => objects.speakers.remove(&name.name).is_some(),
        Kind::Service => objects.services.remove(&name.service_name()).is_some(),
        Kind::EndpointSlice => objects.endpoint_slices.remove(&name.service_name()).is_some(),
        Kind::Node => objects.nodes.remove(&name.name).is_some(),
        Kind::Namespace => objects.namespaces.remove(&name.name).is_some(),
        Kind::MetalLBPool => objects.metallb_pools.remove(&name.name).is_some(),
        Kind::MetalLBL2Advertisement => objects.metallb_l2_advertisements.remove(&name.name).is_some(),
    }
}

/// Copies one object, or its absence, from one view to another.
pub(crate) fn copy(from: &Objects, to: &mut Objects, kind: Kind, name: &Name) {
    fn one<K: Ord + Clone, T: Clone>(
        from: &std::collections::BTreeMap<K, T>,
        to: &mut std::collections::BTreeMap<K, T>,
        key: &K,
    ) {
        match from.get(key) {
            Some(object) => drop(to.insert(key.clone(), object.clone())),
            None => drop(to.remove(key)),
        }
    }
    match kind {
        Kind::AddressPool => one(&from.pools, &mut to.pools, &name.name),
        Kind::L2Advertisement => one(&from.l2_advertisements, &mut to.l2_advertisements, &name.name),
        Kind::FloatingIP => one(&from.floating_ips, &mut to.floating_ips, &name.service_name()),
        Kind::VirtualIP => one(&from.virtual_ips, &mut to.virtual_ips, &name.name),
        Kind::Speaker => one(&from.speakers, &mut to.speakers, &name.name),
        Kind::Service => one(&from.services, &mut to.services, &name.service_name()),
        Kind::EndpointSlice => one(&from.endpoint_slices, &mut to.endpoint_slices, &name.service_name()),
        Kind::Node => one(&from.nodes, &mut to.nodes, &name.name),
        Kind::Namespace => one(&from.namespaces, &mut to.namespaces, &name.name),
        Kind::MetalLBPool => one(&from.metallb_pools, &mut to.metallb_pools, &name.name),
        Kind::MetalLBL2Advertisement => {
            one(&from.metallb_l2_advertisements, &mut to.metallb_l2_advertisements, &name.name)
        }
    }
}

/// Exchanges all objects of `kind` between two views.
pub(crate) fn swap(one: &mut Objects, other: &mut Objects, kind: Kind) {
    use std::mem::swap;
    match kind {
        Kind::AddressPool => swap(&mut one.pools, &mut other.pools),
        Kind::L2Advertisement => swap(&mut one.l2_advertisements, &mut other.l2_advertisements),
        Kind::FloatingIP => swap(&mut one.floating_ips, &mut other.floating_ips),
        Kind::VirtualIP => swap(&mut one.virtual_ips, &mut other.virtual_ips),
        Kind::Speaker => swap(&mut one.speakers, &mut other.speakers),
        Kind::Service => swap(&mut one.services, &mut other.services),
        Kind::EndpointSlice => swap(&mut one.endpoint_slices, &mut other.endpoint_slices),
        Kind::Node => swap(&mut one.nodes, &mut other.nodes),
        Kind::Namespace => swap(&mut one.namespaces, &mut other.namespaces),
        Kind::MetalLBPool => swap(&mut one.metallb_pools, &mut other.metallb_pools),
        Kind::MetalLBL2Advertisement => {
            swap(&mut one.metallb_l2_advertisements, &mut other.metallb_l2_advertisements)
        }
    }
}

/// Whether two views hold the same objects of `kind`.
pub(crate) fn is_same(one: &Objects, other: &Objects, kind: Kind) -> bool {
    match kind {
        Kind::AddressPool => one.pools == other.pools,
        Kind::L2Advertisement => one.l2_advertisements == other.l2_advertisements,
        Kind::FloatingIP => one.floating_ips == other.floating_ips,
        Kind::VirtualIP => one.virtual_ips == other.virtual_ips,
        Kind::Speaker => one.speakers == other.speakers,
        Kind::Service => one.services == other.services,
        Kind::EndpointSlice => one.endpoint_slices == other.endpoint_slices,
        Kind::Node => one.nodes == other.nodes,
        Kind::Namespace => one.namespaces == other.namespaces,
        Kind::MetalLBPool => one.metallb_pools == other.metallb_pools,
        Kind::MetalLBL2Advertisement => one.metallb_l2_advertisements == other.metallb_l2_advertisements,
    }
}

/// How many objects of `kind` there are.
pub(crate) fn count(objects: &Objects, kind: Kind) -> usize {
    match kind {
        Kind::AddressPool => objects.pools.len(),
        Kind::L2Advertisement => objects.l2_advertisements.len(),
        Kind::FloatingIP => objects.floating_ips.len(),
        Kind::VirtualIP => objects.virtual_ips.len(),
        Kind::Speaker => objects.speakers.len(),
        Kind::Service => objects.services.len(),
        Kind::EndpointSlice => objects.endpoint_slices.len(),
        Kind::Node => objects.nodes.len(),
        Kind::Namespace => objects.namespaces.len(),
        Kind::MetalLBPool => objects.metallb_pools.len(),
        Kind::MetalLBL2Advertisement => objects.metallb_l2_advertisements.len(),
    }
}

/// Whether `object` is what `objects` hold of it but for its resourceVersion: what was pruned away has changed.
pub(crate) fn differs_by_version_only(objects: &Objects, object: &Object) -> bool {
    let name = Name::of(object);
    let mut aligned = object.clone();
    aligned.metadata_mut().resource_version =
        stamp(objects, Kind::of_object(object), &name).and_then(|held| held.version);
    match &aligned {
        Object::EndpointSlice(object) => {
            objects.endpoint_slices.get(&name.service_name()).is_some_and(|held| **held == **object)
        }
        Object::Node(object) => objects.nodes.get(&name.name).is_some_and(|held| **held == **object),
        Object::Namespace(object) => {
            objects.namespaces.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBPool(object) => {
            objects.metallb_pools.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBL2Advertisement(object) => {
            objects.metallb_l2_advertisements.get(&name.name).is_some_and(|held| **held == **object)
        }
        _ => false,
    }
}
