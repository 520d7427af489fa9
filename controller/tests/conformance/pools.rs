// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which pool an address comes from.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, World};

#[test]
fn ipam_080_a_pool_without_auto_assign_serves_only_who_names_it_or_its_addresses() {
    let mut world = World::with_pools(&[("z", &["1.2.3.0/31"])]);
    world.pool("a", &["3.4.5.6/31"]).spec.auto_assign = false;
    world.service("plain");
    world.service("by-pool").ask_pool("a");
    world.service("by-address").ask("3.4.5.7");
    assert_eq!(world.all(["plain", "by-pool", "by-address"]), ["1.2.3.0", "3.4.5.6", "3.4.5.7"]);
    world.pool("z", &["1.2.3.0/32"]);
    world.service("second");
    assert_eq!(world.reason("second"), Some(Reason::PoolExhausted));
    // Switching autoAssign off takes nothing away.
    world.pool("z", &["1.2.3.0/32"]).spec.auto_assign = false;
    assert_eq!(world.all(["plain"]), ["1.2.3.0"]);
    assert_eq!(world.reason("second"), Some(Reason::NotFound));
}

#[test]
fn ipam_092_pools_are_tried_by_name() {
    let mut world = World::with_pools(&[("b", &["2.2.2.0/30"]), ("a", &["3.3.3.0/30"])]);
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["3.3.3.0"]);
}

#[test]
fn who_asks_for_an_address_is_served_before_who_takes_any() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("a");
    world.service("b").ask_pool("p");
    world.service("c").ask("1.2.3.0");
    assert_eq!(world.all(["a", "b", "c"]), ["-", "1.2.3.1", "1.2.3.0"]);
}

#[test]
fn without_any_pool_a_service_is_refused_with_the_reason() {
    let mut world = World::default();
    world.service("s1");
    assert_eq!(world.reason("s1"), Some(Reason::NotFound));
}
