// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's L2Advertisements beside ours.

use super::counterpart::merged;
use super::{L2_ADVERTISEMENT, Merged, metallb, unknown_fields};
use crate::api::{L2Advertisement, L2AdvertisementSpec, PreferredNodeSelector};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::Refusal;

/// All advertisements.
pub(crate) fn l2_advertisements(objects: &Objects) -> Merged<'_, L2Advertisement> {
    let (ours, theirs) = (&objects.l2_advertisements, &objects.metallb_l2_advertisements);
    merged(ours, theirs, L2_ADVERTISEMENT, |itself, object| mapped(itself, &object.spec))
}

/// The advertisement in our words, and what is lost of it.
fn mapped(object: &ObjectRef, spec: &metallb::L2AdvertisementSpec) -> (L2AdvertisementSpec, Vec<Refusal>) {
    let mut warnings = unknown_fields(object, "spec", &spec.unknown);
    let mut preferred = Vec::new();
    for (index, preference) in spec.preferred_node_selectors.iter().enumerate() {
        let field = format!("spec.preferredNodeSelectors[{index}]");
        warnings.extend(unknown_fields(object, &field, &preference.unknown));
        let weight = u8::try_from(preference.weight.clamp(0, 255)).unwrap_or_default();
        preferred.push(PreferredNodeSelector { weight, preference: preference.preference.clone() });
    }
    let spec = L2AdvertisementSpec {
        address_pools: spec.ip_address_pools.clone(),
        address_pool_selectors: spec.ip_address_pool_selectors.clone(),
        node_selectors: spec.node_selectors.clone(),
        preferred_node_selectors: preferred,
        service_selectors: spec.service_selectors.clone(),
        interfaces: spec.interfaces.clone(),
    };
    (spec, warnings)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::Snapshot;
    use crate::api::L2Advertisement;
    use crate::objects::Object;
    use crate::reason::Reason;

    fn theirs(spec: serde_json::Value) -> Object {
        let object = json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
            "metadata": {"name": "lan", "namespace": "metallb-system"}, "spec": spec,
        });
        Object::MetalLBL2Advertisement(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn ours(spec: serde_json::Value) -> Object {
        let spec = serde_json::from_value(spec).unwrap();
        Object::L2Advertisement(Arc::new(L2Advertisement::new("lan", spec)))
    }

    fn snapshot(objects: impl IntoIterator<Item = Object>) -> Snapshot {
        let mut all = Objects::default();
        objects.into_iter().for_each(|object| all.insert(object));
        Snapshot::build(&all)
    }

    #[test]
    fn an_advertisement_of_metallb_is_one_with_all_that_it_says() {
        let spec = json!({
            "ipAddressPools": ["first"], "ipAddressPoolSelectors": [{"matchLabels": {"zone": "a"}}],
            "nodeSelectors": [{"matchLabels": {"edge": "true"}}], "interfaces": ["eth0"],
            "serviceSelectors": [{"matchLabels": {"public": "true"}}],
        });
        let snapshot = snapshot([theirs(spec)]);
        let advertisement = &snapshot.advertisements["lan"];
        assert!(advertisement.pools.contains("first") && advertisement.interfaces.contains("eth0"));
        let selectors =
            [&advertisement.pool_selectors, &advertisement.node_selectors, &advertisement.service_selectors];
        assert!(selectors.iter().all(|selectors| selectors.len() == 1));
        assert_eq!(snapshot.refused, []);
    }

    #[test]
    fn an_empty_one_announces_every_pool() {
        assert!(snapshot([theirs(json!({}))]).advertisements["lan"].pools.is_empty());
    }

    #[test]
    fn preferred_nodes_are_read_with_their_weights_and_what_is_unknown_in_them_is_a_warning() {
        let racks = |more: serde_json::Value| {
            let mut one = json!({"weight": 60, "preference": {"matchLabels": {"rack": "a"}}});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            snapshot([theirs(json!({"preferredNodeSelectors": [one]}))])
        };
        let plain = racks(json!({}));
        assert_eq!((plain.advertisements["lan"].preferred_nodes[0].0, plain.refused.len()), (60, 0));
        let more = racks(json!({"strength": 1}));
        let [warning] = more.refused.as_slice() else { panic!("{:?}", more.refused) };
        assert_eq!(warning.field.as_deref(), Some("spec.preferredNodeSelectors[0].strength"));
        assert!(racks(json!({"weight": 0})).advertisements.is_empty());
    }

    #[test]
    fn an_own_advertisement_of_the_same_name_is_used_instead_and_a_broken_one_takes_nothing_away() {
        let metallb = || theirs(json!({"ipAddressPools": ["first"]}));
        let equal = snapshot([metallb(), ours(json!({"addressPools": ["first"]}))]);
        assert_eq!(equal.refused, []);
        let other = snapshot([metallb(), ours(json!({"addressPools": ["second"]}))]);
        assert!(other.advertisements["lan"].pools.contains("second"));
        assert_eq!(other.refused[0].reason, Reason::DuplicateObject);
        let selector = json!({"matchExpressions": [{"key": "a", "operator": "Nonsense"}]});
        let broken = snapshot([metallb(), ours(json!({"nodeSelectors": [selector]}))]);
        assert!(broken.advertisements["lan"].pools.contains("first"));
    }
}
