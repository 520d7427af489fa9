// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Plans as a controller would that runs for a while, without one: for addresses that are given once and handed out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_config::api::VirtualIP;
use ferrolb_config::{Objects, Snapshot};
use jiff::Timestamp;

use crate::plan::{Plan, plan};

/// Plans before the outcome counts as restless. One is enough but where addresses are handed on from one to the next.
const MOST_ROUNDS: usize = 16;

/// Plans from `objects` at the time `now`, and again as if that plan were carried out, until nothing changes. The
/// VirtualIPs among the objects are what was given before: whoever may keep an address keeps it.
pub fn settle(objects: &Objects, now: Timestamp) -> Plan {
    let mut objects = objects.clone();
    let mut settled = plan(&Snapshot::build(&objects), now);
    for _ in 0..MOST_ROUNDS {
        let records: BTreeMap<_, _> = settled
            .records()
            .map(|(name, spec)| {
                let object = VirtualIP::new(&name, spec.clone());
                (name, Arc::new(object))
            })
            .collect();
        objects.virtual_ips = records;
        let next = plan(&Snapshot::build(&objects), now);
        if next.virtual_ips == settled.virtual_ips {
            return next;
        }
        settled = next;
    }
    settled
}
