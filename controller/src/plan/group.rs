// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is elected together, of the addresses of Services.
//!
//! All addresses of one Service are carried by one node, so addresses that a Service holds together are one group, and
//! so are those that are linked over sharers. A group is named after one of its Services. As all addresses of a Service
//! are in one group, no two groups have one name; and the name stays while its Service does, so that neither a second
//! family nor a sharer who comes or goes moves an address to another node.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::api::{Consumer, ConsumerKind, VirtualIP, VirtualIPSpec};

type Name<'a> = (&'a str, &'a str);

/// Fills in the groups of `virtual_ips`, keeping the names in `recorded` where they still fit.
pub(super) fn assign(
    virtual_ips: &mut BTreeMap<IpAddr, VirtualIPSpec>,
    recorded: &BTreeMap<IpAddr, Arc<VirtualIP>>,
) {
    let groups = groups(virtual_ips, recorded);
    for (spec, group) in virtual_ips.values_mut().zip(groups) {
        spec.group = group;
    }
}

/// The group of each address, in the order of the addresses.
fn groups(
    virtual_ips: &BTreeMap<IpAddr, VirtualIPSpec>,
    recorded: &BTreeMap<IpAddr, Arc<VirtualIP>>,
) -> Vec<Option<String>> {
    let mut links = Links((0..virtual_ips.len()).collect());
    let mut first_of: HashMap<Name<'_>, usize> = HashMap::new();
    for (place, spec) in virtual_ips.values().enumerate() {
        for consumer in spec.consumers.iter().filter(|consumer| consumer.kind == ConsumerKind::Service) {
            let first = *first_of.entry(name_of(consumer)).or_insert(place);
            links.link(first, place);
        }
    }
    // A recorded name that still fits counts before a new one, and the lower address before the higher.
    let mut names: Vec<Option<&str>> = vec![None; virtual_ips.len()];
    for (place, address) in virtual_ips.keys().enumerate() {
        let group = recorded.get(address).and_then(|object| object.spec.group.as_deref());
        let member = group.and_then(|group| first_of.get(&group.split_once('/')?));
        if let (Some(group), Some(member)) = (group, member)
            && links.root(*member) == links.root(place)
            && let Some(name) = names.get_mut(links.root(place))
        {
            name.get_or_insert(group);
        }
    }
    let oldest: Vec<_> = virtual_ips.values().map(|spec| spec.consumers.first()).collect();
    (0..virtual_ips.len())
        .map(|place| {
            let root = links.root(place);
            if let Some(Some(name)) = names.get(root) {
                return Some((*name).to_owned());
            }
            // The lowest address of the group names it.
            let first = oldest.get(root).copied().flatten()?;
            Some([first.namespace.as_str(), "/", first.name.as_str()].concat())
        })
        .collect()
}

/// Who is linked with whom: each place points to a lower one of its group, the lowest to itself.
struct Links(Vec<usize>);

impl Links {
    fn root(&self, place: usize) -> usize {
        let mut place = place;
        while let Some(next) = self.0.get(place).filter(|next| **next != place) {
            place = *next;
        }
        place
    }

    fn link(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(higher) = self.0.get_mut(one.max(other)) {
            *higher = one.min(other);
        }
    }
}

fn name_of(consumer: &Consumer) -> Name<'_> {
    (&consumer.namespace, &consumer.name)
}
