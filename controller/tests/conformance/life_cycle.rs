// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Pools that grow, shrink, break and go; restarts.

use ferrolb_config::ObjectRef;
use ferrolb_config::reason::{Reason, Refusal};

use crate::world::{Edit, World, service_name, status};

#[test]
fn ipam_110_a_growing_pool_keeps_all_addresses_and_serves_who_waits() {
    let mut world = World::with_pools(&[("p", &["1.2.3.1/32"])]);
    world.service("s1");
    world.service("s2");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.1", "-"]);
    world.pool("p", &["1.2.3.0/24"]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.1", "1.2.3.0"]);
}

#[test]
fn ipam_111_a_shrinking_pool_evicts_exactly_who_falls_out() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/126"])]);
    world.service("four").ask("1.2.3.0");
    world.service("six").ask("1000::");
    world.service("stays").ask("1.2.3.3");
    world.settle();
    world.pool("p", &["1.2.3.2/31", "1000::/126"]);
    assert_eq!(world.all(["four", "six", "stays"]), ["-", "1000::", "1.2.3.3"]);
    world.pool("p", &["1.2.3.2/31", "1000::2/127"]);
    assert_eq!(world.all(["four", "six", "stays"]), ["-", "-", "1.2.3.3"]);
}

#[test]
fn ipam_112_a_renamed_pool_keeps_its_addresses_under_the_new_name() {
    let mut world = World::with_pools(&[("old", &["1.2.3.0/30"])]);
    world.service("s1").ask("1.2.3.2");
    world.settle();
    world.objects.pools.remove("old");
    world.pool("new", &["1.2.3.0/30"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.2"]);
    assert_eq!(world.plan.virtual_ips[&"1.2.3.2".parse().unwrap()].pool, "new");
}

#[test]
fn ipam_113_a_split_pool_keeps_every_address() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/24", "1000::/124"])]);
    world.service("s1").policy("RequireDualStack").ask("1.2.3.200,1000::8");
    world.settle();
    world.pool("p", &["1.2.3.0/25", "1000::/124"]);
    world.settle();
    world.pool("q", &["1.2.3.128/25"]);
    // The first half of the split took the address out of every pool.
    assert_eq!(world.all(["s1"]), ["-"]);

    let mut world = World::with_pools(&[("p", &["1.2.3.0/24", "1000::/124"])]);
    world.service("s1").policy("RequireDualStack");
    world.settle();
    world.pool("p", &["1.2.3.0/24"]);
    world.pool("q", &["1000::/124"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0 1000::"]);
    assert_eq!(world.plan.virtual_ips[&"1000::".parse().unwrap()].pool, "q");
}

#[test]
fn ipam_114_who_loses_its_pool_moves_to_another_one() {
    let mut world = World::with_pools(&[("a", &["192.168.5.0/32"]), ("b", &["192.168.10.0/32"])]);
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["192.168.5.0"]);
    world.objects.pools.remove("a");
    assert_eq!(world.all(["s1"]), ["192.168.10.0"]);
}

#[test]
fn ipam_115_without_pools_nobody_keeps_an_address() {
    let mut world = World::with_pools(&[("a", &["192.168.5.0/32"])]);
    world.service("s1");
    world.settle();
    world.objects.pools.clear();
    assert_eq!(world.all(["s1"]), ["-"]);
    assert!(world.plan.virtual_ips.is_empty());
}

#[test]
fn ipam_116_a_new_pool_moves_nobody() {
    let mut world = World::with_pools(&[("b", &["1.2.3.0/30"])]);
    world.service("s1");
    world.settle();
    world.pool("a", &["1.1.1.0/30"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn ipam_117_avoiding_addresses_evicts_who_has_one() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    world.pool("p", &["1.2.3.0/30"]).spec.avoid_buggy_ips = true;
    assert_eq!(world.all(["s1"]), ["1.2.3.1"]);
}

#[test]
fn ipam_119_a_refused_pool_keeps_existing_addresses_and_gives_no_new_ones() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1");
    world.settle();
    world.pool("p", &["1.2.3.9-1.2.3.1"]).spec.avoid_buggy_ips = true;
    world.service("s2");
    world.service("s3").ask("1.2.3.2");
    assert_eq!(world.all(["s1", "s2", "s3"]), ["1.2.3.0", "-", "-"]);
    assert_eq!(world.reason("s2"), Some(Reason::PoolNotReady));
    assert_eq!(world.reason("s3"), Some(Reason::PoolNotReady));
    world.pool("p", &["1.2.3.0/30"]).spec.avoid_buggy_ips = false;
    assert_eq!(world.all(["s1", "s2", "s3"]), ["1.2.3.0", "1.2.3.1", "1.2.3.2"]);
}

#[test]
fn a_refused_pool_whose_accepted_ranges_are_lost_keeps_what_is_recorded() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1");
    world.settle();
    world.pool("p", &["nonsense"]).status = None;
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn what_may_stand_in_an_unreadable_document_is_not_taken_for_deleted() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1");
    world.service("s2");
    world.settle();
    let somewhere = ObjectRef::cluster("AddressPool", "p");
    let unreadable = Refusal::error(Reason::MalformedDocument, somewhere, "not YAML");
    world.objects.refused.push(Refusal { object: None, ..unreadable });
    world.objects.pools.clear();
    world.delete("s2");
    world.service("s3");
    assert_eq!(world.all(["s1", "s3"]), ["1.2.3.0", "-"]);
    assert_eq!(world.virtual_ip("1.2.3.1").unwrap().1, ["default/s2"]);
    world.objects.refused.clear();
    world.pool("p", &["1.2.3.0/30"]);
    assert_eq!(world.all(["s1", "s3"]), ["1.2.3.0", "1.2.3.1"]);
}

#[test]
fn a_service_that_cannot_be_read_keeps_its_address_while_others_come_and_go() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("s1");
    world.service("s2");
    world.settle();
    let broken = ObjectRef::namespaced("Service", &service_name("s2"));
    world.objects.refused.push(Refusal::error(Reason::MalformedDocument, broken, "ports: not a list"));
    world.delete("s1");
    world.delete("s2");
    world.service("s3");
    world.service("s4");
    assert_eq!(world.all(["s3", "s4"]), ["1.2.3.0", "-"]);
    world.objects.refused.clear();
    assert_eq!(world.all(["s3", "s4"]), ["1.2.3.0", "1.2.3.1"]);
}

#[test]
fn ipam_120_a_pool_that_appears_satisfies_who_waits_for_its_address() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1").ask("10.0.20.10");
    assert_eq!(world.all(["s1"]), ["-"]);
    world.pool("q", &["10.0.20.0/24"]);
    assert_eq!(world.all(["s1"]), ["10.0.20.10"]);
}

#[test]
fn ipam_124_the_edit_that_overlaps_loses_and_its_pool_goes_on_as_before() {
    let mut world = World::with_pools(&[("b", &["10.0.10.0/28"])]);
    world.service("s1");
    world.settle();
    world.pool("a", &["10.0.10.0/24"]);
    world.service("s2");
    assert_eq!(world.all(["s1", "s2"]), ["10.0.10.0", "10.0.10.1"]);
    assert_eq!(world.plan.virtual_ips[&"10.0.10.1".parse().unwrap()].pool, "b");
    assert!(world.plan.pools["a"].accepted.is_empty());
    world.pool("a", &["10.0.11.0/24"]);
    world.service("s3");
    assert_eq!(world.all(["s1", "s3"]), ["10.0.10.0", "10.0.11.0"]);
}

#[test]
fn ipam_130_after_a_restart_nobody_steals_an_address() {
    let mut world = World::with_pools(&[("p", &["192.168.10.100/32"]), ("q", &["192.168.20.200/32"])]);
    world.service("y");
    world.service("z");
    world.settle();
    world.service("a");
    world.service("b");
    for _ in 0..5 {
        assert_eq!(world.all(["y", "z", "a", "b"]), ["192.168.10.100", "192.168.20.200", "-", "-"]);
    }
}

#[test]
fn ipam_131_shown_addresses_are_adopted_when_the_records_are_lost() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.service("y").ask("1.2.3.1");
    world.service("z").ask("1.2.3.0");
    world.settle();
    world.service("y").unannotate("ferrolb.io/addresses");
    world.service("z").unannotate("ferrolb.io/addresses");
    world.lose_records();
    world.service("a");
    assert_eq!(world.all(["a", "y", "z"]), ["1.2.3.2", "1.2.3.1", "1.2.3.0"]);
}

#[test]
fn ipam_132_an_address_that_somebody_else_gave_is_left_alone() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.tamper("s1", &["192.168.1.12"]);
    assert_eq!(world.reason("s1"), Some(Reason::ForeignAddress));
    assert!(world.plan.virtual_ips.is_empty());
    let shown = world.objects.services[&service_name("s1")].status.clone();
    assert_eq!(shown, Some(status(["192.168.1.12".to_owned()].into_iter())));
}

#[test]
fn a_record_wins_over_a_tampered_status() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.service("s1");
    world.settle();
    world.tamper("s1", &["1.2.3.5"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
    world.tamper("s1", &["9.9.9.9"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}
