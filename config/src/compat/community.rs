// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's Community objects beside ours.

use super::counterpart::merged;
use super::{COMMUNITY, Merged, metallb, unknown_fields};
use crate::api::{Community, CommunitySpec, NamedCommunity};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::Refusal;

/// All names for communities.
pub(crate) fn communities(objects: &Objects) -> Merged<'_, Community> {
    let (ours, theirs) = (&objects.communities, &objects.metallb_communities);
    merged(ours, theirs, COMMUNITY, |itself, object| mapped(itself, &object.spec))
}

/// The names in our words, and what is lost of them.
fn mapped(object: &ObjectRef, spec: &metallb::CommunitySpec) -> (CommunitySpec, Vec<Refusal>) {
    let named = spec.communities.iter();
    let named = named.map(|one| NamedCommunity { name: one.name.clone(), value: one.value.clone() });
    let ours = CommunitySpec { communities: named.collect() };
    (ours, unknown_fields(object, "spec", &spec.unknown))
}
