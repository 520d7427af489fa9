// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds that are watched: where the API server has them, and how they are told apart in a view.

mod held;

use ::kube::Resource;
use ferrolb_config::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP,
};
use ferrolb_config::compat::{self, metallb};
use ferrolb_config::{Object, ServiceName};
use k8s_openapi::api::core::v1::{Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

pub(crate) use held::{Stamp, copy, count, differs_by_version_only, is_same, remove, stamp, swap};

use super::{Interest, KubeOptions};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    AddressPool,
    L2Advertisement,
    BGPPeer,
    BGPAdvertisement,
    BFDProfile,
    Community,
    FloatingIP,
    VirtualIP,
    Speaker,
    Service,
    EndpointSlice,
    Node,
    Namespace,
    Secret,
    MetalLBPool,
    MetalLBL2Advertisement,
    MetalLBBGPPeer,
    MetalLBBGPAdvertisement,
    MetalLBBFDProfile,
    MetalLBCommunity,
    MetalLBSecret,
}

impl Kind {
    /// Every kind of ours and of Kubernetes.
    pub(crate) const ALL: [Self; 14] = [
        Self::AddressPool,
        Self::L2Advertisement,
        Self::BGPPeer,
        Self::BGPAdvertisement,
        Self::BFDProfile,
        Self::Community,
        Self::FloatingIP,
        Self::VirtualIP,
        Self::Speaker,
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
        Self::Namespace,
        Self::Secret,
    ];

    /// MetalLB's.
    const METALLB: [Self; 7] = [
        Self::MetalLBPool,
        Self::MetalLBL2Advertisement,
        Self::MetalLBBGPPeer,
        Self::MetalLBBGPAdvertisement,
        Self::MetalLBBFDProfile,
        Self::MetalLBCommunity,
        Self::MetalLBSecret,
    ];

    /// The kinds that whoever watches needs, and how much of each.
    pub(crate) fn wanted(interest: &Interest, options: &KubeOptions) -> Vec<(Self, Scope)> {
        let scope = |kind| match (kind, interest) {
            // Who answers for a Service is nothing to the one who gives it an address.
            (Self::EndpointSlice, Interest::Controller) => None,
            (Self::Speaker, Interest::Speaker { node }) => Some((kind, Scope::Named(node.clone()))),
            (Self::Secret, Interest::Speaker { .. }) => {
                Some((kind, Scope::Passwords(options.namespace.clone())))
            }
            // Who speaks to no router has no use for passwords.
            (Self::Secret, _) => None,
            (Self::EndpointSlice | Self::Node | Self::Namespace, Interest::Onlooker) => None,
            // Nobody moves an address from one router's neighbour to another.
            (
                Self::BGPPeer | Self::BGPAdvertisement | Self::BFDProfile | Self::Community,
                Interest::Operator,
            ) => None,
            (
                _,
                Interest::Controller | Interest::Speaker { .. } | Interest::Onlooker | Interest::Operator,
            ) => Some((kind, Scope::All)),
        };
        let ours = Self::ALL.into_iter().filter_map(scope);
        let is_speaker = matches!(interest, Interest::Speaker { .. });
        let theirs = options.metallb_namespace.iter().flat_map(|within| {
            let wanted = Self::METALLB.into_iter().filter(|kind| is_speaker || *kind != Self::MetalLBSecret);
            wanted.map(|kind| match kind {
                Self::MetalLBSecret => (kind, Scope::Passwords(within.clone())),
                _ => (kind, Scope::Within(within.clone())),
            })
        });
        ours.chain(theirs).collect()
    }

    /// As `kind:` spells it; for kinds of MetalLB's with the group.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AddressPool => "AddressPool",
            Self::L2Advertisement => "L2Advertisement",
            Self::BGPPeer => "BGPPeer",
            Self::BGPAdvertisement => "BGPAdvertisement",
            Self::BFDProfile => "BFDProfile",
            Self::Community => "Community",
            Self::FloatingIP => "FloatingIP",
            Self::VirtualIP => "VirtualIP",
            Self::Speaker => "Speaker",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::Namespace => "Namespace",
            Self::Secret => "Secret",
            Self::MetalLBSecret => compat::SECRET,
            Self::MetalLBPool => compat::POOL,
            Self::MetalLBL2Advertisement => compat::L2_ADVERTISEMENT,
            Self::MetalLBBGPPeer => compat::BGP_PEER,
            Self::MetalLBBGPAdvertisement => compat::BGP_ADVERTISEMENT,
            Self::MetalLBBFDProfile => compat::BFD_PROFILE,
            Self::MetalLBCommunity => compat::COMMUNITY,
        }
    }

    /// The resource's plural name, as RBAC spells it.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::AddressPool => "addresspools",
            Self::L2Advertisement => "l2advertisements",
            Self::BGPPeer => "bgppeers",
            Self::BGPAdvertisement => "bgpadvertisements",
            Self::BFDProfile => "bfdprofiles",
            Self::Community => "communities",
            Self::FloatingIP => "floatingips",
            Self::VirtualIP => "virtualips",
            Self::Speaker => "speakers",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::Secret | Self::MetalLBSecret => "secrets",
            Self::MetalLBPool => "ipaddresspools.metallb.io",
            Self::MetalLBL2Advertisement => "l2advertisements.metallb.io",
            Self::MetalLBBGPPeer => "bgppeers.metallb.io",
            Self::MetalLBBGPAdvertisement => "bgpadvertisements.metallb.io",
            Self::MetalLBBFDProfile => "bfdprofiles.metallb.io",
            Self::MetalLBCommunity => "communities.metallb.io",
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
            Self::BGPPeer => of::<BGPPeer>(),
            Self::BGPAdvertisement => of::<BGPAdvertisement>(),
            Self::BFDProfile => of::<BFDProfile>(),
            Self::Community => of::<Community>(),
            Self::FloatingIP => of::<FloatingIP>(),
            Self::VirtualIP => of::<VirtualIP>(),
            Self::Speaker => of::<Speaker>(),
            Self::Service => of::<Service>(),
            Self::EndpointSlice => of::<EndpointSlice>(),
            Self::Node => of::<Node>(),
            Self::Namespace => of::<Namespace>(),
            Self::Secret | Self::MetalLBSecret => of::<Secret>(),
            Self::MetalLBPool => of::<metallb::IPAddressPool>(),
            Self::MetalLBL2Advertisement => of::<metallb::L2Advertisement>(),
            Self::MetalLBBGPPeer => of::<metallb::BGPPeer>(),
            Self::MetalLBBGPAdvertisement => of::<metallb::BGPAdvertisement>(),
            Self::MetalLBBFDProfile => of::<metallb::BFDProfile>(),
            Self::MetalLBCommunity => of::<metallb::Community>(),
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
            Self::AddressPool
                | Self::L2Advertisement
                | Self::BGPPeer
                | Self::BGPAdvertisement
                | Self::BFDProfile
                | Self::Community
                | Self::FloatingIP
                | Self::VirtualIP
                | Self::Speaker
        )
    }

    /// Whether it is a kind of MetalLB's.
    pub(crate) fn is_metallbs(self) -> bool {
        Self::METALLB.contains(&self)
    }

    /// Whether objects of the kind live in a namespace.
    pub(crate) fn is_namespaced(self) -> bool {
        matches!(self, Self::Service | Self::EndpointSlice | Self::FloatingIP | Self::Secret)
            || self.is_metallbs()
    }

    /// Whether FerroLB never writes objects of the kind, so that their resourceVersion is of no use.
    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::EndpointSlice | Self::Node | Self::Namespace | Self::Secret)
            || self.is_metallbs()
    }

    /// The kind of `object`.
    pub(crate) fn of_object(object: &Object) -> Self {
        match object {
            Object::AddressPool(_) => Self::AddressPool,
            Object::L2Advertisement(_) => Self::L2Advertisement,
            Object::BGPPeer(_) => Self::BGPPeer,
            Object::BGPAdvertisement(_) => Self::BGPAdvertisement,
            Object::BFDProfile(_) => Self::BFDProfile,
            Object::Community(_) => Self::Community,
            Object::FloatingIP(_) => Self::FloatingIP,
            Object::VirtualIP(_) => Self::VirtualIP,
            Object::Speaker(_) => Self::Speaker,
            Object::Service(_) => Self::Service,
            Object::EndpointSlice(_) => Self::EndpointSlice,
            Object::Node(_) => Self::Node,
            Object::Namespace(_) => Self::Namespace,
            Object::Secret(_) => Self::Secret,
            Object::MetalLBSecret(_) => Self::MetalLBSecret,
            Object::MetalLBPool(_) => Self::MetalLBPool,
            Object::MetalLBL2Advertisement(_) => Self::MetalLBL2Advertisement,
            Object::MetalLBBGPPeer(_) => Self::MetalLBBGPPeer,
            Object::MetalLBBGPAdvertisement(_) => Self::MetalLBBGPAdvertisement,
            Object::MetalLBBFDProfile(_) => Self::MetalLBBFDProfile,
            Object::MetalLBCommunity(_) => Self::MetalLBCommunity,
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
    /// Those in this namespace that hold a name and a password.
    Passwords(String),
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
