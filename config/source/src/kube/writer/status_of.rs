// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds of ours whose status is replaced as a whole.

use ferrolb_config::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::{WriteError, body};
use crate::kube::kind::Kind;

/// An object of ours whose status is to be written.
#[derive(Clone, Copy, Debug)]
pub enum StatusOf<'a> {
    /// An AddressPool.
    AddressPool(&'a AddressPool),
    /// An L2Advertisement.
    L2Advertisement(&'a L2Advertisement),
    /// A BGPPeer.
    BGPPeer(&'a BGPPeer),
    /// A BGPAdvertisement.
    BGPAdvertisement(&'a BGPAdvertisement),
    /// A BFDProfile.
    BFDProfile(&'a BFDProfile),
    /// A Community.
    Community(&'a Community),
    /// A FloatingIP.
    FloatingIP(&'a FloatingIP),
    /// A VirtualIP.
    VirtualIP(&'a VirtualIP),
    /// A Speaker.
    Speaker(&'a Speaker),
}

impl<'a> StatusOf<'a> {
    pub(super) fn parts(self) -> Result<(Kind, &'a ObjectMeta, Value), WriteError> {
        Ok(match self {
            Self::AddressPool(object) => (Kind::AddressPool, &object.metadata, body::of(&object.status)?),
            Self::L2Advertisement(object) => {
                (Kind::L2Advertisement, &object.metadata, body::of(&object.status)?)
            }
            Self::BGPPeer(object) => (Kind::BGPPeer, &object.metadata, body::of(&object.status)?),
            Self::BGPAdvertisement(object) => {
                (Kind::BGPAdvertisement, &object.metadata, body::of(&object.status)?)
            }
            Self::BFDProfile(object) => (Kind::BFDProfile, &object.metadata, body::of(&object.status)?),
            Self::Community(object) => (Kind::Community, &object.metadata, body::of(&object.status)?),
            Self::FloatingIP(object) => (Kind::FloatingIP, &object.metadata, body::of(&object.status)?),
            Self::VirtualIP(object) => (Kind::VirtualIP, &object.metadata, body::of(&object.status)?),
            Self::Speaker(object) => (Kind::Speaker, &object.metadata, body::of(&object.status)?),
        })
    }
}

macro_rules! status_of {
    ($($kind:ident),+) => {$(
        impl<'a> From<&'a $kind> for StatusOf<'a> {
            fn from(object: &'a $kind) -> Self {
                Self::$kind(object)
            }
        }
    )+};
}

status_of!(
    AddressPool,
    L2Advertisement,
    BGPPeer,
    BGPAdvertisement,
    BFDProfile,
    Community,
    FloatingIP,
    VirtualIP,
    Speaker
);
