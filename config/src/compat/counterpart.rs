// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Kinds of ours of which MetalLB has one that says the same, and which keep the last accepted spec in their status.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource;

use super::{Merged, Origins, reference, superseded};
use crate::api::{BFDProfile, BGPAdvertisement, BGPPeer, Community, L2Advertisement};
use crate::name::ObjectRef;
use crate::reason::{Refusal, Severity};

/// A kind of ours that MetalLB has too.
pub(super) trait Counterpart: Clone {
    /// What users write.
    type Spec: Clone + PartialEq;
    /// The kind's name.
    const KIND: &'static str;

    fn of(name: &str, spec: Self::Spec) -> Self;
    fn spec(&self) -> &Self::Spec;
    fn is_accepted(&self) -> bool;
    fn accept(&mut self, spec: Self::Spec);
}

macro_rules! counterpart {
    ($($kind:ident: $spec:ident),+ $(,)?) => {$(
        impl Counterpart for $kind {
            type Spec = crate::api::$spec;
            const KIND: &'static str = stringify!($kind);

            fn of(name: &str, spec: Self::Spec) -> Self {
                Self::new(name, spec)
            }

            fn spec(&self) -> &Self::Spec {
                &self.spec
            }

            fn is_accepted(&self) -> bool {
                self.status.as_ref().is_some_and(|status| status.accepted.is_some())
            }

            fn accept(&mut self, spec: Self::Spec) {
                self.status.get_or_insert_default().accepted = Some(spec);
            }
        }
    )+};
}

counterpart! {
    L2Advertisement: L2AdvertisementSpec,
    BGPPeer: BGPPeerSpec,
    BGPAdvertisement: BGPAdvertisementSpec,
    BFDProfile: BFDProfileSpec,
    Community: CommunitySpec,
}

/// All objects of a kind of ours, with those of MetalLB's, whose kind is called `kind` in messages. `mapped` says each in our words,
/// and what is lost of it; one with an error is not used.
pub(super) fn merged<'a, K, T>(
    ours: &'a BTreeMap<String, Arc<K>>,
    theirs: &'a BTreeMap<String, Arc<T>>,
    kind: &str,
    mapped: impl Fn(&ObjectRef, &T) -> (K::Spec, Vec<Refusal>),
) -> Merged<'a, K>
where
    K: Counterpart,
    T: Resource,
{
    let mut all = Cow::Borrowed(ours);
    let (mut refused, mut origins) = (Vec::new(), BTreeMap::new());
    for (name, object) in theirs {
        let itself = reference(kind, object.meta());
        let (spec, warnings) = mapped(&itself, object);
        match ours.get(name) {
            Some(ours) => {
                if *ours.spec() != spec {
                    refused.push(superseded(itself, K::KIND));
                }
                // Ours takes its place as an edit of it would: if it is refused, what was there stays in force.
                if !ours.is_accepted() {
                    let mut ours = K::clone(ours);
                    ours.accept(spec);
                    all.to_mut().insert(name.clone(), Arc::new(ours));
                }
            }
            None => {
                if warnings.iter().all(|refusal| refusal.severity == Severity::Warning) {
                    all.to_mut().insert(name.clone(), Arc::new(K::of(name, spec)));
                }
                refused.extend(warnings);
                origins.insert(name.as_str(), itself);
            }
        }
    }
    Merged { objects: all, refused, origins: Origins { kind: K::KIND, objects: origins } }
}
