// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! L2Advertisements with their selectors read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::lists::{self, any_or_empty, select_pool, twice};
use super::{LoadBalancer, NodeInfo, Pool};
use crate::api::{L2Advertisement, L2AdvertisementSpec};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;

/// Which pools are announced, from which nodes and interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Its name.
    pub name: String,
    /// Pools by name.
    pub pools: BTreeSet<String>,
    /// Pools by label, in addition to those named.
    pub pool_selectors: Vec<Selector>,
    /// Nodes that may carry the addresses; empty: all.
    pub node_selectors: Vec<Selector>,
    /// Nodes that come first among them, with weights.
    pub preferred_nodes: Vec<(u8, Selector)>,
    /// Services whose addresses are announced; empty: all.
    pub service_selectors: Vec<Selector>,
    /// Interfaces to announce from; empty: those whose on-link prefix holds the address.
    pub interfaces: BTreeSet<String>,
}

impl Advertisement {
    /// Whether addresses of `pool` are announced.
    pub fn selects_pool(&self, pool: &Pool) -> bool {
        select_pool(&self.pools, &self.pool_selectors, pool)
    }

    /// Whether `node` may carry the addresses.
    pub fn selects_node(&self, node: &NodeInfo) -> bool {
        any_or_empty(&self.node_selectors, &node.labels)
    }

    /// How much `node` is preferred: the sum of the weights of all selectors that match it. Nothing for a node that is not
    /// selected: preferences order, selectors filter.
    pub fn preference_for(&self, node: &NodeInfo) -> u32 {
        if !self.selects_node(node) {
            return 0;
        }
        let matching = self.preferred_nodes.iter().filter(|(_, selector)| selector.matches(&node.labels));
        matching.map(|(weight, _)| u32::from(*weight)).sum()
    }

    /// Whether the addresses of `service` are announced.
    pub fn selects_service(&self, service: &LoadBalancer) -> bool {
        any_or_empty(&self.service_selectors, &service.labels)
    }
}

pub(super) fn build(
    objects: &BTreeMap<String, Arc<L2Advertisement>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<String, Advertisement> {
    let mut advertisements = BTreeMap::new();
    for (name, object) in objects {
        let usable = read(name, &object.spec).or_else(|refusals| {
            refused.extend(refusals);
            let accepted = object.status.as_ref().and_then(|status| status.accepted.as_ref());
            accepted.ok_or(()).and_then(|spec| read(name, spec).map_err(drop))
        });
        if let Ok(advertisement) = usable {
            advertisements.insert(name.clone(), advertisement);
        }
        let itself = ObjectRef::cluster("L2Advertisement", name);
        refused.extend(twice(&itself, "addressPools", &object.spec.address_pools));
        refused.extend(twice(&itself, "interfaces", &object.spec.interfaces));
    }
    advertisements
}

fn weightless(name: &str, spec: &L2AdvertisementSpec) -> impl Iterator<Item = Refusal> {
    let weights = spec.preferred_node_selectors.iter().map(|it| it.weight).enumerate();
    weights.filter(|(_, weight)| !(1..=100).contains(weight)).map(move |(index, weight)| {
        let object = ObjectRef::cluster("L2Advertisement", name);
        Refusal::error(Reason::InvalidValue, object, format!("a weight is 1 to 100, not {weight}"))
            .field(format!("spec.preferredNodeSelectors[{index}].weight"))
            .remedy("Correct the weight; until then the last accepted form stays in force.")
    })
}

fn read(name: &str, spec: &L2AdvertisementSpec) -> Result<Advertisement, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let object = ObjectRef::cluster("L2Advertisement", name);
    let mut selectors =
        |field: &str, within: &str, list: &[_]| lists::selectors(&object, field, within, list, &mut refusals);
    let preferences: Vec<_> = spec.preferred_node_selectors.iter().map(|it| it.preference.clone()).collect();
    let preferred = selectors("preferredNodeSelectors", "preference.", &preferences);
    let weights = spec.preferred_node_selectors.iter().map(|it| it.weight);
    let advertisement = Advertisement {
        name: name.to_owned(),
        pools: spec.address_pools.iter().cloned().collect(),
        pool_selectors: selectors("addressPoolSelectors", "", &spec.address_pool_selectors),
        node_selectors: selectors("nodeSelectors", "", &spec.node_selectors),
        service_selectors: selectors("serviceSelectors", "", &spec.service_selectors),
        interfaces: spec.interfaces.iter().cloned().collect(),
        preferred_nodes: weights.zip(preferred).collect(),
    };
    refusals.extend(weightless(name, spec));
    if refusals.is_empty() { Ok(advertisement) } else { Err(refusals) }
}
