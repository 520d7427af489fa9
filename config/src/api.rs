// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds of the API group `ferrolb.io/v1beta1`, one file each.

mod address_pool;
mod bfd_profile;
mod bgp_advertisement;
mod bgp_peer;
mod bgp_session;
mod community;
mod crd;
mod floating_ip;
mod l2_advertisement;
mod speaker;
mod virtual_ip;

pub mod annotation;

pub use address_pool::{
    AddressPool, AddressPoolSpec, AddressPoolStatus, FamilyUsage, PoolQuota, ServiceAllocation,
};
pub use bfd_profile::{BFDProfile, BFDProfileSpec, BFDProfileStatus};
pub use bgp_advertisement::{BGPAdvertisement, BGPAdvertisementSpec, BGPAdvertisementStatus};
pub use bgp_peer::{BGPPeer, BGPPeerSpec, BGPPeerStatus, DynamicASN, PasswordSecret};
pub use bgp_session::{BFDSession, BGPSession, SessionEnd, SessionState, SessionTerms};
pub use community::{Community, CommunitySpec, CommunityStatus, NamedCommunity};
pub use crd::crds;
pub use floating_ip::{
    AddressMode, Candidates, ExecCheck, FloatingIP, FloatingIPSpec, FloatingIPStatus, FloatingPort,
    FloatingTarget, HTTPCheck, HealthCheck, IPFamily, TCPCheck, Transport,
};
pub use l2_advertisement::{
    L2Advertisement, L2AdvertisementSpec, L2AdvertisementStatus, PreferredNodeSelector,
};
pub use speaker::{
    SILENT_AFTER, Speaker, SpeakerInterface, SpeakerSegment, SpeakerSpec, SpeakerStatus, UnservedService,
};
pub use virtual_ip::{
    Consumer, ConsumerKind, ConsumerName, ConsumerPort, IN_USE, Layer2Owner, Purpose, VirtualIP,
    VirtualIPSpec, VirtualIPStatus,
};

/// The API group of every kind in this module.
pub const GROUP: &str = "ferrolb.io";
/// The API version of every kind in this module.
pub const VERSION: &str = "v1beta1";
