// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's BGPAdvertisements beside ours.

use super::counterpart::merged;
use super::{BGP_ADVERTISEMENT, Merged, metallb, unknown_fields};
use crate::api::{BGPAdvertisement, BGPAdvertisementSpec};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::Refusal;

/// All advertisements.
pub(crate) fn bgp_advertisements(objects: &Objects) -> Merged<'_, BGPAdvertisement> {
    let (ours, theirs) = (&objects.bgp_advertisements, &objects.metallb_bgp_advertisements);
    merged(ours, theirs, BGP_ADVERTISEMENT, |itself, object| mapped(itself, &object.spec))
}

/// The advertisement in our words, and what is lost of it.
fn mapped(object: &ObjectRef, spec: &metallb::BGPAdvertisementSpec) -> (BGPAdvertisementSpec, Vec<Refusal>) {
    // What is no length is refused as what it becomes.
    let length = |number: Option<i64>| number.map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    let ours = BGPAdvertisementSpec {
        address_pools: spec.ip_address_pools.clone(),
        address_pool_selectors: spec.ip_address_pool_selectors.clone(),
        aggregation_length: length(spec.aggregation_length),
        aggregation_length_v6: length(spec.aggregation_length_v6),
        local_pref: Some(spec.local_pref).filter(|preference| *preference > 0),
        communities: spec.communities.clone(),
        peers: spec.peers.clone(),
        node_selectors: spec.node_selectors.clone(),
        service_selectors: spec.service_selectors.clone(),
    };
    (ours, unknown_fields(object, "spec", &spec.unknown))
}
