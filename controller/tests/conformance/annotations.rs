// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Wishes under MetalLB's names.

use ferrolb_config::Snapshot;
use ferrolb_config::reason::{Reason, Severity};

use crate::world::{Edit, World, tcp, udp};

fn world() -> World {
    World::with_pools(&[("a", &["1.2.3.0/30"]), ("b", &["5.6.7.0/30"])])
}

/// What is told of the objects beside refusals of whole Services.
fn warnings(world: &World) -> Vec<(Reason, String)> {
    let refused = Snapshot::build(&world.objects).refused;
    let warnings = refused.into_iter().filter(|refusal| refusal.severity == Severity::Warning);
    warnings.map(|refusal| (refusal.reason, refusal.object.unwrap().to_string())).collect()
}

#[test]
fn ctrl_004_the_annotation_selects_the_address() {
    for name in ["ferrolb.io/addresses", "metallb.io/loadBalancerIPs"] {
        let mut world = world();
        world.service("s1").annotate(name, "1.2.3.1");
        assert_eq!(world.all(["s1"]), ["1.2.3.1"], "{name}");
        assert_eq!(warnings(&world), []);
    }
}

#[test]
fn ctrl_027_names_of_old_releases_work_and_are_warned_about() {
    let mut world = world();
    world.service("s1").annotate("metallb.universe.tf/address-pool", "b");
    world.service("s2").annotate("metallb.universe.tf/loadBalancerIPs", "1.2.3.2");
    world.service("s3").annotate("metallb.universe.tf/allow-shared-ip", "k").ask("1.2.3.3");
    world.service("s4").annotate("metallb.io/allow-shared-ip", "k").ask("1.2.3.3").ports(&[udp(53)]);
    assert_eq!(world.all(["s1", "s2", "s3", "s4"]), ["5.6.7.0", "1.2.3.2", "1.2.3.3", "1.2.3.3"]);
    let told = warnings(&world);
    let expected =
        ["s1", "s2", "s3"].map(|name| (Reason::DeprecatedAnnotation, format!("Service default/{name}")));
    assert_eq!(told, expected);
}

#[test]
fn the_newer_of_metallbs_names_wins_even_when_it_is_empty() {
    let mut world = world();
    world
        .service("s1")
        .annotate("metallb.universe.tf/address-pool", "a")
        .annotate("metallb.io/address-pool", "b");
    world
        .service("s2")
        .annotate("metallb.universe.tf/address-pool", "b")
        .annotate("metallb.io/address-pool", "");
    assert_eq!(world.all(["s1", "s2"]), ["5.6.7.0", "1.2.3.0"]);
}

#[test]
fn our_name_and_metallbs_may_agree_and_must_not_contradict() {
    let mut world = world();
    world.service("s1").ask_pool("b").annotate("metallb.io/address-pool", "b");
    assert_eq!(world.all(["s1"]), ["5.6.7.0"]);
    world.service("s2").ask_pool("b").annotate("metallb.io/address-pool", "a");
    assert_eq!(world.reason("s2"), Some(Reason::ContradictoryRequest));
}

#[test]
fn ctrl_026_the_list_of_addresses_may_have_spaces() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30", "fd00::/126"])]);
    world
        .service("s1")
        .policy("PreferDualStack")
        .annotate("metallb.io/loadBalancerIPs", " 1.2.3.1 , fd00::2 ");
    assert_eq!(world.all(["s1"]), ["1.2.3.1 fd00::2"]);
}

#[test]
fn ipam_053_sharing_across_namespaces_needs_both_sides() {
    const KEY: &str = "ferrolb.io/sharing-namespaces";
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.service("red/s").share("k").ports(&[tcp(80)]);
    world.service("blue/s").share("k").ports(&[tcp(443)]);
    world.service("red/t").share("k").ports(&[tcp(8080)]);
    world.settle();
    assert_eq!(world.all(["red/s", "red/t", "blue/s"]), ["1.2.3.1", "1.2.3.1", "1.2.3.0"]);
    // One side alone is not enough, not even by name of the address.
    world.service("blue/s").annotate(KEY, "red").ask("1.2.3.1");
    assert_eq!(world.reason("blue/s"), Some(Reason::SharingConflict));
    world.service("red/s").annotate(KEY, "blue,green");
    world.service("red/t").annotate(KEY, "*");
    assert_eq!(world.all(["blue/s"]), ["1.2.3.1"]);
    // Who shares already is not thrown off by a change of mind; newcomers are judged by it.
    world.service("red/s").unannotate(KEY);
    assert_eq!(world.all(["blue/s"]), ["1.2.3.1"]);
    world.service("blue/t").share("k").annotate(KEY, "*").ports(&[tcp(22)]).ask("1.2.3.1");
    assert_eq!(world.reason("blue/t"), Some(Reason::SharingConflict));
}
