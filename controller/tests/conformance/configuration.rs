// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Configurations that are refused, doubtful or accepted.

use std::path::Path;

use ferrolb_config::manifest::Manifest;
use ferrolb_config::reason::{Reason, Severity};
use ferrolb_config::{Snapshot, validate};

use crate::world::{Edit, World, text_map};

/// What is said of a pool with these ranges.
fn told(ranges: &[&str]) -> Vec<(Reason, Option<String>)> {
    let world = World::with_pools(&[("p", ranges)]);
    let refused = Snapshot::build(&world.objects).refused;
    let errors = refused.into_iter().filter(|refusal| refusal.severity == Severity::Error);
    errors.map(|refusal| (refusal.reason, refusal.field)).collect()
}

fn refused(range: &str) -> bool {
    told(&[range]) == [(Reason::InvalidRange, Some("spec.addresses[0]".to_owned()))]
}

#[test]
fn conf_001_a_pool_needs_a_name_and_addresses() {
    assert_eq!(told(&[]), [(Reason::InvalidRange, Some("spec.addresses".to_owned()))]);
    let nameless = "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nspec: {addresses: [192.0.2.0/24]}\n";
    assert_ne!(Manifest::parse(Path::new("pool.yaml"), nameless).refused, []);
}

#[test]
fn conf_002_octets_and_prefix_lengths_have_limits() {
    assert!(refused("100.200.300.400/24"));
    assert!(refused("1.2.3.0/33"));
}

#[test]
fn conf_003_a_range_must_not_be_upside_down() {
    assert!(refused("1.2.3.10-1.2.3.1"));
}

#[test]
fn conf_004_of_two_pools_of_one_name_the_second_is_refused() {
    let pool = "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {name: p}\nspec: {addresses: [192.0.2.0/24]}\n";
    let manifest = Manifest::parse(Path::new("pool.yaml"), &format!("{pool}---\n{pool}"));
    let told = validate(&[manifest]);
    let errors = told.iter().filter(|refusal| refusal.severity == Severity::Error);
    assert_eq!(errors.map(|refusal| refusal.reason).collect::<Vec<_>>(), [Reason::DuplicateObject]);
}

#[test]
fn conf_005_of_two_pools_that_overlap_one_is_refused() {
    for other in ["10.0.0.0/8", "10.0.0.0/16"] {
        let world = World::with_pools(&[("a", &["10.0.0.0/8"]), ("b", &[other])]);
        let refused = Snapshot::build(&world.objects).refused;
        let said: Vec<_> = refused.iter().map(|refusal| refusal.to_string()).collect();
        assert_eq!(refused.len(), 1, "{said:?}");
        assert!(said[0].contains("AddressPool b") && said[0].contains("AddressPool a"), "{said:?}");
        assert_eq!(refused[0].reason, Reason::OverlappingPool);
    }
}

#[test]
fn conf_008_a_pool_without_an_advertisement_gives_addresses() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("s");
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
}

#[test]
fn conf_009_an_empty_configuration_is_accepted() {
    assert_eq!(Snapshot::build(&World::default().objects).refused, []);
}

#[test]
fn conf_064_pools_are_selected_by_name_or_label_and_a_selector_that_fits_nothing_selects_nothing() {
    let mut world =
        World::with_pools(&[("a", &["1.0.0.0/31"]), ("b", &["2.0.0.0/31"]), ("c", &["3.0.0.0/31"])]);
    world.pool("b", &["2.0.0.0/31"]).metadata.labels = Some(text_map(&[("env", "lab")]));
    let selected = |spec: &str| {
        let mut objects = world.objects.clone();
        let text = format!(
            "apiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {{name: ad}}\nspec: {spec}\n"
        );
        let mut manifest = Manifest::parse(Path::new("ad.yaml"), &text);
        objects.insert(manifest.documents.remove(0).object);
        let snapshot = Snapshot::build(&objects);
        let ad = &snapshot.advertisements["ad"];
        let names =
            snapshot.pools.values().filter(|pool| ad.selects_pool(pool)).map(|pool| pool.name.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        selected("{addressPools: [a], addressPoolSelectors: [{matchLabels: {env: lab}}]}"),
        ["a", "b"]
    );
    assert_eq!(selected("{addressPoolSelectors: [{matchLabels: {env: none}}]}"), [""; 0]);
    assert_eq!(selected("{}"), ["a", "b", "c"]);
}

#[test]
fn ipam_023_every_address_of_a_cidr_counts() {
    let total = |ranges: &[&str], avoid: bool| {
        let mut world = World::default();
        world.pool("p", ranges).spec.avoid_buggy_ips = avoid;
        world.settle();
        world.plan.pools["p"].ipv4.clone().unwrap().total
    };
    assert_eq!(total(&["1.2.3.0/24"], false), "256");
    assert_eq!(total(&["1.2.3.0/24", "2.3.4.128/25"], false), "384");
    assert_eq!(total(&["1.2.3.0/24", "2.3.4.128/25"], true), "381");
}

#[test]
fn ipam_025_a_small_mixed_pool_that_avoids_addresses_counts_the_rest() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/31", "1000::/127"]).spec.avoid_buggy_ips = true;
    world.settle();
    let pool = &world.plan.pools["p"];
    assert_eq!(pool.ipv4.as_ref().unwrap().total, "1");
    assert_eq!(pool.ipv6.as_ref().unwrap().total, "2");
}

#[test]
fn ipam_027_an_address_a_network_and_a_range_are_pools_and_garbage_is_not() {
    for (range, total) in
        [("192.168.0.1", "1"), ("192.168.0.1/24", "256"), ("192.168.0.1-192.168.0.100", "100")]
    {
        let mut world = World::with_pools(&[("p", &[range])]);
        world.settle();
        assert_eq!(world.plan.pools["p"].ipv4.as_ref().unwrap().total, total, "{range}");
    }
    for garbage in ["192.168.0.100-192.168.0.1", "nonsense", "192.168.0.1-192.168.0.2-192.168.0.3"] {
        assert!(refused(garbage), "{garbage}");
    }
}

#[test]
fn ipam_028_a_range_has_one_family_and_a_prefix_is_a_number() {
    assert!(refused("192.168.0.1-fd00::1"));
    assert!(refused("192.168.0.0/255.255.0.255"));
}

#[test]
fn ipam_029_a_range_ends_exactly_at_its_ends() {
    let mut world = World::with_pools(&[("p", &["1.2.3.4-1.2.3.6"]), ("q", &["1.2.3.6-1.2.3.9"])]);
    world.settle();
    assert_eq!(Snapshot::build(&world.objects).refused[0].reason, Reason::OverlappingPool);
    world.pool("q", &["1.2.3.7-1.2.3.9"]);
    world.settle();
    assert_eq!(Snapshot::build(&world.objects).refused, []);
    for (address, given) in
        [("1.2.3.3", "-"), ("1.2.3.4", "1.2.3.4"), ("1.2.3.6", "1.2.3.6"), ("1.2.3.10", "-")]
    {
        world.service("s").ask(address);
        assert_eq!(world.all(["s"]), [given], "{address}");
        world.delete("s");
    }
}

#[test]
fn ipam_123_of_pools_that_overlap_the_first_name_is_used_and_the_other_told_the_same_each_time() {
    let mut world = World::with_pools(&[("b", &["1.2.3.0/28"]), ("a", &["1.2.3.0/29"])]);
    world.service("s");
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
    let first = Snapshot::build(&world.objects).refused;
    assert_eq!(first[0].object.as_ref().unwrap().name, "b");
    world.settle();
    assert_eq!(Snapshot::build(&world.objects).refused, first);
}

#[test]
fn ipam_125_a_broken_pool_does_not_harm_the_others() {
    let mut world = World::with_pools(&[("a", &["nonsense"]), ("b", &["1.2.3.0/31"])]);
    world.service("s");
    assert_eq!(world.all(["s"]), ["1.2.3.0"]);
}

#[test]
fn ipam_118_the_same_configuration_again_changes_nothing() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/31"])]);
    world.service("s");
    world.settle();
    world.pool("a", &["1.2.3.0/31"]);
    assert_eq!(world.pass(usize::MAX), 0);
}
