// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keeps the intent in step with the objects. What a change does not touch is not looked at, so that its cost does not
//! grow with what else there is but for a walk along pointers; and nothing is kept or built beside the intent that is as
//! large as the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{FloatingIP, VirtualIPSpec};
use ferrolb_config::snapshot::address_in_use;
use ferrolb_config::{Objects, ServiceName};

use super::difference::differences;
use super::ground::Ground;
use super::uses::{Consumers, Slices};
use super::view::View;
use super::{Intent, Part, VipIntent, floating, part, routing, sharing};
use crate::datapath::{Backends, Frontend, Mode, Protocol};
use crate::group::Group;

/// What one node should do, kept in step with the objects.
#[derive(Debug)]
pub struct Follower {
    node: String,
    mode: Mode,
    /// What the intent follows from.
    objects: Option<Arc<Objects>>,
    ground: Ground,
    consumers: Consumers,
    slices: Slices,
    /// What would be done with each address if it were alone in its group.
    alone: BTreeMap<IpAddr, Arc<VipIntent>>,
    /// The addresses for which the labels of namespaces were asked for.
    reading_namespaces: BTreeSet<IpAddr>,
    intent: Arc<Intent>,
}

impl Follower {
    /// Knows no objects yet. The ports are led by `mode`; where that is kube-proxy's work, none are asked of ours.
    pub fn new(node: impl Into<String>, mode: Mode) -> Self {
        Self {
            node: node.into(),
            mode,
            objects: None,
            ground: Ground::default(),
            consumers: Consumers::default(),
            slices: Slices::default(),
            alone: BTreeMap::new(),
            reading_namespaces: BTreeSet::new(),
            intent: Arc::default(),
        }
    }

    /// Whether it knows any objects.
    pub fn has_begun(&self) -> bool {
        self.objects.is_some()
    }

    /// What the node should do.
    pub fn intent(&self) -> &Arc<Intent> {
        &self.intent
    }

    /// Takes new objects. Answers whether the intent is another one; the first one always is.
    pub fn follow(&mut self, objects: &Arc<Objects>) -> bool {
        let before = self.objects.replace(Arc::clone(objects));
        let is_first = before.is_none();
        let before = before.unwrap_or_default();
        let mut touched = BTreeSet::new();
        self.take_virtual_ips(&before, objects, &mut touched);
        self.take_floating_ips(&before, objects, &mut touched);
        self.take_services(&before, objects, &mut touched);
        let is_elsewhere = self.take_ground(&before, objects, is_first, &mut touched);
        let is_rerouted = is_elsewhere || !Ground::are_passwords_untouched(&before, objects);
        drop(before);
        let next = self.decide(objects, &touched);
        let next = if is_rerouted { self.reroute(objects, next) } else { next };
        let changed = next.as_ref().is_some_and(|next| *next != *self.intent);
        if let Some(next) = next.filter(|_| changed) {
            self.intent = Arc::new(next);
        }
        is_first || changed
    }

    /// Nothing follows from their status: after a failover, thousands of these change within a minute.
    fn take_virtual_ips(&mut self, before: &Objects, now: &Objects, touched: &mut BTreeSet<IpAddr>) {
        for difference in differences(&before.virtual_ips, &now.virtual_ips) {
            if difference.is_void(|before, now| before.spec == now.spec) {
                continue;
            }
            let in_use = |object| address_in_use(difference.name, object);
            if let Some(object) = difference.before
                && let Some(address) = in_use(object)
            {
                self.consumers.remove(address, &object.spec);
                touched.insert(address);
            }
            if let Some(object) = difference.now
                && let Some(address) = in_use(object)
            {
                self.consumers.add(address, &object.spec);
                touched.insert(address);
            }
        }
    }

    /// Nothing follows from the addresses and conditions in their status.
    fn take_floating_ips(&self, before: &Objects, now: &Objects, touched: &mut BTreeSet<IpAddr>) {
        let accepted =
            |object: &FloatingIP| object.status.as_ref().and_then(|status| status.accepted.clone());
        let same = |before: &FloatingIP, now: &FloatingIP| {
            before.spec == now.spec && accepted(before) == accepted(now)
        };
        for difference in differences(&before.floating_ips, &now.floating_ips) {
            if !difference.is_void(same) {
                let ServiceName { namespace, name } = difference.name;
                touched.extend(self.consumers.addresses_of(namespace, name));
            }
        }
    }

    fn take_services(&mut self, before: &Objects, now: &Objects, touched: &mut BTreeSet<IpAddr>) {
        let mut changed: BTreeSet<(&str, &str)> = BTreeSet::new();
        for difference in differences(&before.services, &now.services) {
            if !difference.is_void(PartialEq::eq) {
                changed.insert((&difference.name.namespace, &difference.name.name));
            }
        }
        for difference in differences(&before.endpoint_slices, &now.endpoint_slices) {
            let services = [
                difference.before.and_then(|slice| self.slices.remove(slice)),
                difference.now.and_then(|slice| self.slices.add(slice)),
            ];
            if !difference.is_void(PartialEq::eq) {
                changed.extend(services.into_iter().flatten());
            }
        }
        for (namespace, name) in &changed {
            touched.extend(self.consumers.addresses_of(namespace, name));
        }
        // A FloatingIP of which the spec changed is touched already, so those of now are all that there are.
        for (fip, object) in now.floating_ips.iter().filter(|_| !changed.is_empty()) {
            let mut services = floating::services_of(object).into_iter();
            if services.any(|service| changed.contains(&(fip.namespace.as_str(), service))) {
                touched.extend(self.consumers.addresses_of(&fip.namespace, &fip.name));
            }
        }
    }

    /// Takes what many addresses have in common. Answers whether the objects are other ones that it is read from.
    fn take_ground(
        &mut self,
        before: &Objects,
        now: &Objects,
        is_first: bool,
        touched: &mut BTreeSet<IpAddr>,
    ) -> bool {
        let mut namespaces = differences(&before.namespaces, &now.namespaces);
        if namespaces.any(|it| !it.is_void(|before, now| before.metadata.labels == now.metadata.labels)) {
            touched.extend(&self.reading_namespaces);
        }
        if !is_first && Ground::is_untouched(before, now) {
            return false;
        }
        let before = std::mem::replace(&mut self.ground, Ground::read(now));
        if !self.ground.is_same(&before) {
            touched.extend(self.alone.keys());
        }
        true
    }

    /// Decides anew whom this node speaks to, and what it says of routes. `next`: what else is another, if anything is.
    fn reroute(&self, now: &Objects, next: Option<Intent>) -> Option<Intent> {
        let routers = routing::routers(&self.ground, now, &self.node);
        let leaving = routing::leaving(&self.ground, &self.node);
        let advertisements = &self.ground.bgp_advertisements;
        let intent = &self.intent;
        if routers == intent.routers && leaving == intent.leaving && *advertisements == intent.advertisements
        {
            return next;
        }
        let next = next.unwrap_or_else(|| Intent::clone(intent));
        Some(Intent { routers, leaving, advertisements: advertisements.clone(), ..next })
    }

    fn view<'a>(&'a self, objects: &'a Objects) -> View<'a> {
        let Self { ground, slices, node, mode, .. } = self;
        View { ground, objects, slices, node, mode: *mode }
    }

    /// Decides anew what to do with the addresses in `touched`. `None`: there are none.
    fn decide(&mut self, objects: &Objects, touched: &BTreeSet<IpAddr>) -> Option<Intent> {
        if touched.is_empty() {
            return None;
        }
        let mut next = Intent::clone(&self.intent);
        let mut groups = BTreeSet::new();
        for address in touched {
            let view = self.view(objects);
            let spec = spec(objects, *address);
            let part = spec.map(|spec| part(&view, *address, spec));
            self.put(*address, part, &mut next, &mut groups);
        }
        self.agree(&mut next, groups);
        Some(next)
    }

    /// Puts what follows for one address in its place; names the groups that have to agree anew.
    fn put(&mut self, address: IpAddr, part: Option<Part>, next: &mut Intent, groups: &mut BTreeSet<Group>) {
        let before = self.alone.get(&address);
        let is_same = before.map(Arc::as_ref) == part.as_ref().map(|part| &part.vip);
        if !is_same {
            groups.extend(before.map(|vip| vip.group.clone()));
        }
        self.reading_namespaces.remove(&address);
        next.refused.remove(&address);
        let routes = part.as_ref().and_then(|part| part.routes.as_ref());
        if next.routes.get(&address).map(Arc::as_ref) != routes {
            set(&mut next.routes, address, routes.cloned().map(Arc::new));
        }
        let Some(part) = part else {
            self.alone.remove(&address);
            set(&mut next.vips, address, None);
            put_ports(&mut next.ports, address, BTreeMap::new());
            return;
        };
        if part.read_namespaces {
            self.reading_namespaces.insert(address);
        }
        if !part.refused.is_empty() {
            next.refused.insert(address, part.refused);
        }
        put_ports(&mut next.ports, address, part.ports);
        if !is_same {
            groups.insert(part.vip.group.clone());
            self.alone.insert(address, Arc::new(part.vip));
        }
    }

    /// Lets the addresses of each group agree. One pass over all addresses, however many groups there are.
    fn agree(&self, next: &mut Intent, groups: BTreeSet<Group>) {
        if groups.is_empty() {
            return;
        }
        let mut groups: BTreeMap<Group, Vec<_>> =
            groups.into_iter().map(|group| (group, Vec::new())).collect();
        for (address, vip) in &self.alone {
            if let Some(members) = groups.get_mut(&vip.group) {
                members.push((*address, Arc::clone(vip)));
            }
        }
        for mut members in groups.into_values() {
            if members.len() > 1 {
                sharing::agree_within_group(&mut members, &self.node);
            }
            for (address, vip) in members {
                if next.vips.get(&address) != Some(&vip) {
                    set(&mut next.vips, address, Some(vip));
                }
            }
        }
    }
}

/// The record of an address that is in use.
fn spec(objects: &Objects, address: IpAddr) -> Option<&VirtualIPSpec> {
    let name = virtual_ip_name(address);
    let object = objects.virtual_ips.get(&name)?;
    (address_in_use(&name, object) == Some(address)).then_some(&object.spec)
}

/// Puts one value in its place, or takes it out. A map that others hold too is copied, once and only if it becomes another.
fn set<K: Clone + Ord, V>(all: &mut Arc<BTreeMap<K, Arc<V>>>, key: K, value: Option<Arc<V>>) {
    match value {
        Some(value) => drop(Arc::make_mut(all).insert(key, value)),
        None if all.contains_key(&key) => drop(Arc::make_mut(all).remove(&key)),
        None => {}
    }
}

/// Puts the ports of one address in their place; what is the same stays the same memory.
fn put_ports(
    all: &mut Arc<BTreeMap<Frontend, Arc<Backends>>>,
    address: IpAddr,
    ports: BTreeMap<Frontend, Backends>,
) {
    let port = |protocol, port| Frontend { address, protocol, port };
    let range = port(Protocol::Tcp, NonZeroU16::MIN)..=port(Protocol::Udp, NonZeroU16::MAX);
    let gone: Vec<_> =
        all.range(range).map(|(port, _)| *port).filter(|port| !ports.contains_key(port)).collect();
    for port in gone {
        set(all, port, None);
    }
    for (port, backends) in ports {
        if all.get(&port).is_none_or(|before| **before != backends) {
            set(all, port, Some(Arc::new(backends)));
        }
    }
}

#[cfg(test)]
mod tests;
