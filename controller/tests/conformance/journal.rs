// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is written, what is left alone, and what a user reads of it.

use ferrolb_config::condition::{ADDRESSES_ASSIGNED, READY};
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, Snapshot};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::world::{Edit, World, service_name};

fn world() -> World {
    World::with_pools(&[("pool1", &["1.2.3.0/31"]), ("pool2", &["3.4.5.6/32"])])
}

fn condition(world: &World, name: &str) -> Option<Condition> {
    let status = world.objects.services[&service_name(name)].status.clone()?;
    status.conditions?.into_iter().find(|condition| condition.type_ == ADDRESSES_ASSIGNED)
}

#[test]
fn ctrl_002_a_plain_service_is_given_the_first_address_and_its_record_names_the_pool() {
    let mut world = world();
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    assert_eq!(world.objects.virtual_ips["1.2.3.0"].spec.pool, "pool1");
    assert_eq!(condition(&world, "s1").unwrap().status, "True");
}

#[test]
fn ctrl_006_a_request_that_cannot_be_read_is_refused() {
    let mut world = world();
    world.service("s1").ask("please");
    world.service("s2").spec().load_balancer_ip = Some("1.2.3".to_owned());
    assert_eq!(world.all(["s1", "s2"]), ["-", "-"]);
    assert_eq!(world.reason("s2"), Some(Reason::InvalidValue));
}

#[test]
fn ctrl_025_the_traffic_policy_does_not_matter_to_the_allocation() {
    let mut world = world();
    world.service("s1").local("a");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn ctrl_028_who_has_a_valid_address_is_not_written_again() {
    let mut world = world();
    world.service("s1");
    world.settle();
    assert_eq!(world.pass(usize::MAX), 0);
    let other = world.clone();
    assert_eq!(other.plan, world.plan);
}

#[test]
fn ctrl_030_what_is_cleared_leaves_no_trace_in_the_status() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.service("s1").spec().type_ = Some("NodePort".to_owned());
    world.settle();
    assert!(world.objects.virtual_ips.is_empty());
    let status = world.objects.services[&service_name("s1")].status.clone();
    let shown = status.and_then(|status| status.load_balancer?.ingress);
    assert_eq!((shown, condition(&world, "s1")), (None, None));
}

#[test]
fn ctrl_040_without_pools_services_wait() {
    let mut world = World::default();
    world.service("s1");
    assert_eq!(world.reason("s1"), Some(Reason::NotFound));
    world.pool("p", &["1.2.3.0/31"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn ctrl_041_when_the_only_pool_goes_the_status_is_cleared() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("s1");
    world.settle();
    world.objects.pools.clear();
    assert_eq!(world.all(["s1"]), ["-"]);
    world.pool("q", &["4.5.6.0/31"]);
    assert_eq!(world.all(["s1"]), ["4.5.6.0"]);
}

#[test]
fn ctrl_043_who_waits_has_the_address_of_who_was_deleted() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("svc1");
    world.settle();
    world.service("svc2");
    assert_eq!(world.reason("svc2"), Some(Reason::PoolExhausted));
    world.delete("svc1");
    assert_eq!(world.all(["svc2"]), ["1.2.3.0"]);
}

#[test]
fn ctrl_044_a_controller_with_a_class_serves_just_that_class() {
    for (told, class, ours) in [
        (None, None, true),
        (None, Some("foo"), false),
        (None, Some("ferrolb.io/ferrolb"), true),
        (Some("foo"), None, false),
        (Some("foo"), Some("bar"), false),
        (Some("foo"), Some("ferrolb.io/ferrolb"), false),
        (Some("foo"), Some("foo"), true),
    ] {
        let mut world = world();
        world.service("s1").spec().load_balancer_class = class.map(str::to_owned);
        let scope = told.map_or(Scope::Ours, |class| Scope::Class(class.to_owned()));
        let snapshot = Snapshot::build_within(&world.objects, &scope);
        assert_eq!(snapshot.load_balancers.len() == 1, ours, "{told:?} {class:?}");
    }
}

#[test]
fn ctrl_047_what_is_invalid_leaves_the_last_good_configuration_in_force() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.pool("pool1", &["1.2.3.9-1.2.3.0"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    let ready = |world: &World| {
        let status = world.objects.pools["pool1"].status.clone().unwrap();
        status.conditions.into_iter().find(|condition| condition.type_ == READY).unwrap()
    };
    assert_eq!(ready(&world).reason, "InvalidRange");
    world.pool("pool1", &["1.2.3.0/31"]);
    world.settle();
    assert_eq!(ready(&world).status, "True");
}

#[test]
fn ctrl_048_objects_have_no_order() {
    let (mut one, mut other) = (Objects::default(), Objects::default());
    let mut world = world();
    world.service("s1");
    let pools: Vec<_> = world.objects.pools.iter().collect();
    one.pools = pools.iter().map(|(name, pool)| ((*name).clone(), (*pool).clone())).collect();
    other.pools = pools.iter().rev().map(|(name, pool)| ((*name).clone(), (*pool).clone())).collect();
    assert_eq!(Snapshot::build(&one), Snapshot::build(&other));
}

#[test]
fn ctrl_050_nodes_do_not_matter_to_the_allocation() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.objects.nodes.insert("n1".to_owned(), Node::default().into());
    assert_eq!(world.pass(usize::MAX), 0);
}

#[test]
fn ctrl_051_our_own_writes_lead_to_no_further_ones() {
    let mut world = world();
    for index in 0..4 {
        world.service(&format!("s{index}"));
    }
    assert_eq!(world.settle(), 1, "one pass writes all that there is to write");
}

#[test]
fn ctrl_057_the_addresses_of_a_deleted_service_are_free_at_once() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.delete("s1");
    world.service("s2");
    world.pass(usize::MAX);
    assert_eq!(world.objects.virtual_ips["1.2.3.0"].spec.consumers[0].name, "s2");
}

#[test]
fn ctrl_029_every_verdict_has_a_reason_that_programs_can_read() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("has");
    world.settle();
    world.service("waits");
    world.settle();
    assert_eq!(condition(&world, "has").unwrap().reason, "Assigned");
    assert_eq!(condition(&world, "waits").unwrap().reason, "PoolExhausted");
}

#[test]
fn ctrl_055_a_condition_says_why_a_request_is_not_met() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("has");
    world.settle();
    for (name, edit, reason) in [
        ("no-pool", ("ferrolb.io/address-pool", "nowhere"), Reason::NotFound),
        ("outside", ("ferrolb.io/addresses", "9.9.9.9"), Reason::AddressNotInPool),
        ("taken", ("ferrolb.io/addresses", "1.2.3.0"), Reason::AddressInUse),
    ] {
        world.service(name).annotate(edit.0, edit.1);
        world.settle();
        let condition = condition(&world, name).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason), ("False", reason.to_string()));
    }
}
