// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The plan: what every VirtualIP and every status should say, computed anew from a snapshot alone.
//!
//! [`plan`] is pure and total; the time is passed in. A plan that was carried out is a fixed point: planning again from what it wrote gives
//! the same plan.

mod external;
mod floating;
mod group;
mod readiness;
mod usage;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use ferrolb_config::api::{AddressMode, Consumer, ConsumerKind, FamilyUsage, Purpose, VirtualIPSpec};
use ferrolb_config::reason::Refusal;
use ferrolb_config::snapshot::Snapshot;
use ferrolb_config::{ServiceName, address};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use floating::FloatingPlan;
pub use readiness::Readiness;
pub(crate) use readiness::sentence;

use crate::apply::Judged;
use crate::ipam::{self, Allocation, Claim, Holding, Retained, Standing, Unread, Verdict};
use external::Lists;
use floating::Floating;

/// What should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every address in use.
    pub virtual_ips: BTreeMap<IpAddr, VirtualIPSpec>,
    /// What the status of each Service should say. A Service that is not here is none of ours, and never was.
    pub services: BTreeMap<ServiceName, ServicePlan>,
    /// What the status of each FloatingIP should say.
    pub floating_ips: BTreeMap<ServiceName, FloatingPlan>,
    /// What the status of each pool should say.
    pub pools: BTreeMap<String, PoolPlan>,
    /// What the status should say of each object that is judged as it stands.
    pub verdicts: BTreeMap<(Judged, String), Readiness>,
    /// The communities of each BGPAdvertisement without their names: what is accepted does not depend on other objects.
    pub communities: BTreeMap<String, Vec<String>>,
    /// What `spec.externalIPs` of a Service should be. A list that is not here is left alone: it never was ours, or
    /// holds entries that are not.
    pub external_ips: BTreeMap<ServiceName, Vec<IpAddr>>,
    /// When to plan again though nothing changes: an address is kept until then for who had it last.
    pub next_deadline: Option<Timestamp>,
}

/// What the status of a Service should say.
#[derive(Clone, Debug, PartialEq)]
pub enum ServicePlan {
    /// It is ours: these addresses, IPv4 first, and whether they are what it asks for.
    Ours {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Why something that it asks for is missing; `None`: it has all that it asks for.
        refusal: Option<Refusal>,
    },
    /// It asks for external addresses and is given these, IPv4 first; its `status.loadBalancer` is none of ours.
    External {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// Why something that it asks for is missing; `None`: it has all that it asks for.
        refusal: Option<Refusal>,
    },
    /// It shows addresses that somebody else gave: they stay as they are.
    Foreign {
        /// The same in words.
        refusal: Refusal,
    },
    /// It had addresses of ours and is ours no longer, or is gone: nothing of ours stays in its status.
    Released,
}

/// What the status of a pool should say.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolPlan {
    /// The ranges in force.
    pub accepted: Vec<String>,
    /// Use of its IPv4 addresses; `None` when it has none.
    pub ipv4: Option<FamilyUsage>,
    /// Use of its IPv6 addresses; `None` when it has none.
    pub ipv6: Option<FamilyUsage>,
    /// Whether it is used as it stands.
    pub readiness: Readiness,
}

/// Plans everything from `snapshot`, at the time `now`.
pub fn plan(snapshot: &Snapshot, now: Timestamp) -> Plan {
    // The API's times have no fractions; a plan must not differ from what is read back.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let unread = Unread::new(&snapshot.refused);
    let lists = Lists::new(snapshot);
    let floating = Floating::new(snapshot);
    let services = snapshot.load_balancers.values().map(Claim::of_service);
    let mut claims: Vec<_> =
        services.chain(snapshot.floating_ips.values().map(Claim::of_floating_ip)).collect();
    for claim in &mut claims {
        lists.freeze(claim);
        floating.freeze(claim);
    }
    let Allocation { holdings, retained, verdicts } =
        ipam::allocate(&claims, &ipam::Given::new(snapshot, &unread, now));
    let mut virtual_ips: BTreeMap<_, _> =
        holdings.iter().map(|(address, holding)| (*address, record(*address, holding))).collect();
    group::assign(&mut virtual_ips, &snapshot.virtual_ips);
    floating.complete(&mut virtual_ips);

    // Collected first: a map is made at one go of what is in order, and the older Services mostly are.
    let (mut settled, mut external_ips) = (Vec::with_capacity(verdicts.len()), BTreeMap::new());
    let mut floating_ips = BTreeMap::new();
    for (claim, mut verdict) in verdicts {
        let name = claim.consumer;
        if claim.kind == ConsumerKind::FloatingIP {
            floating_ips.insert(name.clone(), FloatingPlan::of(claim, verdict));
            continue;
        }
        if claim.purpose == Purpose::ExternalIP && claim.standing != Standing::Leaving {
            let list = lists.settle(name, &mut verdict);
            external_ips.extend(list.map(|list| (name.clone(), list)));
        }
        settled.push((name.clone(), service_plan(claim.purpose, verdict)));
    }
    let mut services: BTreeMap<_, _> = settled.into_iter().collect();
    for name in released(snapshot, &virtual_ips) {
        external_ips.extend(lists.release(&name).map(|list| (name.clone(), list)));
        services.entry(name).or_insert(ServicePlan::Released);
    }
    let next_deadline = retained.values().map(|retained| retained.until).min();
    virtual_ips.extend(retained.iter().map(|(address, kept)| (*address, kept_record(*address, kept))));
    let pools = usage::pools(snapshot, &virtual_ips);
    let verdicts = judged(snapshot);
    let communities = snapshot.bgp_advertisements.iter();
    let communities = communities
        .map(|(name, it)| (name.clone(), it.communities.iter().map(ToString::to_string).collect()))
        .collect();
    Plan { virtual_ips, services, floating_ips, pools, verdicts, communities, external_ips, next_deadline }
}

/// Whether each object that is judged as it stands is used.
fn judged(snapshot: &Snapshot) -> BTreeMap<(Judged, String), Readiness> {
    let of = |judged: Judged| {
        let in_force: Vec<&String> = match judged {
            Judged::L2Advertisement => snapshot.advertisements.keys().collect(),
            Judged::BGPPeer => snapshot.bgp_peers.keys().collect(),
            Judged::BGPAdvertisement => snapshot.bgp_advertisements.keys().collect(),
            Judged::BFDProfile => snapshot.bfd_profiles.iter().collect(),
            Judged::Community => snapshot.communities.iter().collect(),
        };
        let all = readiness::of_kind(judged.kind(), in_force.into_iter(), &snapshot.refused);
        all.into_iter().map(move |(name, readiness)| ((judged, name), readiness))
    };
    Judged::ALL.iter().copied().flat_map(of).collect()
}

fn record(address: IpAddr, holding: &Holding<'_>) -> VirtualIPSpec {
    VirtualIPSpec {
        address: address.to_string(),
        pool: holding.pool.to_owned(),
        consumers: holding.tenants.iter().map(|tenant| tenant.to_consumer()).collect(),
        sharing_key: holding.key.map(str::to_owned),
        group: None,
        mode: AddressMode::ReplyOnly,
        released_at: None,
    }
}

fn kept_record(address: IpAddr, kept: &Retained<'_>) -> VirtualIPSpec {
    VirtualIPSpec {
        address: address.to_string(),
        pool: kept.pool.to_owned(),
        consumers: kept.consumers.to_vec(),
        sharing_key: None,
        group: None,
        mode: AddressMode::ReplyOnly,
        released_at: Some(Time(kept.since)),
    }
}

fn service_plan(purpose: Purpose, verdict: Verdict) -> ServicePlan {
    let Verdict { addresses, refusal, foreign } = verdict;
    match (purpose, refusal) {
        (Purpose::ExternalIP, refusal) => ServicePlan::External { addresses, refusal },
        (Purpose::LoadBalancer, Some(refusal)) if foreign => ServicePlan::Foreign { refusal },
        (Purpose::LoadBalancer, refusal) => ServicePlan::Ours { addresses, refusal },
    }
}

/// Recorded Services that no longer hold anything and make no claim: they changed their type or class, or are gone.
fn released(snapshot: &Snapshot, virtual_ips: &BTreeMap<IpAddr, VirtualIPSpec>) -> BTreeSet<ServiceName> {
    if snapshot.virtual_ips.is_empty() {
        return BTreeSet::new();
    }
    let claimants: HashSet<_> =
        snapshot.load_balancers.keys().map(|name| (name.namespace.as_str(), name.name.as_str())).collect();
    let others = |consumers: &mut dyn Iterator<Item = &Consumer>| -> BTreeSet<_> {
        consumers
            .filter(|consumer| consumer.kind == ConsumerKind::Service)
            .filter(|consumer| !claimants.contains(&(consumer.namespace.as_str(), consumer.name.as_str())))
            .map(Consumer::object_name)
            .collect()
    };
    let before = others(&mut snapshot.virtual_ips.values().flat_map(|object| &object.spec.consumers));
    if before.is_empty() {
        return before;
    }
    let after = others(&mut virtual_ips.values().flat_map(|spec| &spec.consumers));
    before.difference(&after).cloned().collect()
}

impl Plan {
    /// The desired VirtualIPs by object name.
    pub fn records(&self) -> impl Iterator<Item = (String, &VirtualIPSpec)> {
        self.virtual_ips.iter().map(|(ip, spec)| (address::virtual_ip_name(*ip), spec))
    }
}
