// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Address families and dual stack.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, World};

const DUAL: &[&str] = &["1.2.3.0/30", "1000::/126"];

#[test]
fn ipam_061_a_single_stack_service_gets_one_address_of_its_family() {
    let mut world = World::with_pools(&[("p", DUAL)]);
    world.service("v4").families(&["IPv4"]);
    world.service("v6").families(&["IPv6"]);
    world.service("any");
    assert_eq!(world.all(["v4", "v6", "any"]), ["1.2.3.1", "1000::", "1.2.3.0"]);
}

#[test]
fn a_cluster_address_settles_the_family() {
    let mut world = World::with_pools(&[("p", DUAL)]);
    world.service("s1").spec().cluster_ips = Some(vec!["fd00::1".to_owned()]);
    assert_eq!(world.all(["s1"]), ["1000::"]);
}

#[test]
fn a_service_without_a_family_takes_ipv6_where_no_pool_has_ipv4_and_stays_there() {
    let mut world = World::with_pools(&[("six", &["1000::/126"])]);
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["1000::"]);
    world.pool("four", &["1.2.3.0/30"]);
    world.service("s2");
    assert_eq!(world.all(["s1", "s2"]), ["1000::", "1.2.3.0"]);
}

#[test]
fn ipam_063_require_dual_stack_gets_both_families_from_one_pool_or_nothing() {
    let mut world = World::with_pools(&[("p", DUAL), ("q", &["2.0.0.0/24"]), ("r", &["2000::/64"])]);
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        world.service(name).policy("RequireDualStack");
    }
    assert_eq!(world.all(["s1", "s4", "s5"]), ["1.2.3.0 1000::", "1.2.3.3 1000::3", "-"]);
    assert_eq!(world.reason("s5"), Some(Reason::PoolExhausted));
    world.objects.pools.remove("p");
    assert_eq!(world.all(["s1", "s5"]), ["-", "-"]);
    assert_eq!(world.reason("s5"), Some(Reason::NoSuchFamily));
}

#[test]
fn ipam_064_prefer_dual_stack_takes_what_is_to_be_had() {
    for (ranges, expected) in
        [(&["1.2.3.0/30"][..], "1.2.3.0"), (&["1000::/126"], "1000::"), (DUAL, "1.2.3.0 1000::")]
    {
        let mut world = World::with_pools(&[("p", ranges)]);
        world.service("s1").policy("PreferDualStack");
        assert_eq!(world.all(["s1"]), [expected]);
        assert_eq!(world.reason("s1"), None);
    }
}

#[test]
fn ipam_065_prefer_dual_stack_chooses_a_dual_pool_first() {
    let mut world = World::with_pools(&[("a", &["1.1.1.0/30"]), ("b", &["2000::/126"]), ("c", DUAL)]);
    world.service("s1").policy("PreferDualStack");
    assert_eq!(world.all(["s1"]), ["1.2.3.0 1000::"]);
}

#[test]
fn ipam_066_among_single_stack_pools_the_primary_family_decides() {
    let mut world = World::with_pools(&[("a", &["2000::/126"]), ("b", &["1.1.1.0/30"])]);
    world.service("s1").policy("PreferDualStack");
    world.service("s2").policy("PreferDualStack").families(&["IPv6", "IPv4"]);
    assert_eq!(world.all(["s1", "s2"]), ["1.1.1.0", "2000::"]);
}

#[test]
fn ipam_067_the_second_family_is_added_later_and_the_first_does_not_move() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("a").policy("PreferDualStack");
    world.service("b").policy("PreferDualStack");
    world.settle();
    world.delete("a");
    assert_eq!(world.all(["b"]), ["1.2.3.1"]);
    let group = world.virtual_ip("1.2.3.1").unwrap().0;
    world.pool("p", DUAL);
    assert_eq!(world.all(["b"]), ["1.2.3.1 1000::"]);
    assert_eq!(world.virtual_ip("1.2.3.1").unwrap().0, group);
    assert_eq!(world.virtual_ip("1000::").unwrap().0, group);
}

#[test]
fn ipam_068_require_on_a_single_stack_pool_has_nothing_and_prefer_has_one() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    for (policy, expected) in
        [("PreferDualStack", "1.2.3.0"), ("RequireDualStack", "-"), ("PreferDualStack", "1.2.3.0")]
    {
        world.service("s1").policy(policy);
        assert_eq!(world.all(["s1"]), [expected]);
    }
}

#[test]
fn ipam_069_a_satisfied_service_does_not_jump_to_a_new_dual_pool() {
    let mut world = World::with_pools(&[("p", &["1.1.1.0/30"])]);
    world.service("s1").policy("PreferDualStack");
    world.settle();
    world.pool("a", DUAL);
    assert_eq!(world.all(["s1"]), ["1.1.1.0"]);
}

#[test]
fn ipam_070_who_requires_both_moves_along_when_its_pool_loses_a_family() {
    let mut world = World::with_pools(&[("a", DUAL), ("b", &["2.2.2.0/32", "2000::/124"])]);
    world.service("s1").policy("RequireDualStack");
    assert_eq!(world.all(["s1"]), ["1.2.3.0 1000::"]);
    world.pool("a", &["1.2.3.0/30"]);
    assert_eq!(world.all(["s1"]), ["2.2.2.0 2000::"]);
}

#[test]
fn who_prefers_both_keeps_the_address_that_may_stay_when_its_pool_loses_a_family() {
    let mut world = World::with_pools(&[("a", DUAL), ("b", &["2.2.2.0/32", "2000::/124"])]);
    world.service("s1").policy("PreferDualStack");
    world.settle();
    world.pool("a", &["1.2.3.0/30"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn ipam_071_a_change_of_policy_touches_only_the_second_family() {
    let mut world = World::with_pools(&[("p", DUAL)]);
    world.service("s1").families(&["IPv6"]);
    assert_eq!(world.all(["s1"]), ["1000::"]);
    world.service("s1").policy("RequireDualStack").families(&["IPv6", "IPv4"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0 1000::"]);
    world.service("s1").policy("SingleStack").families(&["IPv6"]);
    assert_eq!(world.all(["s1"]), ["1000::"]);
}

#[test]
fn ipam_072_a_failed_dual_stack_attempt_leaves_nothing_behind() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/128"])]);
    world.service("s1").policy("RequireDualStack");
    world.service("s2").policy("RequireDualStack");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0 1000::", "-"]);
    assert_eq!(world.plan.virtual_ips.len(), 2);
    assert_eq!(world.plan.pools["p"].ipv4.as_ref().unwrap().assigned, "1");
}

#[test]
fn ipam_060_a_list_of_addresses_is_one_or_one_of_each_family() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/126"])]);
    for (list, given) in [
        ("1.2.3.1", "1.2.3.1"),
        ("1000::1", "1000::1"),
        ("1.2.3.1,1000::1", "1.2.3.1 1000::1"),
        ("1.2.3.1,1.2.3.2", "-"),
        ("1.2.3.1,1000::1,1000::2", "-"),
        (",", "-"),
        ("1.2.3.1,what", "-"),
    ] {
        world.service("s").policy("PreferDualStack").ask(list);
        assert_eq!(world.all(["s"]), [given], "{list}");
        world.delete("s");
        world.settle();
    }
}

#[test]
fn ipam_062_a_change_of_family_gives_the_old_address_up() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/126"])]);
    world.service("s").families(&["IPv4"]);
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
    world.service("s").families(&["IPv6"]);
    assert_eq!(world.all(["s"]), ["1000::"]);
    assert_eq!(world.objects.virtual_ips.len(), 1);
}

#[test]
fn ipam_073_who_prefers_both_and_has_one_has_what_it_asks_for() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s").policy("PreferDualStack");
    assert_eq!((world.all(["s"]), world.reason("s")), (["1.2.3.0".to_owned()], None));
}

#[test]
fn ipam_074_an_ipv6_service_is_served_from_an_ipv6_pool() {
    let mut world = World::with_pools(&[("p", &["2001:db8::/64"])]);
    world.service("s").families(&["IPv6"]).spec().cluster_ips = Some(vec!["fd00::1".to_owned()]);
    assert_eq!(world.all(["s"]), ["2001:db8::"]);
}
