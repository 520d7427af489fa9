// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Direct assignment and release.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, World};

#[test]
fn ipam_001_planning_again_changes_nothing() {
    let mut world = World::with_pools(&[("p", &["1.2.3.4/31"])]);
    world.service("s1").ask("1.2.3.4");
    assert_eq!(world.settle(), 1);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.all(["s1"]), ["1.2.3.4"]);
}

#[test]
fn ipam_002_an_address_in_use_is_refused_and_nobody_loses_anything() {
    let mut world = World::with_pools(&[("p", &["1.2.3.4/30"])]);
    world.service("s1").ask("1.2.3.4");
    world.service("s2").ask("1.2.3.5");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.4", "1.2.3.5"]);
    world.service("s2").ask("1.2.3.4");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.4", "1.2.3.5"]);
    assert_eq!(world.reason("s2"), Some(Reason::AddressInUse));
    assert_eq!(world.reason("s1"), None);
    world.service("s2").ask("1.2.3.6");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.4", "1.2.3.6"]);
    assert_eq!(world.reason("s2"), None);
}

#[test]
fn ipam_003_a_released_address_is_usable_at_once() {
    let mut world = World::with_pools(&[("p", &["1.2.3.4/31"])]);
    world.service("s1").ask("1.2.3.4");
    world.settle();
    world.delete("s1");
    world.service("s2").ask("1.2.3.4");
    world.service("s3");
    assert_eq!(world.all(["s2", "s3"]), ["1.2.3.4", "1.2.3.5"]);
}

#[test]
fn ipam_004_a_refused_assignment_records_nothing() {
    let mut world = World::with_pools(&[("p", &["1.2.3.4/31"])]);
    world.service("s1").ask("1.2.3.4");
    world.settle();
    let before = world.plan.virtual_ips.clone();
    world.service("s2").ask("1.2.3.4");
    world.settle();
    assert_eq!(world.plan.virtual_ips, before);
}

#[test]
fn ipam_005_an_address_of_no_pool_is_refused() {
    let mut world = World::with_pools(&[("p", &["10.0.0.0/24"])]);
    world.service("s1").ask("10.0.1.1");
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::AddressNotInPool));
}

#[test]
fn ipam_006_both_addresses_of_a_service_come_from_one_pool() {
    let mut world = World::with_pools(&[("a", &["1.2.3.4/30", "1000::4/126"]), ("b", &["1.2.4.4/30"])]);
    world.service("s1").policy("RequireDualStack").ask("1.2.3.4,1000::4");
    world.service("s2").policy("RequireDualStack").ask("1.2.4.5,1000::5");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.4 1000::4", "-"]);
    assert_eq!(world.reason("s2"), Some(Reason::AddressNotInPool));
}

#[test]
fn ipam_007_addresses_are_given_lowest_first() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    for name in ["s1", "s2", "s3"] {
        world.service(name);
    }
    assert_eq!(world.all(["s1", "s2", "s3"]), ["1.2.3.0", "1.2.3.1", "-"]);
}

#[test]
fn ipam_009_who_waits_for_a_full_pool_is_served_when_an_address_comes_free() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        world.service(name);
    }
    assert_eq!(world.all(["s4", "s5"]), ["1.2.3.3", "-"]);
    assert_eq!(world.reason("s5"), Some(Reason::PoolExhausted));
    world.delete("s2");
    assert_eq!(world.all(["s1", "s5"]), ["1.2.3.0", "1.2.3.1"]);
}

#[test]
fn ipam_010_a_pool_that_does_not_exist_is_named_in_the_refusal() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1").ask_pool("nowhere");
    assert_eq!(world.all(["s1"]), ["-"]);
    assert_eq!(world.reason("s1"), Some(Reason::NotFound));
}

#[test]
fn ipam_011_allocation_without_a_pool_name_spans_pools() {
    let mut world =
        World::with_pools(&[("a", &["1.2.3.0/31", "1000::/127"]), ("b", &["1.2.4.0/31", "2000::/127"])]);
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        world.service(name).families(&["IPv4"]);
    }
    assert_eq!(world.all(["s1", "s2", "s3", "s4", "s5"]), ["1.2.3.0", "1.2.3.1", "1.2.4.0", "1.2.4.1", "-"]);
}

#[test]
fn ipam_012_a_shared_address_counts_once() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/126"])]);
    for (name, port) in [("s1", 1), ("s2", 2), ("s3", 3)] {
        world.service(name).share("key").ports(&[crate::world::tcp(port)]);
    }
    world.settle();
    let usage = world.plan.pools["p"].ipv4.clone().unwrap();
    assert_eq!((usage.total.as_str(), usage.assigned.as_str(), usage.available.as_str()), ("4", "1", "3"));
}

#[test]
fn ipam_008_who_holds_nothing_is_released_without_harm() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("holder");
    world.settle();
    world.service("s").spec().type_ = Some("ClusterIP".to_owned());
    world.settle();
    world.delete("s");
    world.delete("s");
    assert_eq!(world.all(["holder"]), ["1.2.3.0"]);
}
