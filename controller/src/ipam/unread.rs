// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the source could not read. An object that is absent was deleted only if it cannot be one of these.

use std::collections::BTreeSet;

use ferrolb_config::api::Consumer;
use ferrolb_config::compat;
use ferrolb_config::reason::{Refusal, Severity};
use ferrolb_config::{ObjectRef, ServiceName};

/// The objects that may exist although no snapshot shows them: nothing is taken from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Nobody knows what a document that could not be read holds.
    anything: bool,
    objects: BTreeSet<ObjectRef>,
}

impl Unread {
    /// Reads what a source `refused`: a refusal without an object is a document of which nobody knows what it holds.
    /// Objects that are refused and yet present in their last good form do no harm here, as only absent ones are
    /// asked about.
    pub fn new<'a>(refused: impl IntoIterator<Item = &'a Refusal>) -> Self {
        let mut unread = Self::default();
        for refusal in refused.into_iter().filter(|refusal| refusal.severity == Severity::Error) {
            match &refusal.object {
                Some(object) => drop(unread.objects.insert(object.clone())),
                None => unread.anything = true,
            }
        }
        unread
    }

    fn may_hide(&self, object: &ObjectRef) -> bool {
        self.anything
            || self.objects.contains(object)
            || self.objects.contains(&ObjectRef::every(object.kind.as_str()))
    }

    /// Whether the records of addresses as a whole cannot be read, so that nobody knows which addresses are in use.
    pub fn hides_records(&self) -> bool {
        self.objects.contains(&ObjectRef::every("VirtualIP"))
    }

    /// Whether the absent Namespace `name` may be there all the same.
    pub fn may_hide_namespace(&self, name: &str) -> bool {
        self.may_hide(&ObjectRef::cluster("Namespace", name))
    }

    /// Whether the absent pool `name` may stand in a document that could not be read, ours or MetalLB's.
    pub fn may_hide_pool(&self, name: &str) -> bool {
        let is_it = |object: &ObjectRef| {
            object.kind == compat::POOL && (object.name.is_empty() || object.name == name)
        };
        self.may_hide(&ObjectRef::cluster("AddressPool", name)) || self.objects.iter().any(is_it)
    }

    /// Whether the absent object of a cluster-scoped `kind` may stand in a document that could not be read.
    pub fn may_hide_cluster_scoped(&self, kind: &str, name: &str) -> bool {
        self.may_hide(&ObjectRef::cluster(kind, name))
    }

    /// Whether an absent consumer may stand in a document that could not be read.
    pub fn may_hide_consumer(&self, consumer: &Consumer) -> bool {
        self.may_hide(&consumer.identity().object())
    }

    /// Whether the absent FloatingIP `name` may stand in a document that could not be read.
    pub fn may_hide_floating_ip(&self, name: &ServiceName) -> bool {
        self.may_hide(&ObjectRef::namespaced("FloatingIP", name))
    }

    /// Whether the absent Service `name` may stand in a document that could not be read.
    pub fn may_hide_service(&self, name: &ServiceName) -> bool {
        self.may_hide(&ObjectRef::namespaced("Service", name))
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_config::reason::Reason;

    use super::*;

    #[test]
    fn a_pool_of_metallbs_that_could_not_be_read_is_not_taken_for_a_deleted_one() {
        let hides = |object: ObjectRef, pool: &str| {
            let refusal = Refusal::error(Reason::InvalidValue, object, "it cannot be read");
            Unread::new([&refusal]).may_hide_pool(pool)
        };
        let name = ServiceName { namespace: "metallb-system".to_owned(), name: "first".to_owned() };
        assert!(hides(ObjectRef::namespaced(compat::POOL, &name), "first"));
        assert!(!hides(ObjectRef::namespaced(compat::POOL, &name), "second"));
        assert!(hides(ObjectRef::every(compat::POOL), "second"));
        assert!(!hides(ObjectRef::every(compat::L2_ADVERTISEMENT), "second"));
    }
}
