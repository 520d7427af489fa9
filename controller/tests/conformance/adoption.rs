// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is there when the controller starts: statuses of others, lost records, records of another cluster.

use std::sync::Arc;

use ferrolb_config::ObjectRef;
use ferrolb_config::reason::{Reason, Refusal};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};

use crate::world::{Edit, Serve, World, service_name, status};

fn world() -> World {
    World::with_pools(&[("p", &["1.2.3.0/29"])])
}

fn shown(world: &World, name: &str) -> Vec<LoadBalancerIngress> {
    let status = world.objects.services[&service_name(name)].status.as_ref();
    status.and_then(|status| status.load_balancer.clone()?.ingress).unwrap_or_default()
}

#[test]
fn ipam_133_addresses_that_are_shown_are_counted_before_anything_is_given() {
    let mut world = world();
    world.tamper("z", &["1.2.3.0"]);
    world.service("a");
    world.pass(1);
    assert_eq!(world.plan.pools["p"].ipv4.as_ref().unwrap().assigned, "2");
    assert_eq!(world.all(["z", "a"]), ["1.2.3.0", "1.2.3.1"]);
}

#[test]
fn ipam_134_an_annotation_that_tells_of_an_allocation_counts_for_nothing() {
    let mut world = world();
    world.pool("q", &["5.6.7.0/29"]);
    world.service("s1").annotate("metallb.io/ip-allocated-from-pool", "q");
    assert_eq!(world.all(["s1"]), ["1.2.3.0"]);
}

#[test]
fn the_writer_of_a_foreign_address_is_named() {
    let mut world = world();
    world.tamper("s1", &["192.168.1.12"]);
    let entry = ManagedFieldsEntry {
        manager: Some("metallb-controller".to_owned()),
        subresource: Some("status".to_owned()),
        ..ManagedFieldsEntry::default()
    };
    world.service("s1").metadata.managed_fields = Some(vec![entry]);
    assert_eq!(world.reason("s1"), Some(Reason::ForeignAddress));
    let told = format!("{:?}", world.plan.services[&service_name("s1")]);
    assert!(told.contains("192.168.1.12, which metallb-controller wrote"), "{told}");
}

#[test]
fn an_address_of_a_pool_that_this_service_may_not_use_is_somebody_elses() {
    let mut world = World::default();
    world.pool("p", &["1.2.3.0/29"]).namespaces(&["red"]);
    world.pool("q", &["5.6.7.0/29"]);
    world.tamper("s1", &["1.2.3.1"]);
    assert_eq!(world.reason("s1"), Some(Reason::ForeignAddress));
    assert_eq!(shown(&world, "s1").len(), 1);
}

#[test]
fn ctrl_013_a_host_name_beside_an_address_of_ours_is_removed() {
    let mut world = world();
    world.service("s1");
    world.settle();
    let service = world.service("s1");
    let ingress = service.status.as_mut().unwrap().load_balancer.as_mut().unwrap().ingress.as_mut().unwrap();
    ingress.push(LoadBalancerIngress { hostname: Some("lb".to_owned()), ..Default::default() });
    world.settle();
    let shown = shown(&world, "s1");
    assert_eq!((shown.len(), shown[0].ip.as_deref()), (1, Some("1.2.3.0")));
}

#[test]
fn ctrl_017_a_recorded_address_of_the_wrong_family_is_replaced() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29", "1000::/125"])]);
    world.service("s1").families(&["IPv4"]);
    world.service("s2").families(&["IPv6"]);
    assert_eq!(world.all(["s1", "s2"]), ["1.2.3.0", "1000::"]);
    world.service("s1").families(&["IPv6"]);
    world.service("s2").families(&["IPv4"]);
    assert_eq!(world.all(["s1", "s2"]), ["1000::", "1.2.3.0"]);
}

#[test]
fn ctrl_023_a_dual_stack_service_with_half_of_a_status_is_given_the_other_half() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29", "1000::/125"])]);
    world.tamper("s1", &["1.2.3.4"]);
    world.service("s1").policy("RequireDualStack");
    assert_eq!(world.all(["s1"]), ["1.2.3.4 1000::"]);
}

#[test]
fn ctrl_024_a_status_with_too_many_addresses_is_cut_to_what_fits() {
    let mut world = world();
    world.tamper("s1", &["1.2.3.4", "1.2.3.5", "1.2.3.6"]);
    assert_eq!(world.all(["s1"]), ["1.2.3.4"]);
    assert_eq!(shown(&world, "s1").len(), 1);
}

#[test]
fn ctrl_045_a_service_of_another_class_keeps_the_status_that_it_has() {
    let mut world = world();
    world.tamper("s1", &["192.168.1.12"]);
    world.service("s1").spec().load_balancer_class = Some("example.com/lb".to_owned());
    world.settle();
    assert!(world.plan.services.is_empty());
    let expected = status(["192.168.1.12".to_owned()].into_iter());
    assert_eq!(world.objects.services[&service_name("s1")].status, Some(expected));
}

#[test]
fn records_of_a_restored_cluster_count_whatever_the_uids_are() {
    let mut world = world();
    world.service("s1").ask("1.2.3.5").metadata.uid = Some("old".to_owned());
    world.settle();
    let service = world.service("s1");
    service.unannotate("ferrolb.io/addresses").metadata.uid = Some("new".to_owned());
    service.status = None;
    assert_eq!(world.all(["s1"]), ["1.2.3.5"]);
    assert_eq!(world.objects.virtual_ips["1.2.3.5"].spec.consumers[0].uid.as_deref(), Some("new"));
}

#[test]
fn a_record_that_a_user_deletes_stays_in_force_and_comes_again_when_it_is_gone() {
    let mut world = world();
    world.service("s1").ask("1.2.3.5");
    world.settle();
    world.service("s1").unannotate("ferrolb.io/addresses");
    let record = world.objects.virtual_ips.get_mut("1.2.3.5").map(Arc::make_mut).unwrap();
    record.metadata.deletion_timestamp = Some(Time(world.now));
    world.service("thief").ask("1.2.3.5");
    assert_eq!(world.all(["s1", "thief"]), ["1.2.3.5", "-"]);
    world.lose_records();
    assert_eq!(world.all(["s1", "thief"]), ["1.2.3.5", "-"]);
    assert!(world.objects.virtual_ips.contains_key("1.2.3.5"));
}

#[test]
fn while_the_records_cannot_be_read_nothing_is_taken_and_nothing_is_given() {
    let mut world = world();
    world.service("s1").ask("1.2.3.5");
    world.settle();
    world.service("s1").unannotate("ferrolb.io/addresses");
    world.lose_records();
    world.objects.refused.push(Refusal::error(Reason::KindUnreadable, ObjectRef::every("VirtualIP"), "gone"));
    world.service("new");
    assert_eq!(world.all(["s1", "new"]), ["1.2.3.5", "-"]);
    assert_eq!(world.reason("new"), Some(Reason::KindUnreadable));
}

#[test]
fn ctrl_042_configuration_that_cannot_be_read_takes_nothing_away() {
    for kind in ["AddressPool", "Service"] {
        let mut world = world();
        world.service("s1");
        world.settle();
        world.objects.refused.push(Refusal::error(Reason::KindUnreadable, ObjectRef::every(kind), "gone"));
        if kind == "Service" {
            world.delete("s1");
        } else {
            world.objects.pools.clear();
        }
        world.settle();
        assert!(world.objects.virtual_ips.contains_key("1.2.3.0"), "{kind}");
    }
}

#[test]
fn ctrl_052_the_objects_that_a_plan_is_made_from_are_not_changed() {
    let mut world = world();
    world.service("s1");
    let before: Arc<Service> = Arc::clone(&world.objects.services[&service_name("s1")]);
    let copy = Service::clone(&before);
    world.settle();
    assert_eq!(*before, copy);
}
