// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The objects of one kind in a view.

use ferrolb_config::{Object, Objects};

use super::{Kind, Name};

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
        Kind::BGPPeer => &objects.bgp_peers.get(&name.name)?.metadata,
        Kind::BGPAdvertisement => &objects.bgp_advertisements.get(&name.name)?.metadata,
        Kind::BFDProfile => &objects.bfd_profiles.get(&name.name)?.metadata,
        Kind::Community => &objects.communities.get(&name.name)?.metadata,
        Kind::FloatingIP => &objects.floating_ips.get(&name.service_name())?.metadata,
        Kind::VirtualIP => &objects.virtual_ips.get(&name.name)?.metadata,
        Kind::Speaker => &objects.speakers.get(&name.name)?.metadata,
        Kind::Service => &objects.services.get(&name.service_name())?.metadata,
        Kind::EndpointSlice => &objects.endpoint_slices.get(&name.service_name())?.metadata,
        Kind::Node => &objects.nodes.get(&name.name)?.metadata,
        Kind::Namespace => &objects.namespaces.get(&name.name)?.metadata,
        Kind::Secret => &objects.secrets.get(&name.name)?.metadata,
        Kind::MetalLBSecret => &objects.metallb_secrets.get(&name.name)?.metadata,
        Kind::MetalLBPool => &objects.metallb_pools.get(&name.name)?.metadata,
        Kind::MetalLBL2Advertisement => &objects.metallb_l2_advertisements.get(&name.name)?.metadata,
        Kind::MetalLBBGPPeer => &objects.metallb_bgp_peers.get(&name.name)?.metadata,
        Kind::MetalLBBGPAdvertisement => &objects.metallb_bgp_advertisements.get(&name.name)?.metadata,
        Kind::MetalLBBFDProfile => &objects.metallb_bfd_profiles.get(&name.name)?.metadata,
        Kind::MetalLBCommunity => &objects.metallb_communities.get(&name.name)?.metadata,
    };
    Some(Stamp { uid: metadata.uid.clone(), version: metadata.resource_version.clone() })
}

/// Takes one object out of `objects`; `false` if it was not there.
pub(crate) fn remove(objects: &mut Objects, kind: Kind, name: &Name) -> bool {
    match kind {
        Kind::AddressPool => objects.pools.remove(&name.name).is_some(),
        Kind::L2Advertisement => objects.l2_advertisements.remove(&name.name).is_some(),
        Kind::BGPPeer => objects.bgp_peers.remove(&name.name).is_some(),
        Kind::BGPAdvertisement => objects.bgp_advertisements.remove(&name.name).is_some(),
        Kind::BFDProfile => objects.bfd_profiles.remove(&name.name).is_some(),
        Kind::Community => objects.communities.remove(&name.name).is_some(),
        Kind::FloatingIP => objects.floating_ips.remove(&name.service_name()).is_some(),
        Kind::VirtualIP => objects.virtual_ips.remove(&name.name).is_some(),
        Kind::Speaker => objects.speakers.remove(&name.name).is_some(),
        Kind::Service => objects.services.remove(&name.service_name()).is_some(),
        Kind::EndpointSlice => objects.endpoint_slices.remove(&name.service_name()).is_some(),
        Kind::Node => objects.nodes.remove(&name.name).is_some(),
        Kind::Namespace => objects.namespaces.remove(&name.name).is_some(),
        Kind::Secret => objects.secrets.remove(&name.name).is_some(),
        Kind::MetalLBSecret => objects.metallb_secrets.remove(&name.name).is_some(),
        Kind::MetalLBPool => objects.metallb_pools.remove(&name.name).is_some(),
        Kind::MetalLBL2Advertisement => objects.metallb_l2_advertisements.remove(&name.name).is_some(),
        Kind::MetalLBBGPPeer => objects.metallb_bgp_peers.remove(&name.name).is_some(),
        Kind::MetalLBBGPAdvertisement => objects.metallb_bgp_advertisements.remove(&name.name).is_some(),
        Kind::MetalLBBFDProfile => objects.metallb_bfd_profiles.remove(&name.name).is_some(),
        Kind::MetalLBCommunity => objects.metallb_communities.remove(&name.name).is_some(),
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
        Kind::BGPPeer => one(&from.bgp_peers, &mut to.bgp_peers, &name.name),
        Kind::BGPAdvertisement => one(&from.bgp_advertisements, &mut to.bgp_advertisements, &name.name),
        Kind::BFDProfile => one(&from.bfd_profiles, &mut to.bfd_profiles, &name.name),
        Kind::Community => one(&from.communities, &mut to.communities, &name.name),
        Kind::FloatingIP => one(&from.floating_ips, &mut to.floating_ips, &name.service_name()),
        Kind::VirtualIP => one(&from.virtual_ips, &mut to.virtual_ips, &name.name),
        Kind::Speaker => one(&from.speakers, &mut to.speakers, &name.name),
        Kind::Service => one(&from.services, &mut to.services, &name.service_name()),
        Kind::EndpointSlice => one(&from.endpoint_slices, &mut to.endpoint_slices, &name.service_name()),
        Kind::Node => one(&from.nodes, &mut to.nodes, &name.name),
        Kind::Namespace => one(&from.namespaces, &mut to.namespaces, &name.name),
        Kind::Secret => one(&from.secrets, &mut to.secrets, &name.name),
        Kind::MetalLBSecret => one(&from.metallb_secrets, &mut to.metallb_secrets, &name.name),
        Kind::MetalLBPool => one(&from.metallb_pools, &mut to.metallb_pools, &name.name),
        Kind::MetalLBL2Advertisement => {
            one(&from.metallb_l2_advertisements, &mut to.metallb_l2_advertisements, &name.name)
        }
        Kind::MetalLBBGPPeer => one(&from.metallb_bgp_peers, &mut to.metallb_bgp_peers, &name.name),
        Kind::MetalLBBGPAdvertisement => {
            one(&from.metallb_bgp_advertisements, &mut to.metallb_bgp_advertisements, &name.name)
        }
        Kind::MetalLBBFDProfile => one(&from.metallb_bfd_profiles, &mut to.metallb_bfd_profiles, &name.name),
        Kind::MetalLBCommunity => one(&from.metallb_communities, &mut to.metallb_communities, &name.name),
    }
}

/// Exchanges all objects of `kind` between two views.
pub(crate) fn swap(one: &mut Objects, other: &mut Objects, kind: Kind) {
    use std::mem::swap;
    match kind {
        Kind::AddressPool => swap(&mut one.pools, &mut other.pools),
        Kind::L2Advertisement => swap(&mut one.l2_advertisements, &mut other.l2_advertisements),
        Kind::BGPPeer => swap(&mut one.bgp_peers, &mut other.bgp_peers),
        Kind::BGPAdvertisement => swap(&mut one.bgp_advertisements, &mut other.bgp_advertisements),
        Kind::BFDProfile => swap(&mut one.bfd_profiles, &mut other.bfd_profiles),
        Kind::Community => swap(&mut one.communities, &mut other.communities),
        Kind::FloatingIP => swap(&mut one.floating_ips, &mut other.floating_ips),
        Kind::VirtualIP => swap(&mut one.virtual_ips, &mut other.virtual_ips),
        Kind::Speaker => swap(&mut one.speakers, &mut other.speakers),
        Kind::Service => swap(&mut one.services, &mut other.services),
        Kind::EndpointSlice => swap(&mut one.endpoint_slices, &mut other.endpoint_slices),
        Kind::Node => swap(&mut one.nodes, &mut other.nodes),
        Kind::Namespace => swap(&mut one.namespaces, &mut other.namespaces),
        Kind::Secret => swap(&mut one.secrets, &mut other.secrets),
        Kind::MetalLBSecret => swap(&mut one.metallb_secrets, &mut other.metallb_secrets),
        Kind::MetalLBPool => swap(&mut one.metallb_pools, &mut other.metallb_pools),
        Kind::MetalLBL2Advertisement => {
            swap(&mut one.metallb_l2_advertisements, &mut other.metallb_l2_advertisements)
        }
        Kind::MetalLBBGPPeer => swap(&mut one.metallb_bgp_peers, &mut other.metallb_bgp_peers),
        Kind::MetalLBBGPAdvertisement => {
            swap(&mut one.metallb_bgp_advertisements, &mut other.metallb_bgp_advertisements)
        }
        Kind::MetalLBBFDProfile => swap(&mut one.metallb_bfd_profiles, &mut other.metallb_bfd_profiles),
        Kind::MetalLBCommunity => swap(&mut one.metallb_communities, &mut other.metallb_communities),
    }
}

/// Whether two views hold the same objects of `kind`.
pub(crate) fn is_same(one: &Objects, other: &Objects, kind: Kind) -> bool {
    match kind {
        Kind::AddressPool => one.pools == other.pools,
        Kind::L2Advertisement => one.l2_advertisements == other.l2_advertisements,
        Kind::BGPPeer => one.bgp_peers == other.bgp_peers,
        Kind::BGPAdvertisement => one.bgp_advertisements == other.bgp_advertisements,
        Kind::BFDProfile => one.bfd_profiles == other.bfd_profiles,
        Kind::Community => one.communities == other.communities,
        Kind::FloatingIP => one.floating_ips == other.floating_ips,
        Kind::VirtualIP => one.virtual_ips == other.virtual_ips,
        Kind::Speaker => one.speakers == other.speakers,
        Kind::Service => one.services == other.services,
        Kind::EndpointSlice => one.endpoint_slices == other.endpoint_slices,
        Kind::Node => one.nodes == other.nodes,
        Kind::Namespace => one.namespaces == other.namespaces,
        Kind::Secret => one.secrets == other.secrets,
        Kind::MetalLBSecret => one.metallb_secrets == other.metallb_secrets,
        Kind::MetalLBPool => one.metallb_pools == other.metallb_pools,
        Kind::MetalLBL2Advertisement => one.metallb_l2_advertisements == other.metallb_l2_advertisements,
        Kind::MetalLBBGPPeer => one.metallb_bgp_peers == other.metallb_bgp_peers,
        Kind::MetalLBBGPAdvertisement => one.metallb_bgp_advertisements == other.metallb_bgp_advertisements,
        Kind::MetalLBBFDProfile => one.metallb_bfd_profiles == other.metallb_bfd_profiles,
        Kind::MetalLBCommunity => one.metallb_communities == other.metallb_communities,
    }
}

/// How many objects of `kind` there are.
pub(crate) fn count(objects: &Objects, kind: Kind) -> usize {
    match kind {
        Kind::AddressPool => objects.pools.len(),
        Kind::L2Advertisement => objects.l2_advertisements.len(),
        Kind::BGPPeer => objects.bgp_peers.len(),
        Kind::BGPAdvertisement => objects.bgp_advertisements.len(),
        Kind::BFDProfile => objects.bfd_profiles.len(),
        Kind::Community => objects.communities.len(),
        Kind::FloatingIP => objects.floating_ips.len(),
        Kind::VirtualIP => objects.virtual_ips.len(),
        Kind::Speaker => objects.speakers.len(),
        Kind::Service => objects.services.len(),
        Kind::EndpointSlice => objects.endpoint_slices.len(),
        Kind::Node => objects.nodes.len(),
        Kind::Namespace => objects.namespaces.len(),
        Kind::Secret => objects.secrets.len(),
        Kind::MetalLBSecret => objects.metallb_secrets.len(),
        Kind::MetalLBPool => objects.metallb_pools.len(),
        Kind::MetalLBL2Advertisement => objects.metallb_l2_advertisements.len(),
        Kind::MetalLBBGPPeer => objects.metallb_bgp_peers.len(),
        Kind::MetalLBBGPAdvertisement => objects.metallb_bgp_advertisements.len(),
        Kind::MetalLBBFDProfile => objects.metallb_bfd_profiles.len(),
        Kind::MetalLBCommunity => objects.metallb_communities.len(),
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
        Object::Secret(object) => objects.secrets.get(&name.name).is_some_and(|held| **held == **object),
        Object::MetalLBSecret(object) => {
            objects.metallb_secrets.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBPool(object) => {
            objects.metallb_pools.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBL2Advertisement(object) => {
            objects.metallb_l2_advertisements.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBBGPPeer(object) => {
            objects.metallb_bgp_peers.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBBGPAdvertisement(object) => {
            objects.metallb_bgp_advertisements.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBBFDProfile(object) => {
            objects.metallb_bfd_profiles.get(&name.name).is_some_and(|held| **held == **object)
        }
        Object::MetalLBCommunity(object) => {
            objects.metallb_communities.get(&name.name).is_some_and(|held| **held == **object)
        }
        _ => false,
    }
}
