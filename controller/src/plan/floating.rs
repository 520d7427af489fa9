// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs: how their addresses are held, what they are elected with, and what their status should say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::ServiceName;
use ferrolb_config::api::{AddressMode, ConsumerKind, VirtualIPSpec};
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Snapshot;

use crate::ipam::{Claim, Standing, Verdict, bound_not_allowed};

/// What the status of a FloatingIP should say.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatingPlan {
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Why something that it asks for is missing; `None`: it has all that it asks for.
    pub refusal: Option<Refusal>,
    /// Whether its spec is in force. If not, what was accepted before stays.
    pub is_accepted: bool,
}

impl FloatingPlan {
    pub(super) fn of(claim: &Claim<'_>, verdict: Verdict) -> Self {
        let Verdict { addresses, refusal, .. } = verdict;
        let is_accepted = !matches!(claim.standing, Standing::Frozen(_))
            && refusal.as_ref().is_none_or(|refusal| refusal.reason != Reason::BoundNotAllowed);
        Self { addresses, refusal, is_accepted }
    }
}

/// FloatingIPs as they are, and the records of their addresses.
pub(super) struct Floating<'a> {
    snapshot: &'a Snapshot,
    records: BTreeMap<IpAddr, (ServiceName, &'a VirtualIPSpec)>,
}

impl<'a> Floating<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let records = snapshot
            .virtual_ips
            .iter()
            .filter_map(|(address, object)| Some((*address, (user(&object.spec)?, &object.spec))));
        Self { snapshot, records: records.collect() }
    }

    /// Lets a claim that wants its addresses on interfaces, had them otherwise and is of a pool that does not allow it, keep
    /// them as they are: its own edit is refused. (When the pool changes its mind, the addresses go.)
    pub(super) fn freeze(&self, claim: &mut Claim<'_>) {
        let is_concerned = claim.kind == ConsumerKind::FloatingIP
            && claim.mode == AddressMode::Bound
            && claim.standing == Standing::Open;
        if !is_concerned {
            return;
        }
        let mut held = self.records.values().filter(|(name, _)| name == claim.consumer);
        let refused = held.find(|(_, spec)| {
            let pool = self.snapshot.pools.get(&spec.pool);
            spec.mode == AddressMode::ReplyOnly && pool.is_some_and(|pool| !pool.allow_bound)
        });
        if let Some((_, spec)) = refused {
            claim.standing = Standing::Frozen(bound_not_allowed(claim.object(), &spec.pool));
        }
    }

    /// Fills in how the addresses of FloatingIPs are held and what they are elected with. What cannot be read, or may not
    /// be as it asks for, stays as it was recorded.
    pub(super) fn complete(&self, virtual_ips: &mut BTreeMap<IpAddr, VirtualIPSpec>) {
        for (address, spec) in virtual_ips {
            let Some(name) = user(spec) else { continue };
            let recorded = self.records.get(address).filter(|(user, _)| *user == name).map(|(_, spec)| *spec);
            let floating_ip = self.snapshot.floating_ips.get(&name);
            let asked = floating_ip.and_then(|floating_ip| Some((floating_ip, floating_ip.in_force()?)));
            let (group, mode) = match (asked, recorded) {
                (Some((floating_ip, form)), recorded) => {
                    let is_allowed = |pool| self.snapshot.pools.get(pool).is_none_or(|pool| pool.allow_bound);
                    let mode = match (form.mode(), recorded) {
                        (AddressMode::Bound, Some(recorded)) if !is_allowed(&recorded.pool) => recorded.mode,
                        (mode, _) => mode,
                    };
                    (Some(floating_ip.group()), mode)
                }
                (None, Some(recorded)) => (recorded.group.clone(), recorded.mode),
                (None, None) => continue,
            };
            (spec.group, spec.mode) = (group, mode);
        }
    }
}

/// The FloatingIP that an address in use is for. It shares with nobody.
fn user(spec: &VirtualIPSpec) -> Option<ServiceName> {
    let consumer = spec.consumers.first().filter(|consumer| consumer.kind == ConsumerKind::FloatingIP)?;
    Some(consumer.object_name())
}
