// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ranges, addresses that end in .0 or .255, capacity.

use std::collections::BTreeSet;

use ferrolb_config::reason::Reason;

use crate::world::{Edit, World};

#[test]
fn ipam_020_an_address_that_the_pool_avoids_cannot_be_asked_for() {
    let mut world = World::default();
    world.pool("p", &["1.2.4.0/24"]).spec.avoid_buggy_ips = true;
    world.service("s1").ask("1.2.4.0");
    world.service("s2").ask("1.2.4.255");
    world.service("s3").ask("1.2.4.254");
    assert_eq!(world.all(["s1", "s2", "s3"]), ["-", "-", "1.2.4.254"]);
    assert_eq!(world.reason("s1"), Some(Reason::AddressNotInPool));
}

#[test]
fn ipam_021_automatic_allocation_skips_what_the_pool_avoids() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31", "1.2.3.254/31"])]);
    world.pool("b", &["1.2.4.0/31", "1.2.4.254/31"]).spec.avoid_buggy_ips = true;
    let names = ["s1", "s2", "s3", "s4", "s5", "s6", "s7"];
    for name in names {
        world.service(name);
    }
    let given: BTreeSet<_> = world.all(names).into();
    let expected = ["1.2.3.0", "1.2.3.1", "1.2.3.254", "1.2.3.255", "1.2.4.1", "1.2.4.254", "-"];
    assert_eq!(given, expected.map(str::to_owned).into());
}

#[test]
fn ipam_022_ipv6_is_never_avoided() {
    let mut world = World::default();
    world.pool("p", &["2.3.4.128/25", "1000::/127"]).spec.avoid_buggy_ips = true;
    world.settle();
    let pool = &world.plan.pools["p"];
    assert_eq!(pool.ipv4.as_ref().unwrap().total, "127");
    assert_eq!(pool.ipv6.as_ref().unwrap().total, "2");
}

#[test]
fn ipam_024_a_huge_pool_is_counted_exactly() {
    let mut world = World::with_pools(&[("p", &["2001:db8::/64", "10.0.0.0/8"])]);
    world.service("s1").families(&["IPv6"]);
    assert_eq!(world.all(["s1"]), ["2001:db8::"]);
    let pool = &world.plan.pools["p"];
    assert_eq!(pool.ipv6.as_ref().unwrap().total, "18446744073709551616");
    assert_eq!(pool.ipv6.as_ref().unwrap().available, "18446744073709551615");
    assert_eq!(pool.ipv4.as_ref().unwrap().total, "16777216");
    assert_eq!(pool.accepted, ["10.0.0.0/8", "2001:db8::/64"]);
}

#[test]
fn ipam_026_a_range_with_a_dash_gives_only_what_lies_inside() {
    let mut world = World::with_pools(&[("p", &["40.0.0.150 - 40.0.0.151"])]);
    world.service("s1");
    world.service("s2");
    world.service("s3");
    assert_eq!(world.all(["s1", "s2", "s3"]), ["40.0.0.150", "40.0.0.151", "-"]);
}
