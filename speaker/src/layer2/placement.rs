// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which interface carries which virtual IP: pure, from what is wanted and the interfaces that are there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use ferrolb_layer2::{GroupId, GroupIntent, LinkState, NodeId};

use crate::group::Group;
use crate::kernel::links::{Link, LinkIndex, Links};

/// The interfaces on which an address may be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// The one with an on-link prefix that holds the address: there its hosts look for it.
    OnLink,
    /// Those that an advertisement names, whatever their prefixes.
    Named(Vec<String>),
}

/// One virtual IP as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedVip {
    /// What is elected together.
    pub group: Group,
    /// All nodes that may carry it.
    pub candidates: Arc<[NodeId]>,
    /// How much each is preferred; who is not named is not.
    pub preferences: Arc<BTreeMap<NodeId, u32>>,
    /// Whether this node may carry it now: it is a candidate and its data path is in place.
    pub ready: bool,
    /// Where it may be announced.
    pub interfaces: Interfaces,
    /// The owner has it on the interface.
    pub bound: bool,
    /// A TCP port that its carrier serves to everybody.
    pub tcp_port: Option<NonZeroU16>,
}

/// Every virtual IP that is announced by layer 2 from some node.
pub type Wanted = BTreeMap<IpAddr, WantedVip>;

/// What one interface has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The interface's name.
    pub name: String,
    /// The interface's state.
    pub link: LinkState,
    /// The groups that it carries, in the order of their ids.
    pub groups: Vec<GroupIntent>,
    /// Those of their addresses that the owner has on the interface.
    pub bound: BTreeMap<IpAddr, GroupId>,
    /// TCP ports that carriers of these addresses serve to everybody.
    pub tcp_ports: BTreeMap<IpAddr, NonZeroU16>,
}

/// Why no interface of this node carries an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoInterface {
    /// The reason to show.
    pub reason: Reason,
    /// A sentence that names what was looked for.
    pub message: String,
}

/// What every interface has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The interfaces that carry addresses.
    pub segments: BTreeMap<LinkIndex, Arc<SegmentPlan>>,
    /// Groups with addresses on more than one of them.
    pub spanning: BTreeSet<GroupId>,
    /// The addresses that none carries.
    pub refusals: BTreeMap<IpAddr, NoInterface>,
}

/// Assigns every wanted address to the interfaces that carry it.
#[must_use]
pub fn place(wanted: &Wanted, links: &Links) -> Placement {
    let mut placement = Placement::default();
    let mut groups: BTreeMap<LinkIndex, BTreeMap<GroupId, GroupIntent>> = BTreeMap::new();
    for (address, vip) in wanted {
        match carriers(*address, &vip.interfaces, links) {
            Ok(carriers) => {
                for link in carriers {
                    add(groups.entry(link.index).or_default(), *address, vip);
                }
            }
            Err(refusal) => {
                placement.refusals.insert(*address, refusal);
            }
        }
    }
    // A group that this node cannot carry on one segment leaves it on all.
    let is_down = |index: &LinkIndex| links.get(*index).is_none_or(|link| !link.up);
    let down = groups.iter().filter(|(index, _)| is_down(index));
    let cut_off: BTreeSet<GroupId> = down.flat_map(|(_, groups)| groups.keys().copied()).collect();
    for group in groups.values_mut().flat_map(BTreeMap::values_mut) {
        group.ready &= !cut_off.contains(&group.id);
    }
    for (index, groups) in groups {
        let Some((link, state)) = links.get(index).and_then(|link| Some((link, state_of(link)?))) else {
            continue;
        };
        let groups: Vec<GroupIntent> = groups.into_values().collect();
        let bound = bound_addresses(&groups, wanted);
        let tcp_port = |address: &IpAddr| Some((*address, wanted.get(address)?.tcp_port?));
        let tcp_ports = groups.iter().flat_map(|group| &group.addresses).filter_map(tcp_port).collect();
        let plan = SegmentPlan { name: link.name.clone(), link: state, groups, bound, tcp_ports };
        placement.segments.insert(index, Arc::new(plan));
    }
    placement.spanning = spanning(placement.segments.values());
    placement
}

fn spanning<'a>(plans: impl Iterator<Item = &'a Arc<SegmentPlan>>) -> BTreeSet<GroupId> {
    let mut seen = BTreeSet::new();
    let groups = plans.flat_map(|plan| &plan.groups).map(|group| group.id);
    groups.filter(|group| !seen.insert(*group)).collect()
}

/// Adds an address to its group. What a group may do is what all its addresses may.
fn add(groups: &mut BTreeMap<GroupId, GroupIntent>, address: IpAddr, vip: &WantedVip) {
    let id = vip.group.id();
    let group = groups.entry(id).or_insert_with(|| GroupIntent {
        id,
        addresses: Vec::new(),
        candidates: Arc::clone(&vip.candidates),
        preferences: Arc::clone(&vip.preferences),
        ready: true,
        bound: false,
    });
    group.bound |= vip.bound;
    group.addresses.push(address);
    if *group.candidates != *vip.candidates {
        let both = group.candidates.iter().filter(|node| vip.candidates.contains(node));
        group.candidates = both.copied().collect();
    }
    group.ready &= vip.ready;
}

fn bound_addresses(groups: &[GroupIntent], wanted: &Wanted) -> BTreeMap<IpAddr, GroupId> {
    let bound = groups.iter().filter(|group| group.bound);
    let addresses = bound.flat_map(|group| group.addresses.iter().map(|address| (*address, group.id)));
    addresses.filter(|(address, _)| wanted.get(address).is_some_and(|vip| vip.bound)).collect()
}

fn state_of(link: &Link) -> Option<LinkState> {
    Some(LinkState {
        up: link.up,
        mac: link.mac?,
        addresses: link.addresses.clone(),
        gateways: link.gateways.clone(),
    })
}

fn carriers<'a>(address: IpAddr, rule: &Interfaces, links: &'a Links) -> Result<Vec<&'a Link>, NoInterface> {
    match rule {
        Interfaces::OnLink => {
            let usable = links.iter().filter(|link| link.can_carry());
            let found = on_its_segment(address, usable).ok_or_else(|| NoInterface {
                reason: Reason::NoMatchingInterface,
                message: format!(
                    "no interface has an address in a subnet with {address}; give one such an address, or name the \
                     interface in the L2Advertisement"
                ),
            })?;
            Ok(vec![found])
        }
        Interfaces::Named(names) => {
            let named: Vec<&Link> = names.iter().filter_map(|name| links.named(name)).collect();
            if named.is_empty() {
                return Err(NoInterface {
                    reason: Reason::InterfaceNotFound,
                    message: format!(
                        "the L2Advertisement names {}, which this node does not have",
                        list(names)
                    ),
                });
            }
            let usable: Vec<&Link> = named.iter().copied().filter(|link| link.can_carry()).collect();
            if usable.is_empty() {
                let found: Vec<String> = named.iter().map(|link| link.name.clone()).collect();
                return Err(NoInterface {
                    reason: Reason::NoMatchingInterface,
                    message: format!(
                        "{} cannot carry addresses: it must be Ethernet with ARP, and no port of a bond or bridge \
                         (name the bond or bridge itself)",
                        list(&found)
                    ),
                });
            }
            let on_link = on_its_segment(address, usable.iter().copied()).into_iter();
            Ok(usable.iter().copied().filter(|link| !link.is_on_link(address)).chain(on_link).collect())
        }
    }
}

/// Of the interfaces in the address's subnet the one in use: the longest prefix, as in routing, then one that is up.
/// Two of them on one segment would be two stations in the name of one node.
fn on_its_segment<'a>(address: IpAddr, links: impl Iterator<Item = &'a Link>) -> Option<&'a Link> {
    links
        .filter_map(|link| Some(((link.on_link(address)?.prefix_len(), link.up, Reverse(link.index)), link)))
        .max_by_key(|(preference, _)| *preference)
        .map(|(_, link)| link)
}

fn list(names: &[String]) -> String {
    match names {
        [] => "no interface".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
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
        let bound =
            |address: &str, bound| (ip(address), WantedVip { bound, ..vip("edge", Interfaces::OnLink) });
        let wanted: Wanted = [bound("192.0.2.8", true), bound("192.0.2.9", false)].into();
        let placement = place(&wanted, &[link(2, "eth0", &["192.0.2.1/24"])].into_iter().collect());
        let plan = &placement.segments[&2];
        assert_eq!(plan.bound, [(ip("192.0.2.8"), Group::from("edge").id())].into());
        assert!(plan.groups[0].bound);
    }

    #[test]
    fn an_address_goes_to_the_interface_whose_subnet_holds_it() {
        let links =
            Links::from_iter([link(2, "eth0", &["192.0.2.1/24"]), link(3, "eth1", &["198.51.100.1/24"])]);
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
        let links =
            Links::from_iter([link(2, "eth0", &["192.0.0.1/16"]), link(3, "eth1", &["192.0.2.1/24"])]);
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
}
