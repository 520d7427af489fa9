// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The wishes that a Service states by annotation, under our names and under MetalLB's.
//!
//! Ours come first; a wish that stands under two names with two meanings is refused, since nobody can know which one was
//! meant. Of MetalLB's two names the newer one wins, even with an empty value, as MetalLB has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::annotation::{self, metallb};
use crate::reason::Reason;
use crate::snapshot::faults::Faults;

/// The names of one wish: ours, MetalLB's, and the one that MetalLB used before.
type Names = (&'static str, &'static str, &'static str);

pub(super) const POOL: Names = (annotation::ADDRESS_POOL, metallb::ADDRESS_POOL, metallb::OLD_ADDRESS_POOL);
pub(super) const ADDRESSES: Names = (annotation::ADDRESSES, metallb::ADDRESSES, metallb::OLD_ADDRESSES);
pub(super) const SHARING_KEY: Names =
    (annotation::SHARING_KEY, metallb::SHARING_KEY, metallb::OLD_SHARING_KEY);

/// A wish, and the annotation that states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish<'a> {
    pub(super) value: &'a str,
    pub(super) annotation: &'static str,
}

/// The wish that the annotations of a Service state under one of three names.
pub(super) fn stated<'a>(
    annotations: &'a BTreeMap<String, String>,
    (ours, theirs, old): Names,
    faults: &mut Faults<'_>,
) -> Option<Wish<'a>> {
    let text = |annotation: &'static str| {
        let value = annotations.get(annotation)?.trim();
        Some(Wish { value, annotation })
    };
    if annotations.contains_key(old) {
        let message = format!("{old} is the name of an old release of MetalLB");
        faults.warn(Reason::DeprecatedAnnotation, path(old), message, format!("Write {ours}."));
    }
    let filled = |wish: Option<Wish<'a>>| wish.filter(|wish| !wish.value.is_empty());
    let theirs = filled(text(theirs).or_else(|| text(old)));
    let Some(wish) = filled(text(ours)) else { return theirs };
    if let Some(other) = theirs.filter(|other| !same(wish.value, other.value)) {
        let message = format!(
            "{} asks for \"{}\" and {} for \"{}\"",
            wish.annotation, wish.value, other.annotation, other.value
        );
        let remedy = format!("Remove {}.", other.annotation);
        faults.add_as(Reason::ContradictoryRequest, path(other.annotation), message, remedy);
    }
    Some(wish)
}

fn same(one: &str, other: &str) -> bool {
    let parts = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<BTreeSet<_>>();
    parts(one) == parts(other)
}

/// The path of an annotation in its object.
pub(super) fn path(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}
