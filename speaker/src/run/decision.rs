// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node does at the moment, and whether new objects change that.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Freshness, Objects, Snapshot};

use crate::intent::{Intent, intent};
use crate::names::Names;
use crate::options::Options;
use crate::status::Known;

/// What is done, and from which objects that follows. The snapshot between the two is not kept: of ten thousand Services
/// it takes as much memory as all the rest.
#[derive(Default)]
pub(super) struct Decision {
    objects: Option<Arc<Objects>>,
    pub(super) intent: Arc<Intent>,
}

impl Decision {
    /// Whether there was anything to decide from yet. A view that lacks a whole kind says nothing: an address must not
    /// be given up because its Services cannot be read.
    pub(super) fn is_made(&self) -> bool {
        self.objects.is_some()
    }

    /// Whether there is something to do, or why not.
    pub(super) fn readiness(&self, freshness: &Freshness) -> Result<(), String> {
        if self.is_made() {
            return Ok(());
        }
        let unknown: Vec<&str> = freshness.unknown.iter().copied().collect();
        Err(format!("objects of the kind {} could not be read yet", unknown.join(", ")))
    }

    /// Decides anew, if these objects differ in what decisions are made of. Answers whether it did.
    pub(super) fn take(&mut self, objects: &Arc<Objects>, options: &Options) -> bool {
        if !self.is_made() && !objects.freshness.unknown.is_empty() {
            return false;
        }
        let before = self.objects.replace(Arc::clone(objects));
        if before.as_ref().is_some_and(|before| decides_alike(before, objects)) {
            return false;
        }
        let intent =
            intent(&Snapshot::build_within(objects, &Scope::Every), &options.node_name, options.mode);
        if before.is_some() && *self.intent == intent {
            return false;
        }
        self.intent = Arc::new(intent);
        true
    }

    /// What reports need of it.
    pub(super) fn known(&self, options: &Options, objects: &Objects) -> Known {
        let vips = self.intent.vips.values();
        let candidates = vips.clone().flat_map(|vip| vip.candidates.iter());
        let nodes = objects.nodes.keys().chain(candidates).chain([&options.node_name]);
        Known {
            names: Names::new(&options.cluster, nodes, vips.map(|vip| &vip.group)),
            intent: Arc::clone(&self.intent),
            freshness: objects.freshness.clone(),
        }
    }
}

/// Whether nothing differs but what speakers tell of themselves and of owners. After a failover thousands of such changes
/// come within a minute, and each would cost a look at every object.
fn decides_alike(before: &Objects, now: &Objects) -> bool {
    fn alike<K: PartialEq, V>(
        before: &BTreeMap<K, Arc<V>>,
        now: &BTreeMap<K, Arc<V>>,
        same: impl Fn(&V, &V) -> bool,
    ) -> bool {
        let pairs = || before.iter().zip(now);
        before.len() == now.len()
            && pairs().all(|((name, old), (new_name, new))| {
                name == new_name && (Arc::ptr_eq(old, new) || same(old, new))
            })
    }
    // Whatever is added to a view has to be thought of here.
    let Objects {
        pools,
        l2_advertisements,
        virtual_ips,
        speakers: _,
        services,
        endpoint_slices,
        nodes,
        namespaces,
        metallb_pools,
        metallb_l2_advertisements,
        refused,
        freshness: _,
    } = now;
    alike(&before.virtual_ips, virtual_ips, |old, new| old.spec == new.spec)
        && alike(&before.services, services, PartialEq::eq)
        && alike(&before.endpoint_slices, endpoint_slices, PartialEq::eq)
        && alike(&before.nodes, nodes, PartialEq::eq)
        && alike(&before.namespaces, namespaces, PartialEq::eq)
        && alike(&before.pools, pools, PartialEq::eq)
        && alike(&before.l2_advertisements, l2_advertisements, PartialEq::eq)
        && alike(&before.metallb_pools, metallb_pools, PartialEq::eq)
        && alike(&before.metallb_l2_advertisements, metallb_l2_advertisements, PartialEq::eq)
        && before.refused == *refused
}

#[cfg(test)]
mod tests {
    use ferrolb_config::api::{Layer2Owner, VirtualIP, VirtualIPStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn objects() -> Objects {
        let virtual_ip = json!({
            "metadata": { "name": "192.0.2.1" },
            "spec": { "address": "192.0.2.1", "pool": "lan", "consumers": [] },
        });
        let virtual_ip: VirtualIP = serde_json::from_value(virtual_ip).unwrap();
        Objects { virtual_ips: [("192.0.2.1".to_owned(), Arc::new(virtual_ip))].into(), ..Objects::default() }
    }

    #[test]
    fn who_owns_an_address_changes_no_decision_and_its_record_does() {
        let before = objects();
        let mut owned = objects();
        let virtual_ip = Arc::make_mut(owned.virtual_ips.get_mut("192.0.2.1").unwrap());
        let owner = Layer2Owner {
            segment: "192.0.2.0/24".to_owned(),
            interface: "eth0".to_owned(),
            node: "n1".to_owned(),
            term: 1,
            since: Time(Timestamp::UNIX_EPOCH),
            cause: String::new(),
        };
        virtual_ip.status = Some(VirtualIPStatus { layer2: vec![owner], ..VirtualIPStatus::default() });
        assert!(decides_alike(&before, &owned));
        Arc::make_mut(owned.virtual_ips.get_mut("192.0.2.1").unwrap()).spec.pool = "other".to_owned();
        assert!(!decides_alike(&before, &owned));
        assert!(!decides_alike(&before, &Objects::default()));
    }
}
