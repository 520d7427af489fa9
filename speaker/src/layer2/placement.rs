// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which interface carries which virtual IP: pure, from what is wanted and the interfaces that are there.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use ferrolb_layer2::{GroupId, GroupIntent, LinkState, NodeId};

use crate::group::Group;
use crate::kernel::links::{Link, LinkIndex, Links};

/// The interfaces on which an address may be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// The one with an on-link prefix that holds the address: there its hosts look for it.
    OnLink,
    /// Those that an advertisement names, whatever their prefixes.
    Named(Vec<String>),
}

/// One virtual IP as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedVip {
    /// What is elected together.
    pub group: Group,
    /// All nodes that may carry it.
    pub candidates: Arc<[NodeId]>,
    /// How much each is preferred; who is not named is not.
    pub preferences: Arc<BTreeMap<NodeId, u32>>,
    /// Whether this node may carry it now: it is a candidate and its data path is in place.
    pub ready: bool,
    /// Where it may be announced.
    pub interfaces: Interfaces,
    /// The owner has it on the interface.
    pub bound: bool,
    /// A TCP port that its carrier serves to everybody.
    pub tcp_port: Option<NonZeroU16>,
}

/// Every virtual IP that is announced by layer 2 from some node.
pub type Wanted = BTreeMap<IpAddr, WantedVip>;

/// What one interface has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The interface's name.
    pub name: String,
    /// The interface's state.
    pub link: LinkState,
    /// The groups that it carries, in the order of their ids.
    pub groups: Vec<GroupIntent>,
    /// Those of their addresses that the owner has on the interface.
    pub bound: BTreeMap<IpAddr, GroupId>,
    /// TCP ports that carriers of these addresses serve to everybody.
    pub tcp_ports: BTreeMap<IpAddr, NonZeroU16>,
}

/// Why no interface of this node carries an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoInterface {
    /// The reason to show.
    pub reason: Reason,
    /// A sentence that names what was looked for.
    pub message: String,
}

/// What every interface has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The interfaces that carry addresses.
    pub segments: BTreeMap<LinkIndex, Arc<SegmentPlan>>,
    /// Groups with addresses on more than one of them.
    pub spanning: BTreeSet<GroupId>,
    /// The addresses that none carries.
    pub refusals: BTreeMap<IpAddr, NoInterface>,
}

/// Assigns every wanted address to the interfaces that carry it.
#[must_use]
pub fn place(wanted: &Wanted, links: &Links) -> Placement {
    let mut placement = Placement::default();
    let mut groups: BTreeMap<LinkIndex, BTreeMap<GroupId, GroupIntent>> = BTreeMap::new();
    for (address, vip) in wanted {
        match carriers(*address, &vip.interfaces, links) {
            Ok(carriers) => {
                for link in carriers {
                    add(groups.entry(link.index).or_default(), *address, vip);
                }
            }
            Err(refusal) => {
                placement.refusals.insert(*address, refusal);
            }
        }
    }
    // A group that this node cannot carry on one segment leaves it on all.
    let is_down = |index: &LinkIndex| links.get(*index).is_none_or(|link| !link.up);
    let down = groups.iter().filter(|(index, _)| is_down(index));
    let cut_off: BTreeSet<GroupId> = down.flat_map(|(_, groups)| groups.keys().copied()).collect();
    for group in groups.values_mut().flat_map(BTreeMap::values_mut) {
        group.ready &= !cut_off.contains(&group.id);
    }
    for (index, groups) in groups {
        let Some((link, state)) = links.get(index).and_then(|link| Some((link, state_of(link)?))) else {
            continue;
        };
        let groups: Vec<GroupIntent> = groups.into_values().collect();
        let bound = bound_addresses(&groups, wanted);
        let tcp_port = |address: &IpAddr| Some((*address, wanted.get(address)?.tcp_port?));
        let tcp_ports = groups.iter().flat_map(|group| &group.addresses).filter_map(tcp_port).collect();
        let plan = SegmentPlan { name: link.name.clone(), link: state, groups, bound, tcp_ports };
        placement.segments.insert(index, Arc::new(plan));
    }
    placement.spanning = spanning(placement.segments.values());
    placement
}

fn spanning<'a>(plans: impl Iterator<Item = &'a Arc<SegmentPlan>>) -> BTreeSet<GroupId> {
    let mut seen = BTreeSet::new();
    let groups = plans.flat_map(|plan| &plan.groups).map(|group| group.id);
    groups.filter(|group| !seen.insert(*group)).collect()
}

/// Adds an address to its group. What a group may do is what all its addresses may.
fn add(groups: &mut BTreeMap<GroupId, GroupIntent>, address: IpAddr, vip: &WantedVip) {
    let id = vip.group.id();
    let group = groups.entry(id).or_insert_with(|| GroupIntent {
        id,
        addresses: Vec::new(),
        candidates: Arc::clone(&vip.candidates),
        preferences: Arc::clone(&vip.preferences),
        ready: true,
        bound: false,
    });
    group.bound |= vip.bound;
    group.addresses.push(address);
    if *group.candidates != *vip.candidates {
        let both = group.candidates.iter().filter(|node| vip.candidates.contains(node));
        group.candidates = both.copied().collect();
    }
    group.ready &= vip.ready;
}

fn bound_addresses(groups: &[GroupIntent], wanted: &Wanted) -> BTreeMap<IpAddr, GroupId> {
    let bound = groups.iter().filter(|group| group.bound);
    let addresses = bound.flat_map(|group| group.addresses.iter().map(|address| (*address, group.id)));
    addresses.filter(|(address, _)| wanted.get(address).is_some_and(|vip| vip.bound)).collect()
}

fn state_of(link: &Link) -> Option<LinkState> {
    Some(LinkState {
        up: link.up,
        mac: link.mac?,
        addresses: link.addresses.clone(),
        gateways: link.gateways.clone(),
    })
}

fn carriers<'a>(address: IpAddr, rule: &Interfaces, links: &'a Links) -> Result<Vec<&'a Link>, NoInterface> {
    match rule {
        Interfaces::OnLink => {
            let usable = links.iter().filter(|link| link.can_carry());
            let found = on_its_segment(address, usable).ok_or_else(|| NoInterface {
                reason: Reason::NoMatchingInterface,
                message: format!(
                    "no interface has an address in a subnet with {address}; give one such an address, or name the \
                     interface in the L2Advertisement"
                ),
            })?;
            Ok(vec![found])
        }
        Interfaces::Named(names) => {
            let named: Vec<&Link> = names.iter().filter_map(|name| links.named(name)).collect();
            if named.is_empty() {
                return Err(NoInterface {
                    reason: Reason::InterfaceNotFound,
                    message: format!(
                        "the L2Advertisement names {}, which this node does not have",
                        list(names)
                    ),
                });
            }
            let usable: Vec<&Link> = named.iter().copied().filter(|link| link.can_carry()).collect();
            if usable.is_empty() {
                let found: Vec<String> = named.iter().map(|link| link.name.clone()).collect();
                return Err(NoInterface {
                    reason: Reason::NoMatchingInterface,
                    message: format!(
                        "{} cannot carry addresses: it must be Ethernet with ARP, and no port of a bond or bridge \
                         (name the bond or bridge itself)",
                        list(&found)
                    ),
                });
            }
            let on_link = on_its_segment(address, usable.iter().copied()).into_iter();
            Ok(usable.iter().copied().filter(|link| !link.is_on_link(address)).chain(on_link).collect())
        }
    }
}

/// Of the interfaces in the address's subnet the one in use: the longest prefix, as in routing, then one that is up.
/// Two of them on one segment would be two stations in the name of one node.
fn on_its_segment<'a>(address: IpAddr, links: impl Iterator<Item = &'a Link>) -> Option<&'a Link> {
    links
        .filter_map(|link| Some(((link.on_link(address)?.prefix_len(), link.up, Reverse(link.index)), link)))
        .max_by_key(|(preference, _)| *preference)
        .map(|(_, link)| link)
}

fn list(names: &[String]) -> String {
    match names {
        [] => "no interface".to_owned(),
        names => names.join(", "),
    }
}
