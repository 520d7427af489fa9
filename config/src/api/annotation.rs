// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Annotations that FerroLB reads: on a Service, unless it says otherwise.

/// Names the pool that the Service's addresses must come from.
pub const ADDRESS_POOL: &str = "ferrolb.io/address-pool";
/// Asks for certain addresses: one per family, separated by a comma.
pub const ADDRESSES: &str = "ferrolb.io/addresses";
/// Services with equal keys may share an address, if their ports do not overlap.
pub const SHARING_KEY: &str = "ferrolb.io/sharing-key";
/// Names the pool that `spec.externalIPs` of a Service that is not of type LoadBalancer are to be filled from.
pub const EXTERNAL_IPS_FROM: &str = "ferrolb.io/external-ips-from";
/// Namespaces whose Services may share an address with this one, separated by commas, or `*`. Both sides must agree;
/// within one namespace the sharing key alone is enough.
pub const SHARING_NAMESPACES: &str = "ferrolb.io/sharing-namespaces";
/// `"true"`: announce the address although the Service has no ready endpoint.
pub const ANNOUNCE_WITHOUT_ENDPOINTS: &str = "ferrolb.io/announce-without-endpoints";
/// On a Node: the speaker there hands its addresses over and takes no new ones, until the annotation is removed.
pub const DRAIN: &str = "ferrolb.io/drain";
/// On a VirtualIP: who carries it is asked to hand it over, see [`MoveRequest`](crate::MoveRequest).
pub const MOVE: &str = "ferrolb.io/move";

/// The names under which MetalLB reads the same wishes.
pub mod metallb {
    /// Names the pool; see [`ADDRESS_POOL`](super::ADDRESS_POOL).
    pub const ADDRESS_POOL: &str = "metallb.io/address-pool";
    /// Asks for certain addresses; see [`ADDRESSES`](super::ADDRESSES).
    pub const ADDRESSES: &str = "metallb.io/loadBalancerIPs";
    /// The sharing key; see [`SHARING_KEY`](super::SHARING_KEY).
    pub const SHARING_KEY: &str = "metallb.io/allow-shared-ip";
    /// The pool, as old releases spelled it.
    pub const OLD_ADDRESS_POOL: &str = "metallb.universe.tf/address-pool";
    /// The addresses, as old releases spelled it.
    pub const OLD_ADDRESSES: &str = "metallb.universe.tf/loadBalancerIPs";
    /// The sharing key, as old releases spelled it.
    pub const OLD_SHARING_KEY: &str = "metallb.universe.tf/allow-shared-ip";
}
