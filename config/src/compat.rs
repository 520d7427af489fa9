// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's objects, read as they are and never written.
//!
//! Whoever comes from MetalLB leaves its objects in place: an IPAddressPool counts as an AddressPool of the same name,
//! and its L2Advertisement as one of ours. So switching, and switching back, changes no object. An object of ours with
//! the same name stands in place of MetalLB's.

mod address_pool;
mod bfd_profile;
mod bgp_advertisement;
mod bgp_peer;
mod community;
mod counterpart;
mod l2_advertisement;
pub mod metallb;

pub(crate) use address_pool::pools;
pub(crate) use bfd_profile::bfd_profiles;
pub(crate) use bgp_advertisement::bgp_advertisements;
pub(crate) use bgp_peer::bgp_peers;
pub(crate) use community::communities;
pub(crate) use l2_advertisement::l2_advertisements;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};

/// The kind of MetalLB's pools in messages; the group tells them from kinds of ours.
pub const POOL: &str = "IPAddressPool.metallb.io";
/// The kind of MetalLB's advertisements in messages.
pub const L2_ADVERTISEMENT: &str = "L2Advertisement.metallb.io";
/// The kind of MetalLB's peers in messages.
pub const BGP_PEER: &str = "BGPPeer.metallb.io";
/// The kind of MetalLB's advertisements to routers in messages.
pub const BGP_ADVERTISEMENT: &str = "BGPAdvertisement.metallb.io";
/// The kind of MetalLB's BFD profiles in messages.
pub const BFD_PROFILE: &str = "BFDProfile.metallb.io";
/// The kind of MetalLB's names for communities in messages.
pub const COMMUNITY: &str = "Community.metallb.io";
/// Secrets of MetalLB's namespace in messages.
pub const SECRET: &str = "Secret (MetalLB's)";

/// All objects of one of our kinds, with those of MetalLB's that count as such.
pub(crate) struct Merged<'a, K: Clone> {
    /// By name, in our words.
    pub(crate) objects: Cow<'a, BTreeMap<String, Arc<K>>>,
    /// What is lost of MetalLB's, and which of them are not used.
    pub(crate) refused: Vec<Refusal>,
    /// The kind in our words, and where MetalLB's objects really are, by name.
    pub(crate) origins: Origins<'a>,
}

/// Where objects of MetalLB's that count as ours really are.
pub(crate) struct Origins<'a> {
    kind: &'static str,
    objects: BTreeMap<&'a str, ObjectRef>,
}

impl Origins<'_> {
    /// Lets refusals speak of the objects that are really there.
    pub(crate) fn attribute<'r>(&self, refusals: impl IntoIterator<Item = &'r mut Refusal>) {
        for refusal in refusals {
            let object = refusal.object.as_mut().filter(|object| object.kind == self.kind);
            if let Some(object) = object
                && let Some(origin) = self.objects.get(object.name.as_str())
            {
                *object = origin.clone();
            }
        }
    }
}

fn reference(kind: &str, metadata: &ObjectMeta) -> ObjectRef {
    ObjectRef {
        kind: kind.to_owned(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// An object of ours has the name and says something else.
fn superseded(object: ObjectRef, kind: &str) -> Refusal {
    let message = format!("{kind} {} says something else and is used instead", object.name);
    Refusal::error(Reason::DuplicateObject, object, message)
        .remedy("Make them equal, or remove one of the two.")
}

/// Fields that this FerroLB does not know: of a newer MetalLB, probably.
fn unknown_fields(object: &ObjectRef, path: &str, fields: &BTreeMap<String, Value>) -> Vec<Refusal> {
    let warning = |field: &String| {
        Refusal::warning(Reason::NotYetSupported, object.clone(), "FerroLB does not read the field")
            .field(format!("{path}.{field}"))
            .remedy("The object is used as if it were not there.")
    };
    fields.keys().map(warning).collect()
}
