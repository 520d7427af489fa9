// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users do.

use std::sync::Arc;

use ferrolb_config::api::{
    AddressMode, AddressPoolSpec, ConsumerKind, ConsumerName, FloatingTarget, IPFamily, PoolQuota,
};
use proptest::prelude::*;

use crate::world::{Edit, Serve, World, service_name, tcp, udp};

/// One edit by a user.
#[derive(Clone, Debug)]
pub enum Change {
    Service(usize, Wish),
    DeleteService(usize),
    FloatingIP(usize, FloatingWish),
    DeleteFloatingIP(usize),
    Pool(usize, usize),
    DeletePool(usize),
    AutoAssign(usize, bool),
    AvoidBuggy(usize, bool),
    AllowBound(usize, bool),
    Terms(usize, Terms),
    Wait,
}

/// Whom a pool serves, how much, and for how long.
#[derive(Clone, Copy, Debug)]
pub enum Terms {
    Open,
    Fenced,
    Quota,
    Retention,
}

#[derive(Clone, Debug)]
pub enum Wish {
    Plain,
    Ask(usize),
    AskPool(usize),
    Withdraw,
    Policy(usize),
    Families(usize),
    Share(usize),
    Ports(usize),
    Local(Option<usize>),
    Type(bool),
}

#[derive(Clone, Debug)]
pub enum FloatingWish {
    Plain,
    Ask(usize),
    AskPool(usize),
    Withdraw,
    Families(usize),
    Group(bool),
    Bound(bool),
    Broken(bool),
}

/// Small ranges, so that addresses are scarce; some overlap each other, one is upside down.
const RANGES: [&[&str]; 8] = [
    &["10.0.0.254-10.0.1.1"],
    &["10.0.0.254/31", "fd00::/126"],
    &["fd00::2-fd00::5"],
    &["10.0.2.0/30", "fd01::/126"],
    &["10.0.2.2/31"],
    &["10.0.3.3/32", "fd02::3"],
    &["10.0.3.9-10.0.3.1"],
    &["10.0.2.0/31", "fd01::2/127"],
];
const ASKED: [&str; 8] = [
    "10.0.1.0",
    "10.0.2.1",
    "fd00::2",
    "10.0.2.1,fd01::1",
    "10.0.0.255,fd01::2",
    "192.0.2.1",
    "nonsense",
    "10.0.3.3,fd02::3",
];
const POOLS: [&str; 3] = ["a", "b", "c"];
pub const SERVICES: usize = 8;

fn name(index: usize) -> String {
    format!("s{index}")
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(Wish::Plain),
        3 => (0..ASKED.len()).prop_map(Wish::Ask),
        2 => (0..POOLS.len() + 1).prop_map(Wish::AskPool),
        2 => Just(Wish::Withdraw),
        3 => (0..3usize).prop_map(Wish::Policy),
        2 => (0..5usize).prop_map(Wish::Families),
        4 => (0..3usize).prop_map(Wish::Share),
        3 => (0..4usize).prop_map(Wish::Ports),
        2 => proptest::option::of(0..2usize).prop_map(Wish::Local),
        1 => any::<bool>().prop_map(Wish::Type),
    ]
}

fn floating_wish() -> impl Strategy<Value = FloatingWish> {
    prop_oneof![
        3 => Just(FloatingWish::Plain),
        3 => (0..ASKED.len()).prop_map(FloatingWish::Ask),
        2 => (0..POOLS.len() + 1).prop_map(FloatingWish::AskPool),
        2 => Just(FloatingWish::Withdraw),
        2 => (0..4usize).prop_map(FloatingWish::Families),
        1 => any::<bool>().prop_map(FloatingWish::Group),
        2 => any::<bool>().prop_map(FloatingWish::Bound),
        1 => any::<bool>().prop_map(FloatingWish::Broken),
    ]
}

pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => (0..SERVICES, wish()).prop_map(|(index, wish)| Change::Service(index, wish)),
        3 => (0..SERVICES).prop_map(Change::DeleteService),
        6 => (0..SERVICES, floating_wish()).prop_map(|(index, wish)| Change::FloatingIP(index, wish)),
        2 => (0..SERVICES).prop_map(Change::DeleteFloatingIP),
        2 => (0..POOLS.len(), any::<bool>()).prop_map(|(pool, on)| Change::AllowBound(pool, on)),
        4 => (0..POOLS.len(), 0..RANGES.len()).prop_map(|(pool, ranges)| Change::Pool(pool, ranges)),
        1 => (0..POOLS.len()).prop_map(Change::DeletePool),
        1 => (0..POOLS.len(), any::<bool>()).prop_map(|(pool, on)| Change::AutoAssign(pool, on)),
        1 => (0..POOLS.len(), any::<bool>()).prop_map(|(pool, on)| Change::AvoidBuggy(pool, on)),
        3 => (0..POOLS.len(), terms()).prop_map(|(pool, terms)| Change::Terms(pool, terms)),
        2 => Just(Change::Wait),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    prop_oneof![Just(Terms::Open), Just(Terms::Fenced), Just(Terms::Quota), Just(Terms::Retention)]
}

pub fn edit(world: &mut World, change: &Change) {
    match change {
        Change::Service(index, wish) => wish_for(world, &name(*index), wish),
        Change::DeleteService(index) => world.delete(&name(*index)),
        // Of the same names as the Services: they must not be taken for each other.
        Change::FloatingIP(index, wish) => floating_wish_for(world, &name(*index), wish),
        Change::DeleteFloatingIP(index) => {
            drop(world.objects.floating_ips.remove(&service_name(&name(*index))))
        }
        Change::AllowBound(pool, on) => {
            if let Some(pool) = world.objects.pools.get_mut(POOLS[*pool]).map(Arc::make_mut) {
                pool.spec.allow_bound = *on;
            }
        }
        Change::Pool(pool, ranges) => {
            world.pool(POOLS[*pool], RANGES[*ranges]);
        }
        Change::DeletePool(pool) => {
            world.objects.pools.remove(POOLS[*pool]);
        }
        Change::AutoAssign(pool, on) => {
            if let Some(pool) = world.objects.pools.get_mut(POOLS[*pool]).map(Arc::make_mut) {
                pool.spec.auto_assign = *on;
            }
        }
        Change::AvoidBuggy(pool, on) => {
            if let Some(pool) = world.objects.pools.get_mut(POOLS[*pool]).map(Arc::make_mut) {
                pool.spec.avoid_buggy_ips = *on;
            }
        }
        Change::Terms(pool, terms) => {
            if let Some(pool) = world.objects.pools.get_mut(POOLS[*pool]).map(Arc::make_mut) {
                pool.spec = AddressPoolSpec {
                    addresses: pool.spec.addresses.clone(),
                    auto_assign: pool.spec.auto_assign,
                    avoid_buggy_ips: pool.spec.avoid_buggy_ips,
                    allow_bound: pool.spec.allow_bound,
                    ..AddressPoolSpec::default()
                };
                match terms {
                    Terms::Open => {}
                    Terms::Fenced => drop(pool.namespaces(&["other"])),
                    Terms::Quota => pool.spec.quota = Some(PoolQuota { per_namespace: Some(2) }),
                    Terms::Retention => pool.spec.retention = Some("1h".to_owned()),
                }
            }
        }
        Change::Wait => world.wait(1_800),
    }
}

fn wish_for(world: &mut World, name: &str, wish: &Wish) {
    let service = world.service(name);
    match wish {
        Wish::Plain => {}
        Wish::Ask(index) => {
            service.ask(ASKED[*index]);
        }
        Wish::AskPool(index) => {
            service.ask_pool(POOLS.get(*index).unwrap_or(&"nowhere"));
        }
        Wish::Withdraw => {
            service.unannotate("ferrolb.io/addresses").unannotate("ferrolb.io/address-pool");
        }
        Wish::Policy(index) => {
            service.policy(["SingleStack", "PreferDualStack", "RequireDualStack"][*index]);
        }
        Wish::Families(index) => {
            let families: [&[&str]; 5] = [&[], &["IPv4"], &["IPv6"], &["IPv4", "IPv6"], &["IPv6", "IPv4"]];
            service.families(families[*index]);
        }
        Wish::Share(index) => {
            match ["x", "y"].get(*index) {
                Some(key) => service.share(key),
                None => service.unannotate("ferrolb.io/sharing-key"),
            };
        }
        Wish::Ports(index) => {
            let ports = [vec![tcp(80)], vec![tcp(443)], vec![udp(80)], vec![tcp(80), tcp(443)]];
            service.ports(&ports[*index]);
        }
        Wish::Local(app) => {
            service.spec().external_traffic_policy = Some("Cluster".to_owned());
            if let Some(app) = app {
                service.local(["a", "b"][*app]);
            }
        }
        Wish::Type(balancer) => {
            let kind = if *balancer { "LoadBalancer" } else { "ClusterIP" };
            service.spec().type_ = Some(kind.to_owned());
        }
    }
}

fn floating_wish_for(world: &mut World, name: &str, wish: &FloatingWish) {
    let spec = &mut world.floating_ip(name).spec;
    match wish {
        FloatingWish::Plain => {}
        FloatingWish::Ask(index) => spec.addresses = ASKED[*index].split(',').map(str::to_owned).collect(),
        FloatingWish::AskPool(index) => {
            spec.pool = Some((*POOLS.get(*index).unwrap_or(&"nowhere")).to_owned())
        }
        FloatingWish::Withdraw => (spec.pool, spec.addresses) = (None, Vec::new()),
        FloatingWish::Families(index) => {
            let families: [&[IPFamily]; 4] =
                [&[], &[IPFamily::IPv4], &[IPFamily::IPv6], &[IPFamily::IPv6, IPFamily::IPv4]];
            spec.ip_families = families[*index].to_vec();
        }
        FloatingWish::Group(on) => spec.group = on.then(|| "pair".to_owned()),
        FloatingWish::Bound(on) => {
            spec.mode = if *on { AddressMode::Bound } else { AddressMode::ReplyOnly };
            let service = FloatingTarget { service: Some("web".to_owned()), ports: Vec::new() };
            spec.target = (!on).then_some(service);
        }
        FloatingWish::Broken(on) => {
            let check = serde_json::json!([{"tcp": {"port": 1}, "rise": if *on { 0 } else { 2 }}]);
            spec.health_checks = serde_json::from_value(check).unwrap();
        }
    }
}

/// The consumer that a change edits.
pub fn edited(change: &Change) -> Option<ConsumerName> {
    let (kind, index) = match change {
        Change::Service(index, _) | Change::DeleteService(index) => (ConsumerKind::Service, index),
        Change::FloatingIP(index, _) | Change::DeleteFloatingIP(index) => (ConsumerKind::FloatingIP, index),
        _ => return None,
    };
    Some(ConsumerName { kind, name: service_name(&name(*index)) })
}

pub fn changes_a_pool(change: &Change) -> bool {
    edited(change).is_none() && !matches!(change, Change::Wait)
}
