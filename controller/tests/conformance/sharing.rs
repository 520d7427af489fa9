// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Services that share an address.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, World, tcp, udp};

#[test]
fn ipam_040_services_with_one_key_and_different_ports_share_an_address() {
    let mut world = World::with_pools(&[("p", &["1.2.4.0/24"])]);
    world.service("s3").share("share").ports(&[tcp(443)]).ask("1.2.4.3");
    world.service("s4").share("share").ports(&[tcp(80)]).ask("1.2.4.3");
    world.service("s5").share("share").ports(&[tcp(81)]);
    assert_eq!(world.all(["s3", "s4", "s5"]), ["1.2.4.3", "1.2.4.3", "1.2.4.3"]);
}

#[test]
fn ipam_041_a_port_that_is_taken_blocks_sharing() {
    let mut world = World::with_pools(&[("p", &["1.2.4.0/24"])]);
    world.service("s3").share("share").ask("1.2.4.3");
    world.service("s4").share("share").ask("1.2.4.3");
    assert_eq!(world.all(["s3", "s4"]), ["1.2.4.3", "-"]);
    assert_eq!(world.reason("s4"), Some(Reason::SharingConflict));
}

#[test]
fn ipam_042_one_port_number_on_two_protocols_is_no_conflict() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("s3").share("share").ports(&[tcp(53)]);
    world.service("s4").share("share").ports(&[udp(53)]);
    assert_eq!(world.all(["s3", "s4"]), ["1.2.4.3", "1.2.4.3"]);
}

#[test]
fn ipam_043_different_keys_do_not_share() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("s3").share("share").ports(&[tcp(53)]).ask("1.2.4.3");
    world.service("s4").share("othershare").ports(&[tcp(80)]).ask("1.2.4.3");
    world.service("s5").ports(&[tcp(81)]).ask("1.2.4.3");
    assert_eq!(world.all(["s3", "s4", "s5"]), ["1.2.4.3", "-", "-"]);
    assert_eq!(world.reason("s4"), Some(Reason::AddressInUse));
}

#[test]
fn ipam_044_under_local_sharers_need_equal_selectors_of_one_namespace() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("a").share("share").ports(&[tcp(1)]).local("a");
    world.service("b").share("share").ports(&[tcp(2)]).local("b");
    world.service("c").share("share").ports(&[tcp(3)]).local("a");
    world.service("other/d").share("share").ports(&[tcp(4)]).local("a");
    assert_eq!(world.all(["a", "b", "c", "other/d"]), ["1.2.4.3", "-", "1.2.4.3", "-"]);

    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("a").share("share").ports(&[tcp(1)]).selector("a");
    world.service("b").share("share").ports(&[tcp(2)]).selector("b");
    assert_eq!(world.all(["a", "b"]), ["1.2.4.3", "1.2.4.3"]);
}

#[test]
fn ipam_045_a_service_alone_on_its_address_changes_its_key_in_place() {
    let mut world = World::with_pools(&[("p", &["1.2.4.0/24"])]);
    world.service("s1").share("sharing").ask("1.2.4.3");
    world.settle();
    world.service("s1").share("share");
    world.service("s2").share("share").ports(&[tcp(81)]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "1.2.4.3"]);
}

#[test]
fn ipam_046_a_sharer_changes_its_ports_but_not_its_key_or_backends() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("s1").share("share").ports(&[tcp(80)]);
    world.service("s2").share("share").ports(&[tcp(443)]);
    world.settle();
    world.service("s2").ports(&[udp(53)]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "1.2.4.3"]);
    // The one that is edited loses, although it is the older one.
    let mut edited = world.clone();
    edited.service("s1").share("other");
    assert_eq!(edited.all(["s1", "s2"]), ["-", "1.2.4.3"]);
    let mut edited = world.clone();
    edited.service("s1").ports(&[udp(53)]);
    assert_eq!(edited.all(["s1", "s2"]), ["-", "1.2.4.3"]);
    world.service("s2").local("a");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "-"]);
}

#[test]
fn ipam_047_sharing_is_judged_anew_when_a_sharer_changes() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("s1").share("share").ports(&[tcp(80)]).selector("a");
    world.service("s2").share("share").ports(&[tcp(443)]).selector("a");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "1.2.4.3"]);
    world.service("s2").local("a");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "-"]);
    world.service("s1").local("a");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "1.2.4.3"]);
    world.service("s1").selector("b");
    let held = world.all(["s1", "s2"]);
    assert_eq!(held.iter().filter(|address| *address == "-").count(), 1);
    world.service("s2").selector("b");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.4.3", "1.2.4.3"]);
}

#[test]
fn ipam_048_a_shared_address_comes_free_with_its_last_sharer() {
    let mut world = World::with_pools(&[("p", &["1.2.4.3/32"])]);
    world.service("s1").share("share").ports(&[tcp(80)]);
    world.service("s2").share("share").ports(&[tcp(443)]);
    world.settle();
    world.service("s3");
    world.delete("s1");
    assert_eq!(world.all(["s2", "s3"]), ["1.2.4.3", "-"]);
    world.delete("s2");
    assert_eq!(world.all(["s3"]), ["1.2.4.3"]);
}

#[test]
fn ipam_049_a_sharer_joins_though_the_pool_is_full() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    for name in ["s1", "s2", "s3"] {
        world.service(name);
    }
    world.service("s4").share("share");
    world.settle();
    world.service("s5").share("share").ports(&[tcp(81)]);
    assert_eq!(world.all(["s4", "s5"]), ["1.2.3.3", "1.2.3.3"]);
}

#[test]
fn ipam_051_a_key_added_to_a_live_service_moves_nothing() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1").share("share").ports(&[tcp(443)]);
    world.service("s2");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "1.2.3.1"]);
    let group = world.virtual_ip("1.2.3.1").unwrap().0;
    world.service("s2").share("share");
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "1.2.3.1"]);
    assert_eq!(world.virtual_ip("1.2.3.1").unwrap().0, group);
}

#[test]
fn ipam_052_a_sharer_that_no_longer_fits_moves_to_a_fresh_address() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("s1").share("share").ports(&[tcp(80)]);
    world.service("s2").share("share").ports(&[tcp(443)]);
    world.settle();
    world.service("s2").ports(&[tcp(80)]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "1.2.3.1"]);
    // It could go back, and stays: nothing moves that may stay.
    world.service("s2").ports(&[tcp(443)]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "1.2.3.1"]);
}

#[test]
fn addresses_that_sharers_link_are_one_group_and_keep_its_name_when_it_falls_apart() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "1000::/126"])]);
    world.service("dual").policy("RequireDualStack").share("share").ports(&[tcp(80)]);
    world.settle();
    assert_eq!(world.virtual_ip("1.2.3.0").unwrap().0, "default/dual");
    assert_eq!(world.virtual_ip("1000::").unwrap().0, "default/dual");
    // Who joins one of the two addresses changes no group, so nothing is elected anew.
    world.service("a").families(&["IPv4"]).share("share").ports(&[tcp(81)]);
    world.service("b").families(&["IPv6"]).share("share").ports(&[tcp(82)]);
    assert_eq!(world.all(["a", "b"]), ["1.2.3.0", "1000::"]);
    let members = |names: &[&str]| names.iter().map(|name| format!("default/{name}")).collect::<Vec<_>>();
    assert_eq!(world.virtual_ip("1.2.3.0"), Some(("default/dual".to_owned(), members(&["dual", "a"]))));
    assert_eq!(world.virtual_ip("1000::"), Some(("default/dual".to_owned(), members(&["dual", "b"]))));
    // Without the one that held both, they are two groups, of which one keeps the name: it stays where it is carried.
    world.delete("dual");
    world.settle();
    assert_eq!(world.virtual_ip("1.2.3.0"), Some(("default/dual".to_owned(), members(&["a"]))));
    assert_eq!(world.virtual_ip("1000::"), Some(("default/b".to_owned(), members(&["b"]))));
}

#[test]
fn l2_065_a_shared_address_keeps_its_group_whoever_leaves_and_comes_back_elsewhere() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("a").share("share").ports(&[tcp(80)]);
    world.settle();
    world.service("b").share("share").ports(&[tcp(81)]);
    world.settle();
    let group = |world: &World, address: &str| world.virtual_ip(address).unwrap().0;
    assert_eq!(group(&world, "1.2.3.0"), "default/a");
    world.delete("a");
    world.settle();
    assert_eq!(world.all(["b"]), ["1.2.3.0"]);
    assert_eq!(group(&world, "1.2.3.0"), "default/a");
    // The one that it is named after is back, on an address of its own: a group of its own, under another name.
    world.service("a").share("other").ports(&[tcp(80)]);
    world.settle();
    assert_eq!(world.all(["a"]), ["1.2.3.1"]);
    for _ in 0..2 {
        let groups = ["1.2.3.0", "1.2.3.1"].map(|address| group(&world, address));
        assert_eq!(groups, ["default/a", "1.2.3.1"]);
        world.settle();
    }
}

#[test]
fn ipam_054_sharers_of_different_traffic_policies_do_not_fit_together() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("a").share("k").ports(&[tcp(80)]);
    world.service("b").share("k").ports(&[tcp(443)]).local("x");
    world.service("c").share("k").ports(&[tcp(8080)]).local("y");
    assert_eq!(world.all(["a", "b", "c"]), ["1.2.3.0", "1.2.3.1", "1.2.3.2"]);
}

#[test]
fn ipam_055_a_key_that_does_not_match_never_shares_in_silence() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("a").share("k").ports(&[tcp(80)]);
    world.settle();
    world.service("b").share("other").ports(&[tcp(443)]);
    world.service("c").share("other").ports(&[tcp(22)]).ask("1.2.3.0");
    assert_eq!(world.all(["a", "b", "c"]), ["1.2.3.0", "1.2.3.1", "-"]);
    assert_eq!(world.reason("c"), Some(Reason::AddressInUse));
}

#[test]
fn a_record_names_the_pods_so_that_whose_edit_it_was_loses() {
    // Both names sort so that the one who edits is the older one in the record.
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("a").share("k").ports(&[tcp(80)]).local("x");
    world.service("b").share("k").ports(&[tcp(443)]).local("x");
    assert_eq!(world.all(["a", "b"]), ["1.2.3.0", "1.2.3.0"]);
    world.service("a").selector("y");
    assert_eq!(world.all(["a", "b"]), ["1.2.3.1", "1.2.3.0"]);
}

#[test]
fn no_more_share_an_address_than_its_record_can_name() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.unchecked = true;
    for port in 1..=257 {
        world.service(&format!("s{port:03}")).share("k").ports(&[tcp(port)]);
    }
    assert_eq!(world.all(["s001", "s256", "s257"]), ["1.2.3.0", "1.2.3.0", "1.2.3.1"]);
}
