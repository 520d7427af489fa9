// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use ferrolb_layer2::MacAddr;
use proptest::prelude::*;

use super::*;

fn link(index: LinkIndex, name: &str, addresses: &[&str]) -> Link {
    Link {
        index,
        name: name.into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        up: true,
        loopback: false,
        resolves_neighbours: true,
        master: None,
        kind: None,
        addresses: addresses.iter().map(|net| net.parse().expect("a prefix")).collect(),
        gateways: Vec::new(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn vip(group: &str, interfaces: Interfaces) -> WantedVip {
    WantedVip {
        group: group.into(),
        candidates: [NodeId([1; 16]), NodeId([2; 16])].into(),
        preferences: Arc::default(),
        ready: true,
        interfaces,
        bound: false,
        tcp_port: NonZeroU16::new(80),
    }
}

fn on_link(addresses: &[&str]) -> Wanted {
    addresses.iter().map(|address| (ip(address), vip(address, Interfaces::OnLink))).collect()
}

fn carried(placement: &Placement, index: LinkIndex) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = placement
        .segments
        .get(&index)
        .map(|plan| plan.groups.iter().flat_map(|group| group.addresses.clone()).collect())
        .unwrap_or_default();
    addresses.sort_unstable();
    addresses
}

#[test]
fn a_group_leaves_all_segments_with_the_link_of_one() {
    let mut inside = link(3, "eth1", &["198.51.100.1/24"]);
    let outside = link(2, "eth0", &["192.0.2.1/24"]);
    let wanted: Wanted = [("192.0.2.9", "gateway"), ("198.51.100.9", "gateway"), ("192.0.2.8", "web")]
        .map(|(address, group)| (ip(address), vip(group, Interfaces::OnLink)))
        .into();
    let ready = |links: &[&Link]| -> Vec<bool> {
        let placement = place(&wanted, &links.iter().copied().cloned().collect());
        let groups = placement.segments.values().flat_map(|plan| plan.groups.clone());
        let mut ready: Vec<_> = groups.map(|group| (group.addresses, group.ready)).collect();
        ready.sort();
        ready.into_iter().map(|(_, ready)| ready).collect()
    };
    assert_eq!(ready(&[&outside, &inside]), [true, true, true]);
    inside.up = false;
    assert_eq!(ready(&[&outside, &inside]), [true, false, false], "web, then both of the gateway");
}

#[test]
fn what_belongs_on_the_interface_is_named_with_its_group() {
    let bound = |address: &str, bound| (ip(address), WantedVip { bound, ..vip("edge", Interfaces::OnLink) });
    let wanted: Wanted = [bound("192.0.2.8", true), bound("192.0.2.9", false)].into();
    let placement = place(&wanted, &[link(2, "eth0", &["192.0.2.1/24"])].into_iter().collect());
    let plan = &placement.segments[&2];
    assert_eq!(plan.bound, [(ip("192.0.2.8"), Group::from("edge").id())].into());
    assert!(plan.groups[0].bound);
}

#[test]
fn an_address_goes_to_the_interface_whose_subnet_holds_it() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.2.1/24"]), link(3, "eth1", &["198.51.100.1/24"])]);
    let placement = place(&on_link(&["192.0.2.10", "198.51.100.10"]), &links);
    assert_eq!(carried(&placement, 2), [ip("192.0.2.10")]);
    assert_eq!(carried(&placement, 3), [ip("198.51.100.10")]);
    assert!(placement.refusals.is_empty());
    let ports = placement.segments[&3].tcp_ports.keys().copied().collect::<Vec<_>>();
    assert_eq!(ports, [ip("198.51.100.10")]);
}

#[test]
fn of_two_interfaces_on_one_subnet_the_first_that_is_up_carries_the_address() {
    let one = link(2, "eth0", &["192.0.2.1/24"]);
    let two = link(3, "eth1", &["192.0.2.2/24"]);
    let only = |links: &Links| {
        let placement = place(&on_link(&["192.0.2.10"]), links);
        placement.segments.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(only(&Links::from_iter([one.clone(), two.clone()])), [2]);
    assert_eq!(only(&Links::from_iter([Link { up: false, ..one }, two])), [3]);
}

#[test]
fn the_longer_prefix_tells_the_segment() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.0.1/16"]), link(3, "eth1", &["192.0.2.1/24"])]);
    assert_eq!(carried(&place(&on_link(&["192.0.2.10"]), &links), 3), [ip("192.0.2.10")]);
    assert_eq!(carried(&place(&on_link(&["192.0.3.10"]), &links), 2), [ip("192.0.3.10")]);
}

#[test]
fn of_named_interfaces_only_one_carries_the_address_in_its_subnet() {
    let links = Links::from_iter([
        link(2, "eth0", &["192.0.2.1/24"]),
        link(3, "eth1", &["192.0.2.2/24"]),
        link(4, "eth2", &["198.51.100.1/24"]),
    ]);
    let rule = Interfaces::Named(vec!["eth0".into(), "eth1".into(), "eth2".into()]);
    let placement = place(&Wanted::from([(ip("192.0.2.10"), vip("web", rule))]), &links);
    assert_eq!(placement.segments.into_keys().collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn an_address_outside_every_subnet_is_refused_and_never_announced_everywhere() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.2.1/24"])]);
    let placement = place(&on_link(&["203.0.113.1"]), &links);
    assert!(placement.segments.is_empty());
    assert_eq!(placement.refusals[&ip("203.0.113.1")].reason, Reason::NoMatchingInterface);
}

#[test]
fn loopback_ports_and_interfaces_without_arp_or_mac_carry_nothing() {
    let net = &["192.0.2.1/24"];
    let links = Links::from_iter([
        Link { loopback: true, ..link(1, "lo", net) },
        Link { master: Some(9), ..link(2, "eth0", net) },
        Link { resolves_neighbours: false, ..link(3, "dummy0", net) },
        Link { mac: None, ..link(4, "tun0", net) },
    ]);
    let placement = place(&on_link(&["192.0.2.10"]), &links);
    assert!(placement.segments.is_empty());
}

#[test]
fn a_host_prefix_does_not_make_a_segment() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.2.10/32", "2001:db8::10/128"])]);
    let placement = place(&on_link(&["192.0.2.10", "2001:db8::10"]), &links);
    assert_eq!(placement.refusals.len(), 2);
}

#[test]
fn a_named_interface_carries_the_address_whatever_its_subnets() {
    let links = Links::from_iter([link(2, "eth0", &[]), link(3, "eth1", &["192.0.2.1/24"])]);
    let rule = Interfaces::Named(vec!["eth0".into(), "missing0".into()]);
    let placement = place(&Wanted::from([(ip("192.0.2.10"), vip("web", rule))]), &links);
    assert_eq!(carried(&placement, 2), [ip("192.0.2.10")]);
    assert!(carried(&placement, 3).is_empty());
}

#[test]
fn a_segment_has_the_name_of_its_prefix_also_where_no_prefix_holds_the_address() {
    let eth0 = link(2, "eth0", &["fe80::1/64", "198.51.100.7/24", "198.51.100.9/25", "2001:db8::7/64"]);
    let name = |address: &str| eth0.segment_of(ip(address)).map(|net| net.to_string());
    assert_eq!(name("198.51.100.200").as_deref(), Some("198.51.100.0/24"));
    assert_eq!(name("198.51.100.100").as_deref(), Some("198.51.100.0/25"));
    assert_eq!(name("203.0.113.1").as_deref(), Some("198.51.100.0/24"));
    assert_eq!(name("2001:db8:9::1").as_deref(), Some("2001:db8::/64"));
    let one_family = link(2, "eth0", &["198.51.100.7/24", "192.0.2.9/32"]);
    assert_eq!(one_family.segment_of(ip("2001:db8::1")), one_family.segment_of(ip("203.0.113.1")));
    assert_eq!(link(2, "eth0", &[]).segment_of(ip("203.0.113.1")), None);
}

#[test]
fn an_interface_that_does_not_exist_is_named_in_the_refusal() {
    let rule = Interfaces::Named(vec!["missing0".into()]);
    let placement = place(
        &Wanted::from([(ip("192.0.2.10"), vip("web", rule))]),
        &Links::from_iter([link(2, "eth0", &[])]),
    );
    let refusal = &placement.refusals[&ip("192.0.2.10")];
    assert_eq!(refusal.reason, Reason::InterfaceNotFound);
    assert!(refusal.message.contains("missing0"));
}

#[test]
fn a_named_port_of_a_bond_is_refused_with_the_advice_to_name_the_bond() {
    let links = Links::from_iter([Link { master: Some(9), ..link(2, "eth0", &["192.0.2.1/24"]) }]);
    let rule = Interfaces::Named(vec!["eth0".into()]);
    let placement = place(&Wanted::from([(ip("192.0.2.10"), vip("web", rule))]), &links);
    let refusal = &placement.refusals[&ip("192.0.2.10")];
    assert_eq!(refusal.reason, Reason::NoMatchingInterface);
    assert!(refusal.message.contains("bond"));
}

#[test]
fn both_families_of_a_group_are_elected_together_and_ready_together() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.2.1/24", "2001:db8::1/64"])]);
    let mut wanted = Wanted::from([
        (ip("192.0.2.10"), vip("web", Interfaces::OnLink)),
        (ip("2001:db8::10"), vip("web", Interfaces::OnLink)),
    ]);
    let placement = place(&wanted, &links);
    let [group] = placement.segments[&2].groups.as_slice() else { panic!("one group") };
    assert_eq!(group.addresses.len(), 2);
    assert!(group.ready);
    wanted.get_mut(&ip("2001:db8::10")).expect("it is there").ready = false;
    assert!(!place(&wanted, &links).segments[&2].groups[0].ready);
}

#[test]
fn a_group_may_go_only_where_all_its_addresses_may() {
    let links = Links::from_iter([link(2, "eth0", &["192.0.2.1/24"])]);
    let fewer = WantedVip { candidates: [NodeId([2; 16])].into(), ..vip("web", Interfaces::OnLink) };
    let wanted =
        Wanted::from([(ip("192.0.2.10"), vip("web", Interfaces::OnLink)), (ip("192.0.2.11"), fewer)]);
    let placement = place(&wanted, &links);
    assert_eq!(*placement.segments[&2].groups[0].candidates, [NodeId([2; 16])]);
}

#[test]
fn a_link_without_carrier_keeps_its_segment_and_says_so() {
    let links = Links::from_iter([Link { up: false, ..link(2, "eth0", &["192.0.2.1/24"]) }]);
    assert!(!place(&on_link(&["192.0.2.10"]), &links).segments[&2].link.up);
}

proptest! {
    #[test]
    fn every_address_is_either_placed_or_refused(hosts in proptest::collection::btree_set(any::<u16>(), 0..50)) {
        let links = Links::from_iter([link(2, "eth0", &["10.0.0.1/18"]), link(3, "eth1", &["10.0.128.1/20"])]);
        let wanted: Wanted = hosts
            .iter()
            .map(|host| {
                let [a, b] = host.to_be_bytes();
                let address = IpAddr::from([10, 0, a, b]);
                (address, vip(&address.to_string(), Interfaces::OnLink))
            })
            .collect();
        let placement = place(&wanted, &links);
        let placed = carried(&placement, 2).len() + carried(&placement, 3).len();
        prop_assert_eq!(placed + placement.refusals.len(), wanted.len());
    }
}
