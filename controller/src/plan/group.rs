// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is elected together.
//!
//! All addresses of one Service are carried by one node, so addresses that a Service holds together are one group, and
//! so are those that are linked over sharers. A group is named after one of its Services. As all addresses of a Service
//! are in one group, no two groups have one name; and the name stays while its Service does, so that neither a second
//! family nor a sharer who comes or goes moves an address to another node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::api::{Consumer, VirtualIPSpec};

type Name<'a> = (&'a str, &'a str);

/// Fills in the groups of `virtual_ips`, keeping the names in `recorded` where they still fit.
pub(super) fn assign(
    virtual_ips: &mut BTreeMap<IpAddr, VirtualIPSpec>,
    recorded: &BTreeMap<IpAddr, VirtualIPSpec>,
) {
    let names: Vec<_> = components(virtual_ips)
        .into_iter()
        .map(|component| {
            let name = name(&component, virtual_ips, recorded);
            (component, name)
        })
        .collect();
    for (component, name) in names {
        for address in component {
            if let Some(spec) = virtual_ips.get_mut(&address) {
                spec.group.clone_from(&name);
            }
        }
    }
}

/// The addresses that are linked by common consumers, each component ascending.
fn components(virtual_ips: &BTreeMap<IpAddr, VirtualIPSpec>) -> Vec<BTreeSet<IpAddr>> {
    let mut held_by: BTreeMap<Name<'_>, Vec<IpAddr>> = BTreeMap::new();
    for (address, spec) in virtual_ips {
        for consumer in &spec.consumers {
            held_by.entry(name_of(consumer)).or_default().push(*address);
        }
    }
    let mut seen = BTreeSet::new();
    let mut components = Vec::new();
    for start in virtual_ips.keys() {
        if seen.contains(start) {
            continue;
        }
        let mut component = BTreeSet::new();
        let mut open = vec![*start];
        while let Some(address) = open.pop() {
            if !seen.insert(address) {
                continue;
            }
            component.insert(address);
            let consumers = virtual_ips.get(&address).into_iter().flat_map(|spec| &spec.consumers);
            open.extend(consumers.filter_map(|consumer| held_by.get(&name_of(consumer))).flatten());
        }
        components.push(component);
    }
    components
}

fn name(
    component: &BTreeSet<IpAddr>,
    virtual_ips: &BTreeMap<IpAddr, VirtualIPSpec>,
    recorded: &BTreeMap<IpAddr, VirtualIPSpec>,
) -> Option<String> {
    let consumers =
        || component.iter().filter_map(|address| virtual_ips.get(address)).flat_map(|spec| &spec.consumers);
    let kept = component.iter().find_map(|address| {
        let group = recorded.get(address)?.group.as_deref()?;
        let (namespace, name) = group.split_once('/')?;
        consumers().any(|consumer| name_of(consumer) == (namespace, name)).then(|| group.to_owned())
    });
    kept.or_else(|| consumers().next().map(|oldest| format!("{}/{}", oldest.namespace, oldest.name)))
}

fn name_of(consumer: &Consumer) -> Name<'_> {
    (&consumer.namespace, &consumer.name)
}
