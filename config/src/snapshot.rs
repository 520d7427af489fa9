// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The validated, indexed view of all objects.
//!
//! [`Snapshot::build`] is pure and total: whatever the objects hold, there is a snapshot. What cannot be used is set
//! aside as a [`Refusal`], and everything else works on.

mod advertisement;
mod bfd_profile;
mod bgp_advertisement;
mod bgp_peer;
mod clientele;
mod community;
mod endpoint;
mod faults;
mod floating_ip;
mod ground;
mod lists;
mod load_balancer;
mod node;
mod overlap;
mod password;
mod pool;
mod virtual_ip;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

pub use advertisement::Advertisement;
pub use bfd_profile::BfdProfile;
pub use bgp_advertisement::BgpAdvertisement;
pub use bgp_peer::{BgpPeer, Hops, PeerAs, PeerSettings, PeerTarget};
pub use clientele::{Clientele, namespace_labels};
pub use community::Community;
pub use endpoint::{Endpoint, EndpointPort, service_of};
pub use floating_ip::{
    Candidates, Carriage, FloatingForm, FloatingIP, FloatingPort, FloatingTarget, HealthCheck, Probe,
    StatusRange,
};
pub use ground::Ground;
pub use load_balancer::{
    Consent, FamilyPolicy, LOAD_BALANCER_CLASS, LoadBalancer, Protocol, ServicePort, TargetPort,
    TrafficPolicy,
};
pub use node::{Away, NodeInfo};
pub use password::{PASSWORD_KEY, PASSWORD_TYPE, Password, PasswordSource};
pub use pool::Pool;
pub use virtual_ip::address_in_use;

use k8s_openapi::api::core::v1::Service;

use crate::api::VirtualIP;
use crate::name::ServiceName;
use crate::objects::Objects;
use crate::reason::Refusal;

/// Everything that controller and speakers decide from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Pools by name, also those that are refused: see [`Pool::accepting`].
    pub pools: BTreeMap<String, Pool>,
    /// Services that ask for addresses, also those that are refused: see [`LoadBalancer::refusal`].
    pub load_balancers: BTreeMap<ServiceName, LoadBalancer>,
    /// `spec.externalIPs` as it stands, of every Service that has any.
    pub external_ips: BTreeMap<ServiceName, Vec<String>>,
    /// FloatingIPs, also those that are refused: see [`FloatingIP::refusal`].
    pub floating_ips: BTreeMap<ServiceName, FloatingIP>,
    /// L2Advertisements by name.
    pub advertisements: BTreeMap<String, Advertisement>,
    /// BGPAdvertisements by name.
    pub bgp_advertisements: BTreeMap<String, Arc<BgpAdvertisement>>,
    /// BGPPeers by name.
    pub bgp_peers: BTreeMap<String, BgpPeer>,
    /// The names of the BFDProfiles that can be used.
    pub bfd_profiles: BTreeSet<String>,
    /// The names of the Community objects.
    pub communities: BTreeSet<String>,
    /// The addresses in use, as the controller recorded them.
    pub virtual_ips: BTreeMap<IpAddr, Arc<VirtualIP>>,
    /// The addresses that nobody uses and that are kept for those who had them last (`spec.releasedAt`).
    pub retained: BTreeMap<IpAddr, Arc<VirtualIP>>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeInfo>,
    /// The labels of the namespaces.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The endpoints of each Service, of all its EndpointSlices, in ascending order and each once.
    pub endpoints: BTreeMap<ServiceName, Vec<Endpoint>>,
    /// Every object that is refused or warned about, those of the source included.
    pub refused: Vec<Refusal>,
}

/// What a program was told that decides which objects are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Services without a class, and those of [`LOAD_BALANCER_CLASS`].
    #[default]
    Ours,
    /// `--load-balancer-class`: Services of just this class.
    Class(String),
    /// Services of every class: whom a VirtualIP records was judged by the controller, and speakers need not be told.
    Every,
}

impl Scope {
    /// Whether Services of `class` are ours (KEP-1959).
    pub fn admits(&self, class: Option<&str>) -> bool {
        match self {
            Self::Ours => class.is_none_or(|class| class == LOAD_BALANCER_CLASS),
            Self::Class(ours) => class == Some(ours),
            Self::Every => true,
        }
    }

    /// The class that a Service may name to be ours.
    pub fn class(&self) -> &str {
        match self {
            Self::Class(ours) => ours,
            Self::Ours | Self::Every => LOAD_BALANCER_CLASS,
        }
    }
}

impl Snapshot {
    /// Validates and indexes `objects`, for a program that was told nothing in particular.
    pub fn build(objects: &Objects) -> Self {
        Self::build_within(objects, &Scope::default())
    }

    /// Validates and indexes those of `objects` that are within `scope`.
    pub fn build_within(objects: &Objects, scope: &Scope) -> Self {
        let mut refused = objects.refused.clone();
        let ground = Ground::build(objects, &mut refused);
        let load_balancers = load_balancer::build(&objects.services, scope, &mut refused);
        ground.doubt(objects, &load_balancers, &mut refused);
        let Ground {
            pools,
            advertisements,
            bgp_advertisements,
            peers: bgp_peers,
            bfd_profiles,
            communities,
            nodes,
        } = ground;
        let floating_ips = floating_ip::build(&objects.floating_ips, &mut refused);
        let (virtual_ips, retained) = virtual_ip::build(&objects.virtual_ips, &mut refused);
        let endpoints = endpoint::build(&objects.endpoint_slices, &mut refused);
        let namespaces = objects
            .namespaces
            .iter()
            .map(|(name, namespace)| {
                (name.clone(), clientele::namespace_labels(name, namespace.metadata.labels.as_ref()))
            })
            .collect();
        let external_ips = |(name, service): (&ServiceName, &Arc<Service>)| {
            let list = service.spec.as_ref()?.external_ips.as_ref().filter(|list| !list.is_empty())?;
            Some((name.clone(), list.clone()))
        };
        let external_ips = objects.services.iter().filter_map(external_ips).collect();
        Self {
            pools,
            load_balancers,
            external_ips,
            floating_ips,
            advertisements,
            bgp_advertisements,
            bgp_peers,
            bfd_profiles,
            communities,
            virtual_ips,
            retained,
            nodes,
            namespaces,
            endpoints,
            refused,
        }
    }

    /// Whether `service` may draw from `pool`. A pool that is refused takes nothing away, whomever it serves.
    pub fn may_draw(&self, service: &LoadBalancer, pool: &Pool) -> bool {
        pool.lets_draw(service, self.namespaces.get(&service.name.namespace))
    }
}

#[cfg(test)]
mod tests;
