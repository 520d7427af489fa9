// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is elected together, of the addresses of Services.
//!
//! All addresses of one Service are carried by one node, so addresses that a Service holds together are one group, and
//! so are those that are linked over sharers. A group is named after one of its Services when it comes to be, and keeps
//! that name as long as somebody stays: another name would be another election, and neither a second family nor a sharer
//! who comes or goes may move an address to another node. No two groups have one name.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    // A recorded name counts before a new one. Where one group has become two, the lower address keeps it.
    let places: HashMap<IpAddr, usize> = virtual_ips.keys().copied().zip(0..).collect();
    let mut names: Vec<Option<&str>> = vec![None; virtual_ips.len()];
    let mut kept: HashSet<&str> = HashSet::new();
    for (place, (address, spec)) in virtual_ips.iter().enumerate() {
        let root = links.root(place);
        // The name of an address is that of another group as soon as the address is.
        let fits = |group: &&str| match group.parse() {
            Ok(address) => places.get(&address).is_some_and(|named| links.root(*named) == root),
            Err(_) => true,
        };
        let stays = |object: &&Arc<VirtualIP>| have_one_in_common(&object.spec.consumers, &spec.consumers);
        let object = recorded.get(address).filter(stays);
        let group = object.and_then(|object| object.spec.group.as_deref()).filter(fits);
        if let (Some(group), Some(name @ None)) = (group, names.get_mut(root))
            && kept.insert(group)
        {
            *name = Some(group);
        }
    }
    let lowest: Vec<_> = virtual_ips.iter().collect();
    (0..virtual_ips.len())
        .map(|place| {
            let root = links.root(place);
            if let Some(Some(name)) = names.get(root) {
                return Some((*name).to_owned());
            }
            // The lowest address of the group names it: after its oldest Service that no other group is named after.
            let (address, spec) = lowest.get(root)?;
            let mut services = spec.consumers.iter().map(|one| [&one.namespace, "/", &one.name].concat());
            Some(services.find(|name| !kept.contains(name.as_str())).unwrap_or_else(|| address.to_string()))
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

/// Whether somebody has been there all the time.
fn have_one_in_common(before: &[Consumer], now: &[Consumer]) -> bool {
    before.iter().any(|was| now.iter().any(|is| (is.kind, name_of(is)) == (was.kind, name_of(was))))
}

fn name_of(consumer: &Consumer) -> Name<'_> {
    (&consumer.namespace, &consumer.name)
}
