// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The controller may die after any write.

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{
    AddressMode, Consumer, ConsumerKind, ConsumerPort, Purpose, VirtualIP, VirtualIPSpec,
};
use ferrolb_config::condition::ADDRESSES_ASSIGNED;

use crate::world::{Edit, World, service_name, tcp};

/// The records that are left when everything is settled, in the order of their names.
fn records(world: &World) -> Vec<VirtualIPSpec> {
    world.objects.virtual_ips.values().map(|object| object.spec.clone()).collect()
}

/// Kills the controller after every single write from `start` on, restarts it, and expects the end that an undisturbed
/// controller reaches. Every write checks on the way that nobody shows what is not recorded for it.
fn dies_anywhere(start: &World) {
    let mut undisturbed = start.clone();
    undisturbed.settle();
    let mut first = start.clone();
    let writes = first.pass(usize::MAX);
    assert!(writes > 1, "nothing to interrupt");
    for most in 0..writes {
        let mut killed = start.clone();
        killed.pass(most);
        killed.settle();
        assert_eq!(records(&killed), records(&undisturbed), "killed after {most} writes of {writes}");
        assert_eq!(killed.objects.services, undisturbed.objects.services, "killed after {most} writes");
    }
    // And again and again: one write a life.
    let mut dying = start.clone();
    for _ in 0..10 * writes {
        dying.pass(1);
    }
    assert_eq!(records(&dying), records(&undisturbed));
}

fn world() -> World {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29", "1000::/125"]), ("q", &["9.9.9.0/30"])]);
    for name in ["a", "b", "c"] {
        world.service(name);
    }
    world.service("dual").policy("RequireDualStack");
    world
}

#[test]
fn first_allocations_survive_a_death_after_every_write() {
    dies_anywhere(&world());
}

#[test]
fn releases_and_reuse_survive_a_death_after_every_write() {
    let mut world = world();
    world.settle();
    world.delete("a");
    world.delete("dual");
    world.service("b").spec().type_ = Some("ClusterIP".to_owned());
    world.service("d");
    world.service("e").policy("RequireDualStack");
    dies_anywhere(&world);
}

#[test]
fn moves_survive_a_death_after_every_write() {
    let mut world = world();
    world.settle();
    world.service("a").ask_pool("q");
    world.service("b").ask("1.2.3.7");
    // Takes over what a leaves behind, and somebody else what c leaves.
    world.service("c").ask("1.2.3.0");
    world.service("x").ask("1.2.3.2");
    dies_anywhere(&world);
}

#[test]
fn an_address_that_is_handed_on_is_shown_by_one_service_at_a_time() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.service("a");
    world.settle();
    world.service("a").spec().type_ = Some("NodePort".to_owned());
    world.service("b");
    dies_anywhere(&world);
    world.settle();
    let a = &world.objects.services[&service_name("a")];
    let conditions = a.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    assert!(conditions.iter().all(|condition| condition.type_ != ADDRESSES_ASSIGNED));
}

#[test]
fn a_circle_of_evicted_sharers_survives_a_death_after_every_write() {
    // Each of the two shared addresses loses the sharer that the other one can take.
    let mut world = World::with_pools(&[("p", &["1.2.3.0/31"])]);
    world.service("a").share("x").ports(&[tcp(1)]).ask("1.2.3.0");
    world.service("b").share("x").ports(&[tcp(2)]).ask("1.2.3.0");
    world.service("c").share("y").ports(&[tcp(1)]).ask("1.2.3.1");
    world.service("d").share("y").ports(&[tcp(2)]).ask("1.2.3.1");
    world.settle();
    for name in ["a", "b", "c", "d"] {
        world.service(name).unannotate("ferrolb.io/addresses");
    }
    world.settle();
    world.service("b").share("y").ports(&[tcp(3)]);
    world.service("d").share("x").ports(&[tcp(3)]);
    dies_anywhere(&world);
    assert_eq!(world.all(["a", "b", "c", "d"]), ["1.2.3.0", "1.2.3.1", "1.2.3.1", "1.2.3.0"]);
}

#[test]
fn a_pool_that_goes_survives_a_death_after_every_write() {
    let mut world = world();
    world.settle();
    world.objects.pools.remove("p");
    dies_anywhere(&world);
}

#[test]
fn retention_and_return_survive_a_death_after_every_write() {
    let mut world = world();
    world.pool("p", &["1.2.3.0/29", "1000::/125"]).spec.retention = Some("1h".to_owned());
    world.settle();
    world.delete("a");
    world.delete("dual");
    world.service("new");
    dies_anywhere(&world);
    world.settle();
    world.wait(60);
    world.service("dual").policy("RequireDualStack");
    dies_anywhere(&world);
    world.wait(3_600);
    dies_anywhere(&world);
}

/// Records an address for a Service, as a controller that died on the way left it.
fn record(world: &mut World, address: &str, pool: &str, name: &str) {
    let ip = address.parse().unwrap();
    let consumer = Consumer {
        kind: ConsumerKind::Service,
        namespace: "default".to_owned(),
        name: name.to_owned(),
        uid: None,
        ports: vec![ConsumerPort { protocol: "TCP".to_owned(), port: 80 }],
        backends: None,
        purpose: Purpose::LoadBalancer,
    };
    let spec = VirtualIPSpec {
        address: address.to_owned(),
        pool: pool.to_owned(),
        consumers: vec![consumer],
        sharing_key: None,
        group: None,
        mode: AddressMode::ReplyOnly,
        released_at: None,
    };
    let name = virtual_ip_name(ip);
    world.objects.virtual_ips.insert(name.clone(), VirtualIP::new(&name, spec).into());
}

#[test]
fn a_service_that_cannot_be_read_any_more_in_the_middle_of_a_move_keeps_what_it_shows() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.service("a").ask("1.2.3.5");
    world.settle();
    world.service("a").ask("1.2.3.1");
    record(&mut world, "1.2.3.1", "p", "a");
    world.service("a").ask("nonsense");
    assert_eq!(world.all(["a"]), ["1.2.3.5"]);
    assert_eq!(world.plan.virtual_ips.len(), 1);
}

#[test]
fn a_pair_is_kept_whole_when_a_move_was_cut_short_and_its_end_is_blocked() {
    let mut world =
        World::with_pools(&[("p", &["9.9.9.0/32", "9000::/128"]), ("q", &["1.2.3.0/30", "1000::/126"])]);
    world.service("a").policy("RequireDualStack").ask_pool("q");
    world.settle();
    world.service("a").ask_pool("p");
    record(&mut world, "9000::", "p", "a");
    record(&mut world, "9.9.9.0", "p", "b");
    world.service("b").ask_pool("p");
    assert_eq!(world.all(["a", "b"]), ["1.2.3.0 1000::", "9.9.9.0"]);
    world.delete("b");
    assert_eq!(world.all(["a"]), ["9.9.9.0 9000::"]);
}

#[test]
fn ctrl_064_edits_between_two_writes_are_safe() {
    let mut world = World::with_pools(&[("a", &["1.2.3.0/30"]), ("b", &["5.6.7.0/30"])]);
    for name in ["s1", "s2", "s3"] {
        world.service(name);
    }
    for edits in 0..6 {
        world.pass(1);
        world.pool("a", if edits % 2 == 0 { &["1.2.3.2/31"] } else { &["1.2.3.0/30"] });
        world.service(&format!("s{edits}")).ask_pool("b");
        world.pass(2);
    }
    world.settle();
}
