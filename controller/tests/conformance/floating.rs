// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs draw from pools exactly as Services do.

use std::sync::Arc;

use ferrolb_config::api::{AddressMode, FloatingIP, FloatingIPStatus, IPFamily, PoolQuota, VirtualIPSpec};
use ferrolb_config::condition::READY;
use ferrolb_config::reason::Reason;

use crate::world::{Edit, Serve, World, service_name};

const DUAL: &[&str] = &["1.2.3.0/29", "fd00::/125"];

/// Settles, and returns the addresses of a FloatingIP, and why it lacks something.
fn given(world: &mut World, name: &str) -> (Vec<String>, Option<Reason>) {
    world.settle();
    let plan = &world.plan.floating_ips[&service_name(name)];
    let addresses: Vec<_> = plan.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(status(world, name).addresses, addresses);
    (addresses, plan.refusal.as_ref().map(|refusal| refusal.reason))
}

fn status(world: &World, name: &str) -> FloatingIPStatus {
    world.objects.floating_ips[&service_name(name)].status.clone().unwrap_or_default()
}

fn ready(world: &World, name: &str) -> (String, String, String) {
    let conditions = status(world, name).conditions;
    let ready = conditions.into_iter().find(|condition| condition.type_ == READY).unwrap();
    (ready.status, ready.reason, ready.message)
}

fn record<'a>(world: &'a World, address: &str) -> &'a VirtualIPSpec {
    &world.plan.virtual_ips[&address.parse().unwrap()]
}

fn bind(floating_ip: &mut FloatingIP) {
    (floating_ip.spec.mode, floating_ip.spec.target) = (AddressMode::Bound, None);
}

#[test]
fn ipam_a_floating_ip_is_given_the_first_familys_lowest_free_address_and_says_so() {
    let mut world = World::with_pools(&[("p", DUAL)]);
    world.service("web");
    world.settle();
    world.floating_ip("edge/ingress");
    assert_eq!(given(&mut world, "edge/ingress"), (vec!["1.2.3.1".to_owned()], None));
    let words = ready(&world, "edge/ingress");
    assert_eq!(words, ("True".to_owned(), "Assigned".to_owned(), "1.2.3.1".to_owned()));
    let spec = record(&world, "1.2.3.1");
    assert_eq!((spec.mode, spec.group.as_deref()), (AddressMode::ReplyOnly, Some("edge/floatingip/ingress")));
    assert_eq!(spec.consumers[0].ports.len(), 1);
    assert_eq!(status(&world, "edge/ingress").accepted, Some(world.floating_ip("edge/ingress").spec.clone()));
}

#[test]
fn ipam_a_floating_ip_and_a_service_of_one_name_are_two_consumers() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.service("web");
    world.floating_ip("web");
    world.settle();
    let of_service = world.all(["web"]);
    let (of_floating_ip, _) = given(&mut world, "web");
    assert_ne!(of_service.as_slice(), of_floating_ip);
    let groups: Vec<_> = world.plan.virtual_ips.values().map(|spec| spec.group.clone().unwrap()).collect();
    assert!(
        groups.contains(&"default/web".to_owned()) && groups.contains(&"default/floatingip/web".to_owned())
    );
    world.delete("web");
    assert_eq!(given(&mut world, "web"), (of_floating_ip, None));
    assert_eq!(world.plan.virtual_ips.len(), 1);
}

#[test]
fn ipam_two_families_are_two_addresses_of_one_pool_elected_together() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"]), ("q", DUAL)]);
    world.pool("p", &["5.6.7.0/29"]);
    world.floating_ip("dual").spec.ip_families = vec![IPFamily::IPv6, IPFamily::IPv4];
    assert_eq!(given(&mut world, "dual").0, ["1.2.3.0", "fd00::"]);
    assert_eq!(record(&world, "1.2.3.0").group, record(&world, "fd00::").group);
    world.floating_ip("dual").spec.ip_families = vec![IPFamily::IPv6];
    assert_eq!(given(&mut world, "dual").0, ["fd00::"]);
}

#[test]
fn ipam_floating_ips_of_one_group_are_elected_together_within_their_namespace() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    for name in ["inside", "outside", "other/outside"] {
        world.floating_ip(name).spec.group = Some("pair".to_owned());
    }
    world.settle();
    let groups: Vec<_> = world.plan.virtual_ips.values().map(|spec| spec.group.clone().unwrap()).collect();
    assert_eq!(groups, ["default/group/pair", "default/group/pair", "other/group/pair"]);
}

#[test]
fn ipam_a_certain_address_is_given_if_it_is_free_and_of_a_pool_that_serves_the_namespace() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"]), ("q", &["5.6.7.0/29"])]);
    world.pool("q", &["5.6.7.0/29"]).namespaces(&["edge"]);
    world.service("web").ask("1.2.3.4");
    world.settle();
    for (name, address, expected) in [
        ("a", "1.2.3.5", None),
        ("b", "1.2.3.4", Some(Reason::AddressInUse)),
        ("c", "9.9.9.9", Some(Reason::AddressNotInPool)),
        ("d", "5.6.7.1", Some(Reason::PoolNotAllowed)),
        ("edge/e", "5.6.7.1", None),
    ] {
        world.floating_ip(name).spec.addresses = vec![address.to_owned()];
        let (addresses, reason) = given(&mut world, name);
        assert_eq!((addresses.len(), reason), (usize::from(expected.is_none()), expected), "{name}");
    }
    let (_, _, message) = ready(&world, "b");
    assert!(message.contains("1.2.3.4 is in use by Service default/web"), "{message}");
    let (_, _, message) = ready(&world, "c");
    assert!(message.starts_with("spec.addresses: "), "{message}");
    world.service("thief").ask("1.2.3.5");
    assert_eq!(world.reason("thief"), Some(Reason::AddressInUse));
}

#[test]
fn ipam_an_address_is_never_shared_with_a_floating_ip() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/32"])]);
    world.floating_ip("a");
    world.settle();
    world.service("web").share("key").ask("1.2.3.0");
    world.service("web").ports(&[crate::world::tcp(443)]);
    assert_eq!(world.reason("web"), Some(Reason::AddressInUse));
    assert_eq!(given(&mut world, "a").0, ["1.2.3.0"]);
}

#[test]
fn ipam_quota_and_retention_count_floating_ips_as_services() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    let pool = world.pool("p", &["1.2.3.0/29"]);
    pool.spec.quota = Some(PoolQuota { per_namespace: Some(2) });
    pool.spec.retention = Some("1h".to_owned());
    world.service("web");
    world.settle();
    world.floating_ip("a");
    world.settle();
    world.floating_ip("b");
    assert_eq!(given(&mut world, "b"), (Vec::new(), Some(Reason::QuotaExceeded)));
    world.objects.floating_ips.remove(&service_name("a"));
    world.settle();
    assert!(record(&world, "1.2.3.1").released_at.is_some());
    // A Service of the same name is not who had it.
    world.service("a");
    assert_eq!(world.reason("a"), Some(Reason::QuotaExceeded));
    world.floating_ip("a");
    assert_eq!(given(&mut world, "a").0, ["1.2.3.1"]);
}

#[test]
fn ipam_bound_needs_a_pool_that_allows_it() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"]), ("q", &["5.6.7.0/29"])]);
    bind(world.floating_ip("api"));
    assert_eq!(given(&mut world, "api"), (Vec::new(), Some(Reason::BoundNotAllowed)));
    assert_eq!(ready(&world, "api").1, "BoundNotAllowed");
    assert_eq!(status(&world, "api").accepted, None);
    world.pool("q", &["5.6.7.0/29"]).spec.allow_bound = true;
    assert_eq!(given(&mut world, "api"), (vec!["5.6.7.0".to_owned()], None));
    assert_eq!(record(&world, "5.6.7.0").mode, AddressMode::Bound);
    world.floating_ip("api").spec.pool = Some("p".to_owned());
    assert_eq!(given(&mut world, "api"), (vec!["5.6.7.0".to_owned()], Some(Reason::BoundNotAllowed)));
}

#[test]
fn ipam_an_edit_to_bound_that_the_pool_does_not_allow_changes_nothing_and_the_pools_own_edit_takes_the_address()
 {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.floating_ip("api");
    world.settle();
    let before = world.floating_ip("api").spec.clone();
    bind(world.floating_ip("api"));
    assert_eq!(given(&mut world, "api"), (vec!["1.2.3.0".to_owned()], Some(Reason::BoundNotAllowed)));
    assert_eq!(record(&world, "1.2.3.0").mode, AddressMode::ReplyOnly);
    assert_eq!(status(&world, "api").accepted, Some(before));
    world.pool("p", &["1.2.3.0/29"]).spec.allow_bound = true;
    assert_eq!(given(&mut world, "api"), (vec!["1.2.3.0".to_owned()], None));
    assert_eq!(record(&world, "1.2.3.0").mode, AddressMode::Bound);
    world.pool("p", &["1.2.3.0/29"]).spec.allow_bound = false;
    assert_eq!(given(&mut world, "api"), (Vec::new(), Some(Reason::BoundNotAllowed)));
    assert!(world.plan.virtual_ips.is_empty());
}

#[test]
fn ctrl_a_refused_edit_of_a_floating_ip_takes_nothing_away() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.floating_ip("a").spec.group = Some("pair".to_owned());
    world.settle();
    let accepted = world.floating_ip("a").spec.clone();
    world.floating_ip("a").spec.target = None;
    world.floating_ip("a").spec.group = None;
    assert_eq!(given(&mut world, "a"), (vec!["1.2.3.0".to_owned()], Some(Reason::InvalidValue)));
    assert_eq!(status(&world, "a").accepted, Some(accepted));
    assert_eq!(record(&world, "1.2.3.0").group.as_deref(), Some("default/group/pair"));
    let (ready, _, message) = ready(&world, "a");
    assert_eq!(ready, "False");
    assert!(message.contains("spec.target") && message.ends_with("It keeps 1.2.3.0."), "{message}");
}

#[test]
fn ctrl_what_a_floating_ip_shows_is_taken_over_when_the_records_are_lost() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    world.floating_ip("a").spec.addresses = vec!["1.2.3.5".to_owned()];
    world.settle();
    world.floating_ip("a").spec.addresses = Vec::new();
    world.settle();
    world.objects.virtual_ips.clear();
    world.unchecked = true;
    assert_eq!(given(&mut world, "a").0, ["1.2.3.5"]);
}

#[test]
fn ctrl_floating_ips_hand_addresses_on_to_each_other() {
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    let ask = |world: &mut World, name: &str, address: &str| {
        world.floating_ip(name).spec.addresses = vec![address.to_owned()];
    };
    ask(&mut world, "a", "1.2.3.1");
    ask(&mut world, "b", "1.2.3.2");
    world.settle();
    ask(&mut world, "a", "1.2.3.2");
    ask(&mut world, "b", "1.2.3.3");
    // Every write is checked: what is shown is recorded.
    assert_eq!(given(&mut world, "a").0, ["1.2.3.2"]);
    assert_eq!(given(&mut world, "b").0, ["1.2.3.3"]);
}

#[test]
fn ctrl_a_floating_ip_that_cannot_be_read_keeps_its_address() {
    use ferrolb_config::ObjectRef;
    use ferrolb_config::reason::Refusal;
    let mut world = World::with_pools(&[("p", &["1.2.3.0/29"])]);
    bind(world.floating_ip("a"));
    world.pool("p", &["1.2.3.0/29"]).spec.allow_bound = true;
    world.settle();
    let gone: Arc<FloatingIP> = world.objects.floating_ips.remove(&service_name("a")).unwrap();
    let hidden = ObjectRef::namespaced("FloatingIP", &service_name("a"));
    world.objects.refused = vec![Refusal::error(Reason::MalformedDocument, hidden, "it cannot be read")];
    world.settle();
    let spec = record(&world, "1.2.3.0");
    assert_eq!((spec.mode, spec.group.as_deref()), (AddressMode::Bound, Some("default/floatingip/a")));
    world.objects.refused.clear();
    world.objects.floating_ips.insert(service_name("a"), gone);
    assert_eq!(given(&mut world, "a").0, ["1.2.3.0"]);
}
