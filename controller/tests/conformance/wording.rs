// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a user reads in the condition of a Service that does not have what it asks for.

use ferrolb_config::condition::ADDRESSES_ASSIGNED;

use crate::world::{Edit, World, service_name, tcp};

/// The condition of the Service as `status reason: message`.
fn told(world: &mut World, name: &str) -> String {
    world.settle();
    let status = world.objects.services[&service_name(name)].status.clone().unwrap();
    let conditions = status.conditions.unwrap();
    let condition = conditions.iter().find(|condition| condition.type_ == ADDRESSES_ASSIGNED).unwrap();
    format!("{} {}: {}", condition.status, condition.reason, condition.message)
}

fn world() -> World {
    let mut world = World::with_pools(&[("web", &["192.0.2.0/31"])]);
    world.service("taken").share("key").ask("192.0.2.0");
    world.settle();
    world
}

#[test]
fn who_has_everything_reads_the_addresses() {
    assert_eq!(told(&mut world(), "taken"), "True Assigned: 192.0.2.0");
}

#[test]
fn an_address_in_use_names_who_uses_it() {
    let mut world = world();
    world.service("s").ask("192.0.2.0");
    assert_eq!(
        told(&mut world, "s"),
        "False AddressInUse: 192.0.2.0 is in use by Service default/taken. Ask for another address, or give both \
         Services the same ferrolb.io/sharing-key and different ports."
    );
    world.service("s").share("key");
    assert_eq!(
        told(&mut world, "s"),
        "False SharingConflict: Service default/taken already uses TCP 80 on 192.0.2.0. Services that share an \
         address need different ports."
    );
    world.service("s").ports(&[tcp(81)]).local("a");
    assert_eq!(
        told(&mut world, "s"),
        "False SharingConflict: Service default/taken on 192.0.2.0 leads to other pods, and externalTrafficPolicy is \
         Local. Under externalTrafficPolicy Local, Services that share an address need the same selector and \
         namespace."
    );
}

#[test]
fn an_address_outside_every_pool_names_the_annotation() {
    let mut world = world();
    world.service("s").ask("192.0.2.9");
    assert_eq!(
        told(&mut world, "s"),
        "False AddressNotInPool: metadata.annotations[ferrolb.io/addresses]: 192.0.2.9 is in no AddressPool. Ask for \
         an address of a pool, or add it to a pool."
    );
}

#[test]
fn a_full_pool_is_named() {
    let mut world = world();
    world.service("a");
    world.service("s");
    assert_eq!(
        told(&mut world, "s"),
        "False PoolExhausted: no address is free in AddressPool web. Add a range to the pool, or delete a Service \
         that needs no address."
    );
    world.service("s").families(&["IPv6"]);
    assert_eq!(
        told(&mut world, "s"),
        "False NoSuchFamily: AddressPool web has no IPv6 address. Add a range of that family to a pool, or change \
         spec.ipFamilyPolicy or spec.ipFamilies."
    );
}

#[test]
fn who_keeps_an_address_until_it_can_move_reads_that_too() {
    let mut world = world();
    world.service("s").ask("192.0.2.1");
    world.settle();
    world.service("s").ask("192.0.2.0");
    assert_eq!(
        told(&mut world, "s"),
        "False AddressInUse: 192.0.2.0 is in use by Service default/taken. Ask for another address, or give both \
         Services the same ferrolb.io/sharing-key and different ports. It keeps 192.0.2.1."
    );
}

#[test]
fn a_missing_pool_and_a_refused_pool_are_told_apart() {
    let mut world = world();
    world.service("s").ask_pool("db");
    assert_eq!(
        told(&mut world, "s"),
        "False NotFound: metadata.annotations[ferrolb.io/address-pool]: there is no AddressPool db. Name an existing \
         AddressPool, or create this one."
    );
    world.pool("db", &["192.0.2.9-192.0.2.8"]);
    let told = told(&mut world, "s");
    let start = "False PoolNotReady: AddressPool db is refused and gives no new address: ";
    assert!(told.starts_with(start) && told.contains("upside down"), "{told}");
}
