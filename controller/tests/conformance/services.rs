// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a Service to its status.

use ferrolb_config::reason::Reason;
use ferrolb_controller::plan::ServicePlan;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::world::{Edit, World, service_name};

fn world() -> World {
    let mut world = World::with_pools(&[("pool1", &["1.2.3.0/31", "1000::/127"])]);
    world.pool("pool2", &["3.4.5.6/32"]).spec.auto_assign = false;
    world
}

#[test]
fn ctrl_001_a_service_of_another_type_is_left_alone() {
    let mut world = world();
    world.service("s1").spec().type_ = Some("ClusterIP".to_owned());
    world.settle();
    assert!(world.plan.services.is_empty());
}

#[test]
fn ctrl_003_the_field_selects_the_address() {
    let mut world = world();
    world.service("s1").spec().load_balancer_ip = Some("1.2.3.1".to_owned());
    assert_eq!(world.all(["s1"]), ["1.2.3.1"]);
}

#[test]
fn ctrl_005_two_different_requests_are_refused() {
    let mut world = world();
    world.service("s1").ask("1.2.3.0").spec().load_balancer_ip = Some("1.2.3.1".to_owned());
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::ContradictoryRequest));
}

#[test]
fn ctrl_007_an_address_that_is_not_of_the_pool_asked_for_is_refused() {
    let mut world = world();
    world.service("s1").ask("1.2.3.0").ask_pool("pool2");
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::AddressNotInPool));
}

#[test]
fn ctrl_008_two_addresses_of_one_family_are_refused() {
    let mut world = world();
    world.service("s1").ask("1.2.3.0,1.2.3.1");
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::InvalidValue));
}

#[test]
fn ctrl_009_who_asks_for_an_address_outside_the_pools_loses_the_old_one() {
    let mut world = world();
    world.service("s1").ask("1.2.3.1");
    assert_eq!(world.all(["s1"]), ["1.2.3.1"]);
    world.service("s1").ask("9.9.9.9");
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::AddressNotInPool));
}

#[test]
fn ctrl_010_another_pool_moves_the_service() {
    let mut world = world();
    world.service("s1").ask_pool("pool1");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    world.service("s1").ask_pool("pool2");
    assert_eq!(world.all(["s1"]), ["3.4.5.6"]);
}

#[test]
fn a_move_to_a_full_pool_keeps_the_old_address_until_there_is_room() {
    let mut world = world();
    world.service("first").ask_pool("pool2");
    world.service("s1");
    world.settle();
    world.service("s1").ask_pool("pool2");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    assert_eq!(world.reason("s1"), Some(Reason::PoolExhausted));
    world.delete("first");
    assert_eq!(world.all(["s1"]), ["3.4.5.6"]);
}

#[test]
fn ctrl_011_a_pool_that_does_not_exist_is_no_place_to_move_to() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.service("s1").ask_pool("nowhere");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    assert_eq!(world.reason("s1"), Some(Reason::NotFound));
}

#[test]
fn ctrl_014_a_change_of_type_frees_the_address() {
    let mut world = world();
    world.service("s1");
    world.settle();
    world.service("s1").spec().type_ = Some("NodePort".to_owned());
    let objects = world.objects.clone();
    assert_eq!(
        ferrolb_controller::plan(&ferrolb_config::Snapshot::build(&objects), world.now).services
            [&service_name("s1")],
        ServicePlan::Released
    );
    world.service("s2");
    assert_eq!(world.all(["s2"]), ["1.2.3.0"]);
}

#[test]
fn ctrl_016_a_request_of_the_wrong_family_is_refused() {
    let mut world = world();
    world.service("s1").families(&["IPv4"]).ask("1000::");
    world.service("s2").families(&["IPv6"]).ask("1.2.3.0");
    assert_eq!(world.all(["s1", "s2"]), ["-", "-"]);
    assert_eq!(world.reason("s1"), Some(Reason::NoSuchFamily));
    assert_eq!(world.reason("s2"), Some(Reason::NoSuchFamily));
}

#[test]
fn ctrl_018_a_dual_stack_service_shows_ipv4_first() {
    let mut world = world();
    world.service("s1").policy("RequireDualStack").families(&["IPv6", "IPv4"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0 1000::"]);
}

#[test]
fn ctrl_019_a_single_cluster_address_limits_the_families() {
    let mut world = world();
    for (name, policy) in [("s1", "PreferDualStack"), ("s2", "RequireDualStack")] {
        world.service(name).policy(policy).spec().cluster_ips = Some(vec!["10.0.0.1".to_owned()]);
    }
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "-"]);
    assert_eq!(world.reason("s2"), Some(Reason::NoSuchFamily));
}

#[test]
fn ctrl_020_one_address_for_a_dual_stack_service_is_refused() {
    let mut world = world();
    world.service("s1").policy("RequireDualStack").ask("1.2.3.0");
    world.service("s2").policy("PreferDualStack").ask("1.2.3.0").spec().cluster_ips =
        Some(vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()]);
    assert_eq!(world.all(["s1", "s2"]), ["-", "-"]);
    assert_eq!(world.reason("s1"), Some(Reason::NoSuchFamily));
}

#[test]
fn ctrl_021_a_pair_of_addresses_is_honoured() {
    let mut world = world();
    world.service("s1").policy("PreferDualStack").ask(" 1000::1 , 1.2.3.1 ");
    assert_eq!(world.all(["s1"]), ["1.2.3.1 1000::1"]);
}

#[test]
fn ctrl_022_a_pair_of_addresses_is_too_much_for_a_single_stack_service() {
    let mut world = world();
    world.service("s1").ask("1.2.3.0,1000::");
    world.service("s2").families(&["IPv4"]).ask("1.2.3.0,1000::");
    assert_eq!(world.all(["s1", "s2"]), ["-", "-"]);
}

#[test]
fn ctrl_044_another_controllers_class_is_none_of_ours() {
    let mut world = world();
    world.service("s1").spec().load_balancer_class = Some("foo".to_owned());
    world.service("s2").spec().load_balancer_class = Some("ferrolb.io/ferrolb".to_owned());
    assert_eq!(world.all(["s1", "s2"]), ["-", "1.2.3.0"]);
    assert!(!world.plan.services.contains_key(&service_name("s1")));
}

#[test]
fn ctrl_054_who_withdraws_a_request_keeps_the_address() {
    let mut world = world();
    world.service("s1").ask("1.2.3.1");
    world.settle();
    world.service("s1").unannotate("ferrolb.io/addresses");
    assert_eq!(world.all(["s1"]), ["1.2.3.1"]);
}

#[test]
fn ctrl_065_an_unreadable_request_takes_nothing_away() {
    let mut world = world();
    world.service("s1").ask("1.2.3.1");
    world.settle();
    world.service("s1").ask("1.2.3.");
    assert_eq!(world.all(["s1"]), ["1.2.3.1"]);
    assert_eq!(world.reason("s1"), Some(Reason::InvalidValue));
}

#[test]
fn a_service_that_is_being_deleted_keeps_its_address_until_it_is_gone() {
    let mut world = world();
    world.service("s1").ask("1.2.3.1");
    world.settle();
    let now = Time(Timestamp::from_second(1).unwrap());
    world.service("s1").unannotate("ferrolb.io/addresses").metadata.deletion_timestamp = Some(now.clone());
    world.service("s2").metadata.deletion_timestamp = Some(now);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.1", "-"]);
    world.delete("s1");
    assert_eq!(world.virtual_ip("1.2.3.1"), Some(("default/s1".to_owned(), vec!["default/s1".to_owned()])));
    world.settle();
    assert_eq!(world.virtual_ip("1.2.3.1"), None);
}

#[test]
fn the_older_of_two_newcomers_is_served_first() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("a").metadata.creation_timestamp = Some(Time(Timestamp::from_second(20).unwrap()));
    world.service("b").metadata.creation_timestamp = Some(Time(Timestamp::from_second(10).unwrap()));
    assert_eq!(world.all(["a", "b"]), ["-", "1.2.3.0"]);
}
