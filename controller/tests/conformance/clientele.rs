// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Pools that say whom they serve, and in which order pools are tried.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, Serve, World, text_map};

const METALLB: &[(&str, &str)] = &[("team", "metallb")];

fn label(world: &mut World, name: &str, labels: &[(&str, &str)]) {
    world.service(name).metadata.labels = Some(text_map(labels));
}

#[test]
fn ipam_081_pools_give_addresses_automatically_unless_told_otherwise() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("s1");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn ipam_082_a_pool_bound_to_namespaces_serves_only_those_and_comes_first() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.pool("z", &["7.8.9.0/31"]).priority(10).namespaces(&["ns1"]);
    world.service("ns1/s");
    world.service("ns2/s");
    assert_eq!(world.all(["ns1/s", "ns2/s"]), ["7.8.9.0", "1.2.3.0"]);
}

#[test]
fn ipam_083_a_bound_pool_without_priority_comes_before_unbound_ones() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.pool("z", &["16.17.18.0/31"]).namespaces(&["ns2"]);
    world.service("ns2/s");
    assert_eq!(world.all(["ns2/s"]), ["16.17.18.0"]);
}

#[test]
fn ipam_084_a_pool_bound_by_service_labels_serves_only_matching_services() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.pool("y", &["13.14.15.0/31"]).priority(9).services_with(METALLB);
    world.pool("z", &["19.20.21.0/31"]).priority(8).services_with(METALLB);
    label(&mut world, "s1", METALLB);
    label(&mut world, "s2", &[("team", "other")]);
    assert_eq!(world.all(["s1", "s2"]), ["19.20.21.0", "1.2.3.0"]);
}

#[test]
fn ipam_085_namespace_and_service_selector_both_have_to_fit() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/29"])]);
    world.pool("y", &["22.23.24.0/31"]).priority(8).namespaces(&["ns1"]).services_with(METALLB);
    world.pool("z", &["25.26.27.0/31"]).priority(5).namespaces(&["ns1"]).services_with(METALLB);
    label(&mut world, "ns1/both", METALLB);
    world.service("ns1/namespace");
    label(&mut world, "ns2/label", METALLB);
    let addresses = world.all(["ns1/both", "ns1/namespace", "ns2/label"]);
    assert_eq!(addresses, ["25.26.27.0", "1.2.3.0", "1.2.3.1"]);
    // Nor may they ask for it by name or address.
    world.service("ns1/namespace").ask_pool("z");
    world.service("ns2/label").ask("25.26.27.1");
    assert_eq!(world.reason("ns1/namespace"), Some(Reason::PoolNotAllowed));
    assert_eq!(world.reason("ns2/label"), Some(Reason::PoolNotAllowed));
}

#[test]
fn ipam_086_a_lower_number_is_used_first_and_none_comes_last() {
    let mut world = World::default();
    world.pool("a", &["192.168.20.0/32"]).namespaces(&["ns"]);
    world.pool("b", &["192.168.5.0/32"]).namespaces(&["ns"]).priority(20);
    world.pool("c", &["192.168.10.0/32"]).namespaces(&["ns"]).priority(10);
    world.service("ns/s1");
    world.service("ns/s2");
    world.service("ns/s3");
    assert_eq!(world.all(["ns/s1", "ns/s2", "ns/s3"]), ["192.168.10.0", "192.168.5.0", "192.168.20.0"]);
}

#[test]
fn ipam_087_priority_alone_orders_pools_for_everybody() {
    let mut world = World::with_pools(&[("a", &["1.0.0.1/32"])]);
    world.pool("b", &["2.0.0.1/32"]).priority(20);
    world.pool("c", &["3.0.0.1/32"]).priority(10);
    world.service("n1/s");
    world.settle();
    world.service("n2/s");
    world.settle();
    world.service("n3/s");
    assert_eq!(world.all(["n1/s", "n2/s", "n3/s"]), ["3.0.0.1", "2.0.0.1", "1.0.0.1"]);
}

#[test]
fn ipam_088_namespaces_are_selected_by_several_labels() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.pool("z", &["7.8.9.0/31"]).namespaces_with(&[("foo1", "bar1"), ("foo2", "bar2")]);
    world.namespace("both", &[("foo1", "bar1"), ("foo2", "bar2")]);
    world.namespace("one", &[("foo1", "bar1")]);
    world.service("both/s");
    world.service("one/s");
    assert_eq!(world.all(["both/s", "one/s"]), ["7.8.9.0", "1.2.3.0"]);
}

#[test]
fn ipam_089_a_relabelled_namespace_is_served_from_now_on() {
    let mut world = World::with_pools(&[("a", &["192.168.20.0/30"])]);
    world.pool("z", &["192.168.50.0/32"]).priority(5).namespaces_with(&[("team", "red")]);
    world.namespace("ns", &[]);
    world.service("ns/s1");
    assert_eq!(world.all(["ns/s1"]), ["192.168.20.0"]);
    world.namespace("ns", &[("team", "red")]);
    world.service("ns/s2");
    assert_eq!(world.all(["ns/s1", "ns/s2"]), ["192.168.20.0", "192.168.50.0"]);
}

#[test]
fn ipam_090_a_selector_that_fits_no_namespace_serves_nobody_not_even_by_request() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29"]).namespaces_with(&[("team", "red")]);
    world.namespace("ns", &[]);
    world.service("ns/any");
    world.service("ns/pool").ask_pool("p");
    world.service("ns/address").ask("1.2.3.1");
    for name in ["ns/any", "ns/pool", "ns/address"] {
        assert_eq!(world.reason(name), Some(Reason::PoolNotAllowed), "{name}");
    }
    // A service selector beside it does not open the fence either.
    world.pool("p", &["1.2.3.0/29"]).services_with(METALLB);
    label(&mut world, "ns/address", METALLB);
    assert_eq!(world.reason("ns/address"), Some(Reason::PoolNotAllowed));
}

#[test]
fn ipam_091_a_bound_pool_refuses_strangers_who_ask_for_its_address() {
    let mut world = World::default();
    world.pool("p", &["1.2.5.0/29"]).namespaces(&["ns1"]);
    world.service("ns2/s").ask("1.2.5.1");
    assert_eq!(world.all(["ns2/s"]), ["-"]);
    assert_eq!(world.reason("ns2/s"), Some(Reason::PoolNotAllowed));
}

#[test]
fn ipam_095_without_any_pool_for_it_a_service_is_refused_with_the_reason() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29"]).spec.auto_assign = false;
    world.service("s");
    assert_eq!(world.reason("s"), Some(Reason::NotFound));
}

#[test]
fn ipam_096_who_waits_for_any_pool_is_served_when_one_appears() {
    let mut world = World::default();
    world.service("s");
    assert_eq!(world.all(["s"]), ["-"]);
    world.pool("p", &["1.2.3.0/29"]);
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
}

#[test]
fn ipam_097_a_label_cannot_pretend_to_be_another_namespace() {
    let mut world = World::default();
    let key = "kubernetes.io/metadata.name";
    world.pool("p", &["1.2.3.0/29"]).namespaces_with(&[(key, "red")]);
    world.namespace("blue", &[(key, "red")]);
    world.service("blue/s").metadata.labels = Some(text_map(&[(key, "red")]));
    world.service("red/s");
    assert_eq!(world.all(["blue/s", "red/s"]), ["-", "1.2.3.0"]);
}

#[test]
fn ipam_100_when_bound_pools_are_full_unbound_ones_are_used() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.pool("z", &["7.8.9.0/32"]).namespaces(&["ns1"]);
    world.service("ns1/s1");
    world.service("ns1/s2");
    assert_eq!(world.all(["ns1/s1", "ns1/s2"]), ["7.8.9.0", "1.2.3.0"]);
    world.service("ns2/s").ask_pool("z");
    assert_eq!(world.reason("ns2/s"), Some(Reason::PoolNotAllowed));
}

#[test]
fn ipam_121_who_no_longer_fits_the_pools_selector_moves_to_another_pool_or_has_none() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29"]).services_with(METALLB);
    label(&mut world, "s", METALLB);
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
    let pool = world.pool("p", &["1.2.3.0/29"]);
    pool.spec.service_allocation = None;
    pool.services_with(&[("team", "other")]);
    assert_eq!(world.all(["s"]), ["-"]);
    world.pool("q", &["5.6.7.0/29"]);
    assert_eq!(world.all(["s"]), ["5.6.7.0"]);
}

#[test]
fn ctrl_053_a_removed_label_takes_the_address_and_a_change_of_families_swaps_it() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29", "fd00::/125"]).services_with(METALLB);
    label(&mut world, "s", METALLB);
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
    world.service("s").families(&["IPv6"]);
    assert_eq!(world.all(["s"]), ["fd00::"]);
    world.service("s").families(&["IPv4"]);
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
    label(&mut world, "s", &[]);
    assert_eq!(world.all(["s"]), ["-"]);
}

#[test]
fn conf_007_a_pool_with_a_priority_only_serves_everybody() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29"]).priority(1);
    world.service("anywhere/s");
    assert_eq!(world.all(["anywhere/s"]), ["1.2.3.0"]);
}

#[test]
fn a_selector_that_cannot_be_read_stops_new_allocations_only() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.service("old");
    assert_eq!(world.all(["old"]), ["1.2.3.0"]);
    let pool = world.pool("p", &["1.2.3.0/29"]);
    pool.serve().service_selectors.push(
        serde_json::from_str(r#"{"matchExpressions": [{"key": "team", "operator": "Near"}]}"#).unwrap(),
    );
    world.service("new");
    assert_eq!(world.all(["old", "new"]), ["1.2.3.0", "-"]);
    assert_eq!(world.reason("new"), Some(Reason::PoolNotReady));
}
