// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every mistake in a set of manifests, before anything is used.

mod floating;
mod relation;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::manifest::{Document, Manifest};
use crate::reason::{Reason, Refusal};
use crate::{ObjectRef, Objects, Snapshot, defaults};

/// Everything that is refused or doubtful in `manifests`, in the order of file, line and column: what cannot be read,
/// what is invalid by itself, and what does not fit together, such as an address that is in no pool.
pub fn validate(manifests: &[Manifest]) -> Vec<Refusal> {
    let mut refused: Vec<Refusal> = manifests.iter().flat_map(|manifest| manifest.refused.clone()).collect();
    let mut objects = Objects::default();
    let mut places: BTreeMap<ObjectRef, &Document> = BTreeMap::new();
    for document in manifests.iter().flat_map(|manifest| &manifest.documents) {
        let object = document.object.reference();
        match places.entry(object.clone()) {
            Entry::Vacant(place) => {
                place.insert(document);
                objects.insert(document.object.clone());
            }
            Entry::Occupied(first) => {
                let message = format!("the object stands at {} already", first.get().location());
                let refusal = Refusal::error(Reason::DuplicateObject, object, message)
                    .remedy("Remove one of the two; the first one is used.");
                refused.push(Refusal { location: Some(document.location()), ..refusal });
            }
        }
    }
    defaults::complete(&mut objects);
    let snapshot = Snapshot::build(&objects);
    let related =
        relation::faults(&objects, &snapshot).into_iter().chain(floating::faults(&objects, &snapshot));
    refused.extend(snapshot.refused.into_iter().chain(related).map(|refusal| {
        let document = refusal.object.as_ref().and_then(|object| places.get(object));
        let location = document.map(|document| match &refusal.field {
            Some(field) => document.locate(field),
            None => document.location(),
        });
        Refusal { location, ..refusal }
    }));
    refused.sort_by_cached_key(|refusal| {
        refusal.location.as_ref().map(|place| (place.file.clone(), place.line, place.column))
    });
    refused
}
