// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The difference between what is desired and what was sent: found anew after each change, in one walk over both.

use std::{collections::HashMap, sync::Arc};

use ipnet::IpNet;

use super::{
    RibOut, Unsendable,
    outbox::{Group, Queue},
};
use crate::{attributes::Attributes, family::Family, negotiated::Negotiated};

impl RibOut {
    pub(super) fn plan(&mut self) {
        for family in Family::ALL {
            self.outboxes.get_mut(family).clear();
        }
        self.unsendable.clear();
        let Some(desired) = self.desired.clone() else { return };
        let [mut ipv4, mut ipv6] = Family::ALL.map(|family| Grouping::new(&self.session, family));
        let mut sent = self.sent.iter().peekable();
        let outboxes = &mut self.outboxes;
        let mut withdraw = |prefix| outboxes.get_mut(Family::of(&prefix)).withdrawals.push(prefix);
        for (prefix, attributes) in desired.iter() {
            while let Some((gone, _)) = sent.next_if(|(before, _)| *before < prefix) {
                withdraw(*gone);
            }
            let held = sent.next_if(|(same, _)| *same == prefix).map(|(_, sent)| sent);
            if held.is_some_and(|sent| sent.fresh && same(&sent.attributes, attributes)) {
                continue;
            }
            let grouping = match Family::of(prefix) {
                Family::Ipv4Unicast => &mut ipv4,
                Family::Ipv6Unicast => &mut ipv6,
            };
            let sendable = if prefix.trunc() == *prefix {
                grouping.push(*prefix, attributes)
            } else {
                Err(Unsendable::HostBits)
            };
            if let Err(reason) = sendable {
                self.unsendable.insert(*prefix, reason);
                if held.is_some() {
                    withdraw(*prefix);
                }
            }
        }
        sent.for_each(|(gone, _)| withdraw(*gone));
        for grouping in [ipv4, ipv6] {
            self.outboxes.get_mut(grouping.family).fill(grouping.groups);
        }
    }
}

fn same(one: &Arc<Attributes>, other: &Arc<Attributes>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Puts routes with equal attributes together. Attributes are compared once for each `Arc`, not once for each route.
struct Grouping<'a> {
    session: &'a Negotiated,
    family: Family,
    groups: Vec<Group>,
    by_value: HashMap<&'a Attributes, usize>,
    by_pointer: HashMap<*const Attributes, Result<usize, Unsendable>>,
}

impl<'a> Grouping<'a> {
    fn new(session: &'a Negotiated, family: Family) -> Self {
        Self { session, family, groups: Vec::new(), by_value: HashMap::new(), by_pointer: HashMap::new() }
    }

    fn push(&mut self, prefix: IpNet, attributes: &'a Arc<Attributes>) -> Result<(), Unsendable> {
        let Self { session, family, groups, by_value, by_pointer } = self;
        let group = by_pointer.entry(Arc::as_ptr(attributes)).or_insert_with(|| {
            Unsendable::judge(session, *family, attributes)?;
            let index = by_value.entry(attributes).or_insert_with(|| {
                groups.push(Group { attributes: Arc::clone(attributes), prefixes: Queue::default() });
                groups.len() - 1
            });
            Ok(*index)
        });
        if let Some(group) = groups.get_mut(group.clone()?) {
            group.prefixes.push(prefix);
        }
        Ok(())
    }
}
