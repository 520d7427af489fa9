// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `spec.externalIPs`: what the list of a Service should be, and when it is left alone.
//!
//! Whoever may write a Service may put any address there (CVE-2020-8554), and for server-side apply the list is one
//! value. So it is filled only while it is empty or holds nothing but what VirtualIPs record for the Service. From a list
//! with other entries nothing is taken but what was ours and is so no more.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ferrolb_config::api::Purpose;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Snapshot;
use ferrolb_config::{ObjectRef, ServiceName};

use crate::ipam::{Claim, Standing, Verdict};

/// The lists as they stand, and what of them is recorded as ours.
pub(super) struct Lists<'a> {
    snapshot: &'a Snapshot,
    ours: HashMap<(&'a str, &'a str), BTreeSet<IpAddr>>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut ours: HashMap<_, BTreeSet<IpAddr>> = HashMap::new();
        for (address, object) in &snapshot.virtual_ips {
            let consumers = object.spec.consumers.iter();
            for consumer in consumers.filter(|consumer| consumer.purpose == Purpose::ExternalIP) {
                let name = (consumer.namespace.as_str(), consumer.name.as_str());
                ours.entry(name).or_default().insert(*address);
            }
        }
        Self { snapshot, ours }
    }

    fn entries(&self, name: &ServiceName) -> &'a [String] {
        self.snapshot.external_ips.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn ours(&self, name: &ServiceName) -> BTreeSet<IpAddr> {
        self.ours.get(&(name.namespace.as_str(), name.name.as_str())).cloned().unwrap_or_default()
    }

    /// Lets a claim whose list holds other entries keep what it has, and gives it nothing new. A list that nobody recorded
    /// is taken over, as after a loss of the records, if all of it is free and of the pool that the Service asks for.
    pub(super) fn freeze(&self, claim: &mut Claim<'_>) {
        if claim.purpose != Purpose::ExternalIP || claim.standing != Standing::Open {
            return;
        }
        let ours = self.ours(claim.consumer);
        let entries = self.entries(claim.consumer);
        let stranger = entries.iter().find(|entry| match entry.parse::<IpAddr>() {
            Ok(address) if ours.is_empty() => !self.may_be_taken_over(claim, address),
            Ok(address) => !ours.contains(&address),
            Err(_) => true,
        });
        if let Some(entry) = stranger {
            claim.standing = Standing::Frozen(not_ours(claim.consumer, entry));
        }
    }

    fn may_be_taken_over(&self, claim: &Claim<'_>, address: IpAddr) -> bool {
        let Snapshot { load_balancers, pools, virtual_ips, retained, .. } = self.snapshot;
        let Some(service) = load_balancers.get(claim.consumer) else { return false };
        let pool = service.pool.as_ref().and_then(|name| pools.get(name));
        let is_open = pool.is_some_and(|pool| {
            pool.accepting.is_ok() && pool.contains(address) && self.snapshot.may_draw(service, pool)
        });
        is_open && !virtual_ips.contains_key(&address) && !retained.contains_key(&address)
    }

    /// The list that a claim should have after `verdict`; `None`: it is left alone. Adds to the verdict why.
    pub(super) fn settle(&self, name: &ServiceName, verdict: &mut Verdict) -> Option<Vec<IpAddr>> {
        let given: BTreeSet<_> = verdict.addresses.iter().copied().collect();
        let ours: BTreeSet<_> = self.ours(name).union(&given).copied().collect();
        let entries = self.entries(name);
        let stranger =
            entries.iter().find(|entry| entry.parse().map_or(true, |address| !ours.contains(&address)));
        match stranger {
            None => Some(verdict.addresses.clone()),
            Some(entry) => {
                verdict.refusal.get_or_insert_with(|| not_ours(name, entry));
                self.without(name, &(&ours - &given))
            }
        }
    }

    /// The list of a Service that no longer asks for external addresses.
    pub(super) fn release(&self, name: &ServiceName) -> Option<Vec<IpAddr>> {
        self.without(name, &self.ours(name))
    }

    /// The list without `gone`; `None` when nothing of that is in it, or an entry cannot be read.
    fn without(&self, name: &ServiceName, gone: &BTreeSet<IpAddr>) -> Option<Vec<IpAddr>> {
        let entries: Vec<IpAddr> =
            self.entries(name).iter().map(|entry| entry.parse()).collect::<Result<_, _>>().ok()?;
        let left: Vec<_> = entries.iter().copied().filter(|address| !gone.contains(address)).collect();
        (left.len() < entries.len()).then_some(left)
    }
}

fn not_ours(name: &ServiceName, entry: &str) -> Refusal {
    let object = ObjectRef::namespaced("Service", name);
    let message = format!("the list holds {entry}, which FerroLB did not write, so it is left alone");
    Refusal::error(Reason::ExternalIPsNotOurs, object, message)
        .field("spec.externalIPs")
        .remedy("Empty the list, or remove the annotation.")
}
