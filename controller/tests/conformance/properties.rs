// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What holds whatever users do.

mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::Snapshot;
use ferrolb_config::api::{AddressMode, ConsumerKind, ConsumerName, VirtualIPSpec};
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{Pool, TrafficPolicy};
use ferrolb_controller::ipam::{Claim, Given, Unread, allocate};
use ferrolb_controller::plan::ServicePlan;
use proptest::prelude::*;

use crate::world::World;
use change::{SERVICES, change, changes_a_pool, edit, edited};

type Outcome = BTreeMap<ConsumerName, (BTreeSet<IpAddr>, Option<Reason>)>;

/// Every Service of ours and every FloatingIP, with what it has and whether that is all it asks for.
fn outcome(world: &World) -> Outcome {
    let ours = |plan: &ServicePlan| match plan {
        ServicePlan::Ours { addresses, refusal } => {
            Some((addresses.iter().copied().collect(), refusal.as_ref().map(|refusal| refusal.reason)))
        }
        _ => None,
    };
    let services = world.plan.services.iter().filter_map(|(name, plan)| {
        Some((ConsumerName { kind: ConsumerKind::Service, name: name.clone() }, ours(plan)?))
    });
    let floating_ips = world.plan.floating_ips.iter().map(|(name, plan)| {
        let reason = plan.refusal.as_ref().map(|refusal| refusal.reason);
        let name = ConsumerName { kind: ConsumerKind::FloatingIP, name: name.clone() };
        (name, (plan.addresses.iter().copied().collect(), reason))
    });
    services.chain(floating_ips).collect()
}

/// What must hold of every settled world.
fn check(world: &World) {
    let snapshot = Snapshot::build(&world.objects);
    let outcome = outcome(world);
    for (address, record) in &world.plan.virtual_ips {
        assert!(!record.consumers.is_empty(), "{address} is recorded for nobody");
        if record.released_at.is_some() {
            assert!(world.plan.next_deadline.is_some(), "{address} is kept for ever");
            let holds = |(addresses, _): &(BTreeSet<IpAddr>, _)| addresses.contains(address);
            assert!(!outcome.values().any(holds), "{address} is kept and in use");
            continue;
        }
        let mut ports = BTreeSet::new();
        let mut keys = BTreeSet::new();
        let mut backends = BTreeSet::new();
        for consumer in &record.consumers {
            let name = consumer.identity();
            assert!(outcome[&name].0.contains(address), "{name:?} does not know of {address}");
            let Some(name) = consumer.service() else {
                check_floating(world, &snapshot, *address, record);
                continue;
            };
            let service = &snapshot.load_balancers[&name];
            keys.insert(service.sharing_key.clone());
            let local =
                service.traffic_policy == TrafficPolicy::Local && !service.backend_selector.is_empty();
            backends.insert(local.then_some((&consumer.namespace, &service.backend_selector)));
            for port in &service.ports {
                assert!(ports.insert((port.protocol, port.port)), "two users of one port on {address}");
            }
        }
        if record.consumers.len() > 1 {
            assert_eq!((keys.len(), backends.len()), (1, 1), "{address} is shared by strangers");
            assert!(!keys.contains(&None), "{address} is shared without a key");
        }
        let broken = snapshot.pools.values().any(|pool| pool.accepting.is_err());
        let inside = snapshot.pools.get(&record.pool).is_some_and(|pool| pool.contains(*address));
        assert!(inside || broken, "{address} is not of pool {}", record.pool);
        let admitted = snapshot.pools.get(&record.pool).is_some_and(|pool| {
            record.consumers.iter().all(|consumer| pool.admits(&consumer.namespace, None, &BTreeMap::new()))
        });
        // A Service whose own wish cannot be read keeps what it has.
        let frozen = record.consumers.iter().any(|consumer| outcome[&consumer.identity()].1.is_some());
        assert!(admitted || broken || frozen, "{address} is held by somebody whom its pool does not serve");
        // Groups are an equivalence: all addresses of a Service are in one, and no other one has its name. Nobody
        // carries an address that is only kept.
        let in_use = world.plan.virtual_ips.iter().filter(|(_, other)| other.released_at.is_none());
        for (other, other_record) in in_use {
            let linked = record
                .consumers
                .iter()
                .any(|one| other_record.consumers.iter().any(|two| one.identity() == two.identity()));
            assert!(!linked || record.group == other_record.group, "{address} and {other} are linked");
        }
    }
    for (name, (addresses, _)) in &outcome {
        for address in addresses {
            let consumers = &world.plan.virtual_ips[address].consumers;
            assert!(
                consumers.iter().any(|consumer| consumer.identity() == *name),
                "{name:?} is not on {address}"
            );
        }
        let families: BTreeSet<_> = addresses.iter().map(IpAddr::is_ipv4).collect();
        assert_eq!(families.len(), addresses.len(), "{name:?} has two addresses of one family");
    }
    check_nobody_waits_for_a_free_address(&snapshot, world, &outcome);
}

/// What must hold of an address that a FloatingIP has.
fn check_floating(world: &World, snapshot: &Snapshot, address: IpAddr, record: &VirtualIPSpec) {
    let [user] = record.consumers.as_slice() else { panic!("{address} is shared with a FloatingIP") };
    let floating_ip = &snapshot.floating_ips[&user.object_name()];
    if floating_ip.in_force().is_some() {
        assert_eq!(record.group, Some(floating_ip.group()), "{address}");
    }
    let of_service = |other: &VirtualIPSpec| other.consumers.iter().any(|user| user.service().is_some());
    let mut others = world.plan.virtual_ips.values().filter(|other| of_service(other));
    assert!(others.all(|other| other.group != record.group), "{address} is elected with a Service's");
    let pool = snapshot.pools.get(&record.pool);
    let allows = pool.is_none_or(|pool| pool.allow_bound || pool.accepting.is_err());
    let is_settled = floating_ip.refusal.is_none();
    assert!(
        record.mode == AddressMode::ReplyOnly || allows || !is_settled,
        "{address} is bound against the pool"
    );
}

fn check_nobody_waits_for_a_free_address(snapshot: &Snapshot, world: &World, outcome: &Outcome) {
    let free = |namespace: &str, family_is_v4: bool| {
        let admits = |pool: &&Pool| pool.admits(namespace, None, &BTreeMap::new());
        snapshot
            .pools
            .values()
            .filter(|pool| pool.auto_assign && pool.accepting.is_ok())
            .filter(admits)
            .flat_map(|pool| asked_range(pool).into_iter().filter(|address| pool.contains(*address)))
            .any(|address| {
                address.is_ipv4() == family_is_v4 && !world.plan.virtual_ips.contains_key(&address)
            })
    };
    for (name, (addresses, reason)) in outcome {
        let Some(service) =
            snapshot.load_balancers.get(&name.name).filter(|_| name.kind == ConsumerKind::Service)
        else {
            continue;
        };
        let plain = service.requested.is_empty() && service.pool.is_none() && service.refusal.is_none();
        if plain
            && addresses.is_empty()
            && service.families.len() == 1
            && *reason == Some(Reason::PoolExhausted)
        {
            let v4 = service.families[0] == ferrolb_config::address::Family::V4;
            let both = service.family_policy == ferrolb_config::snapshot::FamilyPolicy::RequireDualStack;
            assert!(both || !free(&name.name.namespace, v4), "{name:?} waits though an address is free");
        }
    }
}

/// The addresses of a small pool, one by one.
fn asked_range(pool: &Pool) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for range in pool.ranges.ranges() {
        let mut next = Some(range.first());
        while let Some(address) = next.filter(|address| range.contains(*address)) {
            all.push(address);
            next = match address {
                IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
                IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
            };
        }
    }
    all
}

/// Few enough for every run of the tests; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn ipam_no_address_is_given_twice_and_who_is_content_keeps_what_it_has(
        changes in prop::collection::vec(change(), 1..40),
    ) {
        let mut world = World::default();
        for change in &changes {
            let before = outcome(&world);
            edit(&mut world, change);
            world.settle();
            check(&world);
            let now = outcome(&world);
            for (name, (addresses, reason)) in &before {
                let edited = edited(change).as_ref() == Some(name);
                let of_pools = changes_a_pool(change);
                if !edited && !of_pools && reason.is_none() {
                    prop_assert!(
                        now.get(name).is_some_and(|(now, _)| now.is_superset(addresses)),
                        "{change:?} moved {name:?} from {addresses:?} to {:?}", now.get(name)
                    );
                }
            }
        }
    }

    #[test]
    fn ipam_092_the_order_of_the_claims_does_not_matter(
        changes in prop::collection::vec(change(), 1..40),
        keys in prop::collection::vec(any::<u32>(), 2 * SERVICES),
    ) {
        let mut world = World::default();
        for change in &changes {
            edit(&mut world, change);
            world.settle();
        }
        // One more edit of everything, not settled, so that there is something to decide.
        for change in changes.iter().rev().take(6) {
            edit(&mut world, change);
        }
        let snapshot = Snapshot::build(&world.objects);
        let services = snapshot.load_balancers.values().map(Claim::of_service);
        let floating_ips = snapshot.floating_ips.values().map(Claim::of_floating_ip);
        let claims: Vec<_> = services.chain(floating_ips).collect();
        let mut shuffled: Vec<_> = claims.iter().cloned().zip(keys).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(claim, _)| claim).collect();
        let unread = Unread::default();
        let given = Given::new(&snapshot, &unread, world.now);
        prop_assert_eq!(allocate(&claims, &given), allocate(&shuffled, &given));
    }

    #[test]
    fn ipam_130_a_controller_that_is_killed_at_any_moment_loses_nothing(
        changes in prop::collection::vec((change(), 0..6usize), 1..30),
    ) {
        let mut world = World::default();
        for (change, writes) in &changes {
            edit(&mut world, change);
            world.pass(*writes);
        }
        world.settle();
        check(&world);
    }
}
