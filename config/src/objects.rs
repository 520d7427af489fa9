// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every object that a source delivers, as it came.

mod freshness;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP,
};
use crate::compat::{self, metallb};
use crate::name::{ObjectRef, ServiceName};
use crate::reason::Refusal;

pub use freshness::Freshness;

/// One object of a kind that FerroLB reads. It is shared: a copy is a pointer.
#[derive(Clone, Debug)]
pub enum Object {
    /// An AddressPool.
    AddressPool(Arc<AddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Arc<L2Advertisement>),
    /// A BGPPeer.
    BGPPeer(Arc<BGPPeer>),
    /// A BGPAdvertisement.
    BGPAdvertisement(Arc<BGPAdvertisement>),
    /// A BFDProfile.
    BFDProfile(Arc<BFDProfile>),
    /// A Community.
    Community(Arc<Community>),
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
    /// A core/v1 Secret of the namespace that FerroLB is installed in.
    Secret(Arc<Secret>),
    /// An IPAddressPool of MetalLB's.
    MetalLBPool(Arc<metallb::IPAddressPool>),
    /// An L2Advertisement of MetalLB's.
    MetalLBL2Advertisement(Arc<metallb::L2Advertisement>),
    /// An BGPPeer of MetalLB's.
    MetalLBBGPPeer(Arc<metallb::BGPPeer>),
    /// An BGPAdvertisement of MetalLB's.
    MetalLBBGPAdvertisement(Arc<metallb::BGPAdvertisement>),
    /// An BFDProfile of MetalLB's.
    MetalLBBFDProfile(Arc<metallb::BFDProfile>),
    /// An Community of MetalLB's.
    MetalLBCommunity(Arc<metallb::Community>),
    /// A core/v1 Secret of MetalLB's namespace.
    MetalLBSecret(Arc<Secret>),
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AddressPool(one), Self::AddressPool(other)) => is_same(one, other),
            (Self::L2Advertisement(one), Self::L2Advertisement(other)) => is_same(one, other),
            (Self::BGPPeer(one), Self::BGPPeer(other)) => is_same(one, other),
            (Self::BGPAdvertisement(one), Self::BGPAdvertisement(other)) => is_same(one, other),
            (Self::BFDProfile(one), Self::BFDProfile(other)) => is_same(one, other),
            (Self::Community(one), Self::Community(other)) => is_same(one, other),
            (Self::FloatingIP(one), Self::FloatingIP(other)) => is_same(one, other),
            (Self::VirtualIP(one), Self::VirtualIP(other)) => is_same(one, other),
            (Self::Speaker(one), Self::Speaker(other)) => is_same(one, other),
            (Self::Service(one), Self::Service(other)) => is_same(one, other),
            (Self::EndpointSlice(one), Self::EndpointSlice(other)) => is_same(one, other),
            (Self::Node(one), Self::Node(other)) => is_same(one, other),
            (Self::Namespace(one), Self::Namespace(other)) => is_same(one, other),
            (Self::Secret(one), Self::Secret(other)) => is_same(one, other),
            (Self::MetalLBSecret(one), Self::MetalLBSecret(other)) => is_same(one, other),
            (Self::MetalLBPool(one), Self::MetalLBPool(other)) => is_same(one, other),
            (Self::MetalLBL2Advertisement(one), Self::MetalLBL2Advertisement(other)) => is_same(one, other),
            (Self::MetalLBBGPPeer(one), Self::MetalLBBGPPeer(other)) => is_same(one, other),
            (Self::MetalLBBGPAdvertisement(one), Self::MetalLBBGPAdvertisement(other)) => is_same(one, other),
            (Self::MetalLBBFDProfile(one), Self::MetalLBBFDProfile(other)) => is_same(one, other),
            (Self::MetalLBCommunity(one), Self::MetalLBCommunity(other)) => is_same(one, other),
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
            Self::BGPPeer(_) => "BGPPeer",
            Self::BGPAdvertisement(_) => "BGPAdvertisement",
            Self::BFDProfile(_) => "BFDProfile",
            Self::Community(_) => "Community",
            Self::FloatingIP(_) => "FloatingIP",
            Self::VirtualIP(_) => "VirtualIP",
            Self::Speaker(_) => "Speaker",
            Self::Service(_) => "Service",
            Self::EndpointSlice(_) => "EndpointSlice",
            Self::Node(_) => "Node",
            Self::Namespace(_) => "Namespace",
            Self::Secret(_) => "Secret",
            Self::MetalLBSecret(_) => compat::SECRET,
            Self::MetalLBPool(_) => compat::POOL,
            Self::MetalLBL2Advertisement(_) => compat::L2_ADVERTISEMENT,
            Self::MetalLBBGPPeer(_) => compat::BGP_PEER,
            Self::MetalLBBGPAdvertisement(_) => compat::BGP_ADVERTISEMENT,
            Self::MetalLBBFDProfile(_) => compat::BFD_PROFILE,
            Self::MetalLBCommunity(_) => compat::COMMUNITY,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::AddressPool(object) => &object.metadata,
            Self::L2Advertisement(object) => &object.metadata,
            Self::BGPPeer(object) => &object.metadata,
            Self::BGPAdvertisement(object) => &object.metadata,
            Self::BFDProfile(object) => &object.metadata,
            Self::Community(object) => &object.metadata,
            Self::FloatingIP(object) => &object.metadata,
            Self::VirtualIP(object) => &object.metadata,
            Self::Speaker(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
            Self::Secret(object) | Self::MetalLBSecret(object) => &object.metadata,
            Self::MetalLBPool(object) => &object.metadata,
            Self::MetalLBL2Advertisement(object) => &object.metadata,
            Self::MetalLBBGPPeer(object) => &object.metadata,
            Self::MetalLBBGPAdvertisement(object) => &object.metadata,
            Self::MetalLBBFDProfile(object) => &object.metadata,
            Self::MetalLBCommunity(object) => &object.metadata,
        }
    }

    /// Its metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::AddressPool(object) => &mut Arc::make_mut(object).metadata,
            Self::L2Advertisement(object) => &mut Arc::make_mut(object).metadata,
            Self::BGPPeer(object) => &mut Arc::make_mut(object).metadata,
            Self::BGPAdvertisement(object) => &mut Arc::make_mut(object).metadata,
            Self::BFDProfile(object) => &mut Arc::make_mut(object).metadata,
            Self::Community(object) => &mut Arc::make_mut(object).metadata,
            Self::FloatingIP(object) => &mut Arc::make_mut(object).metadata,
            Self::VirtualIP(object) => &mut Arc::make_mut(object).metadata,
            Self::Speaker(object) => &mut Arc::make_mut(object).metadata,
            Self::Service(object) => &mut Arc::make_mut(object).metadata,
            Self::EndpointSlice(object) => &mut Arc::make_mut(object).metadata,
            Self::Node(object) => &mut Arc::make_mut(object).metadata,
            Self::Namespace(object) => &mut Arc::make_mut(object).metadata,
            Self::Secret(object) | Self::MetalLBSecret(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBPool(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBL2Advertisement(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBBGPPeer(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBBGPAdvertisement(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBBFDProfile(object) => &mut Arc::make_mut(object).metadata,
            Self::MetalLBCommunity(object) => &mut Arc::make_mut(object).metadata,
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(&self) -> bool {
        match self {
            Self::Service(_) | Self::EndpointSlice(_) | Self::FloatingIP(_) => true,
            Self::Secret(_) | Self::MetalLBSecret(_) => true,
            Self::MetalLBPool(_) | Self::MetalLBL2Advertisement(_) => true,
            Self::MetalLBBGPPeer(_) | Self::MetalLBBGPAdvertisement(_) => true,
            Self::MetalLBBFDProfile(_) | Self::MetalLBCommunity(_) => true,
            Self::AddressPool(_) | Self::L2Advertisement(_) | Self::VirtualIP(_) => false,
            Self::BGPPeer(_) | Self::BGPAdvertisement(_) | Self::BFDProfile(_) | Self::Community(_) => false,
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
    /// BGPPeers.
    pub bgp_peers: BTreeMap<String, Arc<BGPPeer>>,
    /// BGPAdvertisements.
    pub bgp_advertisements: BTreeMap<String, Arc<BGPAdvertisement>>,
    /// BFDProfiles.
    pub bfd_profiles: BTreeMap<String, Arc<BFDProfile>>,
    /// Communities.
    pub communities: BTreeMap<String, Arc<Community>>,
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
    /// Secrets of type kubernetes.io/basic-auth, of one namespace: the one that FerroLB is installed in.
    pub secrets: BTreeMap<String, Arc<Secret>>,
    /// IPAddressPools of MetalLB's; all of its objects are in one namespace.
    pub metallb_pools: BTreeMap<String, Arc<metallb::IPAddressPool>>,
    /// L2Advertisements of MetalLB's.
    pub metallb_l2_advertisements: BTreeMap<String, Arc<metallb::L2Advertisement>>,
    /// BGPPeers of MetalLB's.
    pub metallb_bgp_peers: BTreeMap<String, Arc<metallb::BGPPeer>>,
    /// BGPAdvertisements of MetalLB's.
    pub metallb_bgp_advertisements: BTreeMap<String, Arc<metallb::BGPAdvertisement>>,
    /// BFDProfiles of MetalLB's.
    pub metallb_bfd_profiles: BTreeMap<String, Arc<metallb::BFDProfile>>,
    /// Communities of MetalLB's.
    pub metallb_communities: BTreeMap<String, Arc<metallb::Community>>,
    /// Secrets of type kubernetes.io/basic-auth of MetalLB's namespace.
    pub metallb_secrets: BTreeMap<String, Arc<Secret>>,
    /// What the source itself could not use: an unreadable document, an object given twice.
    pub refused: Vec<Refusal>,
    /// How far the view can be trusted to be current and whole.
    pub freshness: Freshness,
}

impl PartialEq for Objects {
    /// Two views of one source share most of their memory, which is not looked at.
    fn eq(&self, other: &Self) -> bool {
        let Self {
            pools,
            l2_advertisements,
            bgp_peers,
            bgp_advertisements,
            bfd_profiles,
            communities,
            floating_ips,
            virtual_ips,
            speakers,
            services,
            endpoint_slices,
            nodes,
            namespaces,
            secrets,
            metallb_secrets,
            metallb_pools,
            metallb_l2_advertisements,
            metallb_bgp_peers,
            metallb_bgp_advertisements,
            metallb_bfd_profiles,
            metallb_communities,
            refused,
            freshness,
        } = self;
        *freshness == other.freshness
            && *refused == other.refused
            && are_same(pools, &other.pools)
            && are_same(l2_advertisements, &other.l2_advertisements)
            && are_same(bgp_peers, &other.bgp_peers)
            && are_same(bgp_advertisements, &other.bgp_advertisements)
            && are_same(bfd_profiles, &other.bfd_profiles)
            && are_same(communities, &other.communities)
            && are_same(floating_ips, &other.floating_ips)
            && are_same(virtual_ips, &other.virtual_ips)
            && are_same(speakers, &other.speakers)
            && are_same(services, &other.services)
            && are_same(endpoint_slices, &other.endpoint_slices)
            && are_same(nodes, &other.nodes)
            && are_same(namespaces, &other.namespaces)
            && are_same(secrets, &other.secrets)
            && are_same(metallb_secrets, &other.metallb_secrets)
            && are_same(metallb_pools, &other.metallb_pools)
            && are_same(metallb_l2_advertisements, &other.metallb_l2_advertisements)
            && are_same(metallb_bgp_peers, &other.metallb_bgp_peers)
            && are_same(metallb_bgp_advertisements, &other.metallb_bgp_advertisements)
            && are_same(metallb_bfd_profiles, &other.metallb_bfd_profiles)
            && are_same(metallb_communities, &other.metallb_communities)
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
            Object::BGPPeer(_) => self.bgp_peers.contains_key(&name),
            Object::BGPAdvertisement(_) => self.bgp_advertisements.contains_key(&name),
            Object::BFDProfile(_) => self.bfd_profiles.contains_key(&name),
            Object::Community(_) => self.communities.contains_key(&name),
            Object::FloatingIP(_) => self.floating_ips.contains_key(&namespaced(name)),
            Object::VirtualIP(_) => self.virtual_ips.contains_key(&name),
            Object::Speaker(_) => self.speakers.contains_key(&name),
            Object::Service(_) => self.services.contains_key(&namespaced(name)),
            Object::EndpointSlice(_) => self.endpoint_slices.contains_key(&namespaced(name)),
            Object::Node(_) => self.nodes.contains_key(&name),
            Object::Namespace(_) => self.namespaces.contains_key(&name),
            Object::Secret(_) => self.secrets.contains_key(&name),
            Object::MetalLBSecret(_) => self.metallb_secrets.contains_key(&name),
            Object::MetalLBPool(_) => self.metallb_pools.contains_key(&name),
            Object::MetalLBL2Advertisement(_) => self.metallb_l2_advertisements.contains_key(&name),
            Object::MetalLBBGPPeer(_) => self.metallb_bgp_peers.contains_key(&name),
            Object::MetalLBBGPAdvertisement(_) => self.metallb_bgp_advertisements.contains_key(&name),
            Object::MetalLBBFDProfile(_) => self.metallb_bfd_profiles.contains_key(&name),
            Object::MetalLBCommunity(_) => self.metallb_communities.contains_key(&name),
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
            "BGPPeer" => self.bgp_peers.get(name).map(|object| &object.metadata),
            "BGPAdvertisement" => self.bgp_advertisements.get(name).map(|object| &object.metadata),
            "BFDProfile" => self.bfd_profiles.get(name).map(|object| &object.metadata),
            "Community" => self.communities.get(name).map(|object| &object.metadata),
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
            Object::BGPPeer(object) => drop(self.bgp_peers.insert(name, object)),
            Object::BGPAdvertisement(object) => drop(self.bgp_advertisements.insert(name, object)),
            Object::BFDProfile(object) => drop(self.bfd_profiles.insert(name, object)),
            Object::Community(object) => drop(self.communities.insert(name, object)),
            Object::FloatingIP(object) => drop(self.floating_ips.insert(namespaced(name), object)),
            Object::VirtualIP(object) => drop(self.virtual_ips.insert(name, object)),
            Object::Speaker(object) => drop(self.speakers.insert(name, object)),
            Object::Service(object) => drop(self.services.insert(namespaced(name), object)),
            Object::EndpointSlice(object) => drop(self.endpoint_slices.insert(namespaced(name), object)),
            Object::Node(object) => drop(self.nodes.insert(name, object)),
            Object::Namespace(object) => drop(self.namespaces.insert(name, object)),
            Object::Secret(object) => drop(self.secrets.insert(name, object)),
            Object::MetalLBSecret(object) => drop(self.metallb_secrets.insert(name, object)),
            Object::MetalLBPool(object) => drop(self.metallb_pools.insert(name, object)),
            Object::MetalLBL2Advertisement(object) => {
                drop(self.metallb_l2_advertisements.insert(name, object))
            }
            Object::MetalLBBGPPeer(object) => drop(self.metallb_bgp_peers.insert(name, object)),
            Object::MetalLBBGPAdvertisement(object) => {
                drop(self.metallb_bgp_advertisements.insert(name, object))
            }
            Object::MetalLBBFDProfile(object) => drop(self.metallb_bfd_profiles.insert(name, object)),
            Object::MetalLBCommunity(object) => drop(self.metallb_communities.insert(name, object)),
        }
    }
}
