// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that are kept for who gave them up.

use std::sync::Arc;

use ferrolb_config::api::PoolQuota;
use ferrolb_config::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::world::{Edit, World, tcp, udp};

fn world() -> World {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.pool("p", &["1.2.3.0/30"]).spec.retention = Some("1h".to_owned());
    world.service("web");
    world.settle();
    world.delete("web");
    world.settle();
    world
}

#[test]
fn whoever_comes_back_in_time_under_the_same_name_has_its_address_again() {
    let mut world = world();
    world.service("other");
    assert_eq!(world.all(["other"]), ["1.2.3.1"]);
    world.wait(3599);
    world.service("web");
    assert_eq!(world.all(["web", "other"]), ["1.2.3.0", "1.2.3.1"]);
    assert_eq!(world.plan.next_deadline, None);
    let record = &world.plan.virtual_ips[&"1.2.3.0".parse().unwrap()];
    assert_eq!(record.released_at, None);
}

#[test]
fn after_the_retention_the_address_is_free() {
    let mut world = world();
    let deadline = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    assert_eq!(world.plan.next_deadline, Some(deadline));
    world.wait(3600);
    world.service("other");
    assert_eq!(world.all(["other"]), ["1.2.3.0"]);
    world.service("web");
    assert_eq!(world.all(["web"]), ["1.2.3.1"]);
}

#[test]
fn nobody_else_is_given_a_kept_address_even_by_name() {
    let mut world = world();
    world.service("thief").ask("1.2.3.0");
    world.service("red/web").ask("1.2.3.0");
    assert_eq!(world.all(["thief", "red/web"]), ["-", "-"]);
    assert_eq!(world.reason("thief"), Some(Reason::AddressRetained));
}

#[test]
fn a_user_frees_a_kept_address_by_deleting_its_record() {
    let mut world = world();
    let record = world.objects.virtual_ips.get_mut("1.2.3.0").map(Arc::make_mut).unwrap();
    record.metadata.deletion_timestamp = Some(Time(world.now));
    world.service("other").ask("1.2.3.0");
    assert_eq!(world.all(["other"]), ["1.2.3.0"]);
}

#[test]
fn who_comes_back_and_asks_for_something_else_does_not_take_the_kept_address() {
    let mut world = world();
    world.service("web").ask("1.2.3.2");
    assert_eq!(world.all(["web"]), ["1.2.3.2"]);
}

#[test]
fn sharers_who_go_together_come_back_together() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/30"])]);
    world.pool("p", &["1.2.3.0/30"]).spec.retention = Some("30m".to_owned());
    for (name, port) in [("a", tcp(80)), ("b", udp(80))] {
        world.service(name).share("k").ports(&[port]);
    }
    world.settle();
    world.delete("a");
    world.delete("b");
    world.settle();
    for (name, port) in [("b", udp(80)), ("a", tcp(80))] {
        world.service(name).share("k").ports(&[port]);
        assert_eq!(world.all([name]), ["1.2.3.0"], "{name}");
    }
}

#[test]
fn a_pool_without_retention_or_without_the_address_keeps_nothing() {
    let mut world = world();
    world.pool("p", &["1.2.3.0/30"]).spec.retention = None;
    world.settle();
    assert!(world.objects.virtual_ips.is_empty());
    let mut world = self::world();
    world.pool("p", &["1.2.3.2/31"]);
    world.settle();
    assert!(world.objects.virtual_ips.is_empty());
}

#[test]
fn kept_addresses_count_against_the_quota() {
    let mut world = world();
    world.pool("p", &["1.2.3.0/30"]).spec.quota = Some(PoolQuota { per_namespace: Some(1) });
    world.service("other");
    assert_eq!(world.reason("other"), Some(Reason::QuotaExceeded));
    world.service("web");
    assert_eq!(world.all(["web", "other"]), ["1.2.3.0", "-"]);
}

#[test]
fn a_duration_that_cannot_be_read_refuses_the_pool_and_frees_nothing() {
    let mut world = world();
    world.pool("p", &["1.2.3.0/30"]).spec.retention = Some("soon".to_owned());
    world.settle();
    assert!(world.objects.virtual_ips.contains_key("1.2.3.0"));
}
