// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How much of a pool one namespace may hold.

use ferrolb_config::api::PoolQuota;
use ferrolb_config::reason::Reason;

use crate::world::{Edit, World, tcp, udp};

fn world(limit: u32) -> World {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/28", "fd00::/124"])]);
    limit_to(&mut world, limit);
    world
}

fn limit_to(world: &mut World, limit: u32) {
    world.pool("p", &["1.2.3.0/28", "fd00::/124"]).spec.quota =
        Some(PoolQuota { per_namespace: Some(limit) });
}

#[test]
fn a_namespace_holds_no_more_than_its_quota_and_others_are_not_concerned() {
    let mut world = world(1);
    world.service("red/a");
    world.service("red/b");
    world.service("blue/a");
    assert_eq!(world.all(["blue/a", "red/a", "red/b"]), ["1.2.3.0", "1.2.3.1", "-"]);
    assert_eq!(world.reason("red/b"), Some(Reason::QuotaExceeded));
    world.delete("red/a");
    assert_eq!(world.all(["red/b"]), ["1.2.3.1"]);
}

#[test]
fn another_pool_is_used_when_the_quota_of_the_first_is_reached() {
    let mut world = world(1);
    world.pool("q", &["5.6.7.0/30"]);
    world.service("red/a");
    world.service("red/b");
    assert_eq!(world.all(["red/a", "red/b"]), ["1.2.3.0", "5.6.7.0"]);
}

#[test]
fn a_lower_quota_takes_nothing_away() {
    let mut world = world(3);
    world.service("red/a");
    world.service("red/b");
    assert_eq!(world.all(["red/a", "red/b"]), ["1.2.3.0", "1.2.3.1"]);
    limit_to(&mut world, 1);
    world.service("red/c");
    assert_eq!(world.all(["red/a", "red/b", "red/c"]), ["1.2.3.0", "1.2.3.1", "-"]);
}

#[test]
fn a_shared_address_counts_once_and_a_pair_twice() {
    let mut world = world(1);
    world.service("red/a").share("k").ports(&[tcp(80)]);
    world.service("red/b").share("k").ports(&[udp(80)]);
    assert_eq!(world.all(["red/a", "red/b"]), ["1.2.3.0", "1.2.3.0"]);
    world.service("blue/pair").policy("RequireDualStack");
    assert_eq!(world.reason("blue/pair"), Some(Reason::QuotaExceeded));
    limit_to(&mut world, 2);
    assert_eq!(world.all(["blue/pair"]), ["1.2.3.1 fd00::"]);
}

#[test]
fn a_move_within_the_quota_needs_no_room_for_both_addresses() {
    let mut world = world(1);
    world.service("red/a");
    world.settle();
    world.service("red/a").ask("1.2.3.7");
    assert_eq!(world.all(["red/a"]), ["1.2.3.7"]);
}

#[test]
fn an_address_asked_for_counts_too() {
    let mut world = world(0);
    world.service("red/a").ask("1.2.3.7");
    assert_eq!(world.reason("red/a"), Some(Reason::QuotaExceeded));
}
