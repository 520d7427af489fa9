// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Services of other types that ask for external addresses.

use ferrolb_config::reason::Reason;

use crate::world::{Edit, Serve, World};

fn world() -> World {
    World::with_pools(&[("p", &["1.2.3.0/30"])])
}

#[test]
fn a_service_that_asks_for_external_addresses_has_them_in_its_list() {
    let mut world = world();
    world.service("web").external("p");
    assert_eq!(world.external_ips("web"), ["1.2.3.0"]);
    world.service("lb");
    assert_eq!(world.all(["lb", "web"]), ["1.2.3.1", "1.2.3.0"]);
    let status = &world.objects.services[&crate::world::service_name("web")].status;
    assert!(status.as_ref().is_none_or(|status| status.load_balancer.is_none()));
}

#[test]
fn a_list_with_entries_of_others_is_left_alone() {
    let mut world = world();
    world.service("web").external("p").spec().external_ips = Some(vec!["203.0.113.9".to_owned()]);
    assert_eq!(world.external_ips("web"), ["203.0.113.9"]);
    assert_eq!(world.reason("web"), Some(Reason::ExternalIPsNotOurs));
    assert!(world.plan.virtual_ips.is_empty());
}

#[test]
fn an_entry_added_later_stops_every_change_but_what_is_taken_back() {
    let mut world = world();
    world.service("web").external("p");
    world.settle();
    world.service("web").spec().external_ips = Some(vec!["1.2.3.0".to_owned(), "203.0.113.9".to_owned()]);
    assert_eq!(world.reason("web"), Some(Reason::ExternalIPsNotOurs));
    assert_eq!(world.external_ips("web"), ["1.2.3.0", "203.0.113.9"]);
    world.service("web").unannotate("ferrolb.io/external-ips-from");
    assert_eq!(world.external_ips("web"), ["203.0.113.9"]);
    assert!(world.objects.virtual_ips.is_empty());
}

#[test]
fn without_the_annotation_a_list_is_never_touched() {
    let mut world = world();
    world.service("web").spec().type_ = Some("ClusterIP".to_owned());
    world.service("web").spec().external_ips = Some(vec!["1.2.3.0".to_owned()]);
    assert_eq!(world.external_ips("web"), ["1.2.3.0"]);
    assert!(world.plan.services.is_empty());
}

#[test]
fn headless_services_and_external_names_are_refused() {
    let mut world = world();
    world.service("headless").external("p").spec().cluster_ip = Some("None".to_owned());
    world.service("name").external("p").spec().type_ = Some("ExternalName".to_owned());
    for name in ["headless", "name"] {
        assert_eq!(world.reason(name), Some(Reason::InvalidValue), "{name}");
        assert_eq!(world.external_ips(name), [""; 0], "{name}");
    }
}

#[test]
fn a_pool_that_serves_others_gives_no_external_address() {
    let mut world = world();
    world.pool("p", &["1.2.3.0/30"]).namespaces(&["red"]);
    world.service("web").external("p");
    assert_eq!(world.reason("web"), Some(Reason::PoolNotAllowed));
    assert_eq!(world.external_ips("web"), [""; 0]);
}

#[test]
fn when_the_records_are_lost_the_list_is_taken_over() {
    let mut world = world();
    world.service("web").external("p").ask("1.2.3.2");
    world.settle();
    world.service("web").unannotate("ferrolb.io/addresses");
    world.lose_records();
    world.service("lb");
    assert_eq!(world.all(["web", "lb"]), ["1.2.3.2", "1.2.3.0"]);
    assert_eq!(world.external_ips("web"), ["1.2.3.2"]);
}

#[test]
fn a_service_that_becomes_a_load_balancer_keeps_its_address() {
    let mut world = world();
    world.service("web").external("p");
    world.settle();
    world.service("web").spec().type_ = Some("LoadBalancer".to_owned());
    assert_eq!(world.all(["web"]), ["1.2.3.0"]);
    // The list is emptied by whoever migrates the Service, once everybody follows the status.
    assert_eq!(world.external_ips("web"), ["1.2.3.0"]);
}

#[test]
fn an_address_that_the_pool_loses_leaves_the_list() {
    let mut world = world();
    world.service("web").external("p");
    world.settle();
    world.pool("p", &["1.2.3.2/31"]);
    assert_eq!(world.external_ips("web"), ["1.2.3.2"]);
}
