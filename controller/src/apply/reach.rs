// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a write changes and what it was decided upon, so that a newer plan starts nothing that a write still under way
//! could make wrong.
//!
//! A resourceVersion guards one object. The rule that each address shown is recorded spans two: a status is written
//! because the record is there. While the removal of that record is under way, the view still shows it, and a plan made
//! from the view may want the status. Such a write waits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ferrolb_config::api::{Consumer, ConsumerKind, ConsumerName, VirtualIPSpec};
use ferrolb_config::{ObjectRef, Objects, ServiceName, address};

use super::{Write, render};

/// One thing that writes change or are decided upon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Thing {
    Consumer(ConsumerName),
    Address(IpAddr),
    Other(ObjectRef),
}

/// What one write changes, and what it was decided upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    changes: Thing,
    relies_on: BTreeSet<Thing>,
}

impl Reach {
    /// The reach of `write`, decided upon `objects`.
    pub fn of(write: &Write, objects: &Objects) -> Self {
        match write {
            Write::PutVirtualIP(object) => {
                let base = object.metadata.name.as_ref().and_then(|name| objects.virtual_ips.get(name));
                let before = base.into_iter().flat_map(|base| consumers(&base.spec));
                Self::of_record(write, &object.spec, consumers(&object.spec).into_iter().chain(before))
            }
            Write::DeleteVirtualIP(object) => {
                Self::of_record(write, &object.spec, consumers(&object.spec).into_iter())
            }
            Write::PutServiceStatus(object) | Write::PutExternalIPs(object) => {
                let name = render::name_of(&object.metadata);
                let base = name.as_ref().and_then(|name| objects.services.get(name));
                let mut addresses = render::in_sight(object);
                addresses.extend(base.into_iter().flat_map(|base| render::in_sight(base)));
                Self::of_status(write, ConsumerKind::Service, name, addresses)
            }
            Write::PutFloatingIPStatus(object) => {
                let name = render::name_of(&object.metadata);
                let base = name.as_ref().and_then(|name| objects.floating_ips.get(name));
                let mut addresses = render::floating_addresses(object);
                addresses.extend(base.into_iter().flat_map(|base| render::floating_addresses(base)));
                Self::of_status(write, ConsumerKind::FloatingIP, name, addresses)
            }
            Write::DeleteServiceStatus(_)
            | Write::DeleteFloatingIPStatus(_)
            | Write::PutVirtualIPStatus(_)
            | Write::PutSpeakerStatus(_)
            | Write::PutPoolStatus(_)
            | Write::DeletePoolStatus(_)
            | Write::PutVerdict(_)
            | Write::DeleteVerdict(..) => {
                Self { changes: Thing::Other(write.object()), relies_on: BTreeSet::new() }
            }
        }
    }

    fn of_status(
        write: &Write,
        kind: ConsumerKind,
        name: Option<ServiceName>,
        addresses: BTreeSet<IpAddr>,
    ) -> Self {
        let consumer = |name| Thing::Consumer(ConsumerName { kind, name });
        Self {
            changes: name.map_or_else(|| Thing::Other(write.object()), consumer),
            relies_on: addresses.into_iter().map(Thing::Address).collect(),
        }
    }

    fn of_record(write: &Write, spec: &VirtualIPSpec, consumers: impl Iterator<Item = ConsumerName>) -> Self {
        let address = address::parse_virtual_ip_name(&write.object().name)
            .or_else(|| spec.address.parse().ok())
            .map_or_else(|| Thing::Other(write.object()), Thing::Address);
        Self { changes: address, relies_on: consumers.map(Thing::Consumer).collect() }
    }
}

/// Whom a record is for.
pub(super) fn consumers(spec: &VirtualIPSpec) -> BTreeSet<ConsumerName> {
    spec.consumers.iter().map(Consumer::identity).collect()
}

/// The reaches of all writes under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    changing: HashSet<Thing>,
    /// How many writes, of which nobody knows whether they were carried out, change each thing.
    doubtful: HashMap<Thing, usize>,
    /// How many writes rely on each thing.
    relied_on: HashMap<Thing, usize>,
}

impl UnderWay {
    /// Whether a write of this reach must wait for one that is under way. One that is in doubt may be tried again.
    pub fn blocks(&self, reach: &Reach) -> bool {
        let moves = |thing| self.changing.contains(thing) || self.doubtful.contains_key(thing);
        self.changing.contains(&reach.changes)
            || self.relied_on.contains_key(&reach.changes)
            || reach.relies_on.iter().any(moves)
    }

    /// Whether no write is under way.
    pub fn is_empty(&self) -> bool {
        self.changing.is_empty() && self.doubtful.is_empty()
    }

    /// A write starts.
    pub fn begin(&mut self, reach: &Reach) {
        self.changing.insert(reach.changes.clone());
        for thing in &reach.relies_on {
            *self.relied_on.entry(thing.clone()).or_default() += 1;
        }
    }

    /// A write ended, and nobody knows how.
    pub fn doubt(&mut self, reach: &Reach) {
        self.changing.remove(&reach.changes);
        *self.doubtful.entry(reach.changes.clone()).or_default() += 1;
    }

    /// A write that was in doubt is so no longer.
    pub fn clear(&mut self, reach: &Reach) {
        take_one(&mut self.doubtful, &reach.changes);
        self.forget(reach);
    }

    /// A write ended.
    pub fn end(&mut self, reach: &Reach) {
        self.changing.remove(&reach.changes);
        self.forget(reach);
    }

    fn forget(&mut self, reach: &Reach) {
        for thing in &reach.relies_on {
            take_one(&mut self.relied_on, thing);
        }
    }
}

fn take_one(counts: &mut HashMap<Thing, usize>, thing: &Thing) {
    if let Some(count) = counts.get_mut(thing) {
        *count -= 1;
        if *count == 0 {
            counts.remove(thing);
        }
    }
}
