// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's BFDProfiles beside ours.

use super::counterpart::merged;
use super::{BFD_PROFILE, Merged, metallb, unknown_fields};
use crate::api::{BFDProfile, BFDProfileSpec};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::Refusal;

/// All profiles.
pub(crate) fn bfd_profiles(objects: &Objects) -> Merged<'_, BFDProfile> {
    let (ours, theirs) = (&objects.bfd_profiles, &objects.metallb_bfd_profiles);
    merged(ours, theirs, BFD_PROFILE, |itself, object| mapped(itself, &object.spec))
}

/// The profile in our words, and what is lost of it.
fn mapped(object: &ObjectRef, spec: &metallb::BFDProfileSpec) -> (BFDProfileSpec, Vec<Refusal>) {
    // What does not fit is refused as what it becomes: 0 is neither a multiplier nor a time to live.
    let octet = |number: Option<u32>| number.map(|number| u8::try_from(number).unwrap_or(u8::MIN));
    let ours = BFDProfileSpec {
        receive_interval: spec.receive_interval,
        transmit_interval: spec.transmit_interval,
        detect_multiplier: octet(spec.detect_multiplier),
        echo_interval: spec.echo_interval,
        echo_mode: spec.echo_mode.unwrap_or_default(),
        passive_mode: spec.passive_mode.unwrap_or_default(),
        minimum_ttl: octet(spec.minimum_ttl),
    };
    (ours, unknown_fields(object, "spec", &spec.unknown))
}
