// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the decisions about all addresses have in common: pools, advertisements, and the nodes that these select.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{self, Advertisement, Away, NodeInfo};
use ferrolb_config::{ObjectRef, Objects};

use super::difference::is_alike;
use super::routing::{self, Advertisements, Named};
use super::{InterfaceRule, Obstacle};

/// What follows from sets of advertisements, by their names.
type ByNames<T> = BTreeMap<Vec<String>, Arc<T>>;

/// What the decisions about all addresses have in common.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub(super) is: snapshot::Ground,
    /// Its BGPAdvertisements, by names that routes share.
    pub(super) bgp_advertisements: Advertisements,
    /// The Services of which the source refuses a source range.
    unreadable_ranges: BTreeSet<ObjectRef>,
    /// The nodes that sets of advertisements select, by the advertisements' names: thousands of addresses share a few.
    selected: RefCell<ByNames<BTreeSet<String>>>,
    /// The nodes that sets of BGPAdvertisements select, by their names.
    announcing: RefCell<ByNames<BTreeSet<String>>>,
    /// How much these sets prefer nodes.
    preferred: RefCell<ByNames<BTreeMap<String, u32>>>,
}

impl Ground {
    pub(super) fn read(objects: &Objects) -> Self {
        let mut is = snapshot::Ground::build(objects, &mut Vec::new());
        for node in is.nodes.values_mut() {
            // Nothing follows from these: whether a node is alive, its hellos say.
            node.ready = None;
            node.addresses.clear();
        }
        let unreadable_ranges = objects.refused.iter().filter(|refusal| is_of_ranges(refusal));
        let unreadable_ranges = unreadable_ranges.filter_map(|refusal| refusal.object.clone()).collect();
        let bgp_advertisements =
            is.bgp_advertisements.iter().map(|(name, it)| (name.as_str().into(), Arc::clone(it))).collect();
        Self {
            is,
            bgp_advertisements,
            unreadable_ranges,
            selected: RefCell::default(),
            announcing: RefCell::default(),
            preferred: RefCell::default(),
        }
    }

    /// Whether the same follows from it for every address. Who is spoken to, and what is said of routes, follows for no address.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        // Named one by one, so that a new field is put on one side or the other.
        let snapshot::Ground {
            pools,
            advertisements,
            bgp_advertisements,
            nodes,
            peers: _,
            bfd_profiles: _,
            communities: _,
        } = &self.is;
        let (asking, as_well) = (bgp_advertisements, &other.is.bgp_advertisements);
        *pools == other.is.pools
            && *advertisements == other.is.advertisements
            && *nodes == other.is.nodes
            && asking.keys().eq(as_well.keys())
            && asking.values().zip(as_well.values()).all(|(one, other)| routing::asks_alike(one, other))
            && self.unreadable_ranges == other.unreadable_ranges
    }

    /// Whether the objects that it is read from are the same.
    pub(super) fn is_untouched(before: &Objects, now: &Objects) -> bool {
        is_alike(&before.pools, &now.pools)
            && is_alike(&before.l2_advertisements, &now.l2_advertisements)
            && is_alike(&before.metallb_pools, &now.metallb_pools)
            && is_alike(&before.metallb_l2_advertisements, &now.metallb_l2_advertisements)
            && Self::is_routing_untouched(before, now)
            && is_alike(&before.nodes, &now.nodes)
            && before.refused == now.refused
    }

    /// The same of the objects that speak of routers.
    fn is_routing_untouched(before: &Objects, now: &Objects) -> bool {
        is_alike(&before.bgp_peers, &now.bgp_peers)
            && is_alike(&before.bgp_advertisements, &now.bgp_advertisements)
            && is_alike(&before.bfd_profiles, &now.bfd_profiles)
            && is_alike(&before.communities, &now.communities)
            && is_alike(&before.metallb_bgp_peers, &now.metallb_bgp_peers)
            && is_alike(&before.metallb_bgp_advertisements, &now.metallb_bgp_advertisements)
            && is_alike(&before.metallb_bfd_profiles, &now.metallb_bfd_profiles)
            && is_alike(&before.metallb_communities, &now.metallb_communities)
    }

    /// Whether the passwords are the same.
    pub(super) fn are_passwords_untouched(before: &Objects, now: &Objects) -> bool {
        is_alike(&before.secrets, &now.secrets) && is_alike(&before.metallb_secrets, &now.metallb_secrets)
    }

    /// Whether a source range of the Service cannot be read: by the source, or as `refused` says.
    pub(super) fn has_unreadable_ranges(&self, service: &ObjectRef, refused: &[Refusal]) -> bool {
        self.unreadable_ranges.contains(service) || refused.iter().any(is_of_ranges)
    }

    /// The nodes that one of `advertisements` selects and that nothing keeps away. A node that is not Ready is not
    /// kept away: whether it is alive, its hellos say.
    pub(super) fn selected_by(&self, advertisements: &[&Advertisement]) -> Arc<BTreeSet<String>> {
        let key = advertisements.iter().map(|advertisement| advertisement.name.clone()).collect();
        let mut selected = self.selected.borrow_mut();
        let set = selected.entry(key).or_insert_with(|| {
            let eligible = |info: &NodeInfo| {
                info.away.is_none()
                    && advertisements.iter().any(|advertisement| advertisement.selects_node(info))
            };
            let names = self.is.nodes.iter().filter(|(_, info)| eligible(info)).map(|(name, _)| name.clone());
            Arc::new(names.collect())
        });
        Arc::clone(set)
    }

    /// The nodes that one of `advertisements` selects and that may announce routes, those that are leaving among them.
    pub(super) fn announcing(&self, advertisements: &[Named<'_>]) -> Arc<BTreeSet<String>> {
        let key = advertisements.iter().map(|(name, _)| name.to_string()).collect();
        let mut announcing = self.announcing.borrow_mut();
        let set = announcing.entry(key).or_insert_with(|| {
            let selected = |info: &NodeInfo| advertisements.iter().any(|(_, it)| it.selects_node(info));
            let nodes = self.is.nodes.iter();
            let nodes = nodes.filter(|(_, info)| routing::may_announce(info) && selected(info));
            Arc::new(nodes.map(|(name, _)| name.clone()).collect())
        });
        Arc::clone(set)
    }

    /// Whether one of `advertisements` selects the node for an address of a FloatingIP, and nothing but the label that is
    /// for load balancers keeps it away.
    pub(super) fn may_float_to(&self, node: &NodeInfo, advertisements: &[&Advertisement]) -> bool {
        matches!(node.away, None | Some(Away::Excluded))
            && advertisements.iter().any(|advertisement| advertisement.selects_node(node))
    }

    /// How much `advertisements` prefer nodes, each counted once; nodes that they do not prefer are left out.
    pub(super) fn preferred_by<'b>(
        &self,
        advertisements: impl Iterator<Item = &'b Advertisement>,
    ) -> Arc<BTreeMap<String, u32>> {
        let unique: BTreeMap<&str, &Advertisement> =
            advertisements.map(|it| (it.name.as_str(), it)).collect();
        let key = unique.keys().map(|name| (*name).to_owned()).collect();
        let mut preferred = self.preferred.borrow_mut();
        let weights = preferred.entry(key).or_insert_with(|| {
            let sum = |info: &NodeInfo| unique.values().map(|it| it.preference_for(info)).sum::<u32>();
            let sums = self.is.nodes.iter().map(|(name, info)| (name.clone(), sum(info)));
            Arc::new(sums.filter(|(_, sum)| *sum > 0).collect())
        });
        Arc::clone(weights)
    }

    /// Why `node` is not among those that `advertisements` select.
    pub(super) fn why_not_selected(&self, node: &str, advertisements: &[&Advertisement]) -> Obstacle {
        self.why_node_not_selected(node, &name_all(advertisements))
    }

    /// The same for advertisements that are called `advertisements`.
    pub(super) fn why_node_not_selected(&self, node: &str, advertisements: &str) -> Obstacle {
        match self.is.nodes.get(node) {
            None => Self::no_such_node(node),
            Some(NodeInfo { away: Some(away), .. }) => {
                Obstacle::new(away.reason(), format!("Node {node} {away}"))
            }
            Some(_) => Obstacle::new(
                Reason::NodeNotSelected,
                format!("no nodeSelector of {advertisements} matches Node {node}"),
            ),
        }
    }

    /// Why `node` does nothing, given that nobody described it.
    pub(super) fn no_such_node(node: &str) -> Obstacle {
        let message = format!(
            "there is no Node {node}; without a cluster, write one (kind: Node, metadata.name: {node})"
        );
        Obstacle::new(Reason::NotFound, message)
    }

    /// Where `node` announces what `advertisements` cover: only those that select it count, their interfaces add up, and
    /// one that names none means all that fit.
    pub(super) fn interfaces<'b>(
        &self,
        node: &str,
        advertisements: impl Iterator<Item = &'b Advertisement>,
    ) -> InterfaceRule {
        let info = self.is.nodes.get(node);
        let mut named = BTreeSet::new();
        for advertisement in advertisements.filter(|it| info.is_some_and(|info| it.selects_node(info))) {
            if advertisement.interfaces.is_empty() {
                return InterfaceRule::OnLink;
            }
            named.extend(advertisement.interfaces.iter().cloned());
        }
        if named.is_empty() { InterfaceRule::OnLink } else { InterfaceRule::Named(named) }
    }
}

pub(super) fn name_all(advertisements: &[&Advertisement]) -> String {
    let names: Vec<&str> = advertisements.iter().map(|advertisement| advertisement.name.as_str()).collect();
    format!("L2Advertisement {}", names.join(", "))
}

fn is_of_ranges(refusal: &Refusal) -> bool {
    refusal.field.as_deref().is_some_and(|field| field.starts_with("spec.loadBalancerSourceRanges"))
}
