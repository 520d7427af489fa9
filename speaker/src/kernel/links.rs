// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The node's network interfaces as the kernel tells them: a plain table and the changes it takes.
//!
//! Nothing here talks to the kernel; `link_monitor` turns its messages into [`Change`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_layer2::MacAddr;
use ipnet::IpNet;

/// The kernel's number of an interface; a re-created interface has a new one.
pub type LinkIndex = u32;

/// One network interface and what is configured on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it.
    pub index: LinkIndex,
    /// Its name, for example `eth0`.
    pub name: String,
    /// Its Ethernet address; none on anything that is not Ethernet.
    pub mac: Option<MacAddr>,
    /// Administratively up, and with carrier.
    pub up: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Neighbours are resolved here by ARP and neighbour discovery (no `NOARP`).
    pub resolves_neighbours: bool,
    /// The bond, bridge or VRF that this interface is a port of.
    pub master: Option<LinkIndex>,
    /// What it is when it is not hardware: `veth`, `bridge`, `vlan`, …
    pub kind: Option<String>,
    /// Its usable addresses with their prefix lengths; neither tentative, deprecated nor failed ones.
    pub addresses: Vec<IpNet>,
    /// The next hops of the main table's default routes that leave by it.
    pub gateways: Vec<IpAddr>,
}

impl Link {
    /// Whether it can carry virtual IPs at all: Ethernet with neighbour resolution, and no port of something else. Of
    /// a bond or bridge the master speaks, not its ports.
    #[must_use]
    pub fn can_carry(&self) -> bool {
        !self.loopback && self.resolves_neighbours && self.master.is_none() && self.mac.is_some()
    }

    /// The longest of this interface's own prefixes that `address` lies in, so that hosts of this segment resolve it
    /// themselves.
    #[must_use]
    pub fn on_link(&self, address: IpAddr) -> Option<IpNet> {
        self.prefixes().filter(|net| net.contains(&address)).max_by_key(IpNet::prefix_len)
    }

    /// The prefix that names the segment on which this interface announces `address`: all nodes there call it the same,
    /// whatever their interfaces are called. It is the one that holds the address or, where an advertisement names the
    /// interface and none does, the first of the address's family, or of the other.
    #[must_use]
    pub fn segment_of(&self, address: IpAddr) -> Option<IpNet> {
        let link_local = |net: &IpNet| match net {
            IpNet::V4(net) => net.network().is_link_local(),
            IpNet::V6(net) => net.network().is_unicast_link_local(),
        };
        let other_family = |net: &IpNet| net.network().is_ipv4() != address.is_ipv4();
        self.on_link(address).or_else(|| {
            self.prefixes().filter(|net| !link_local(net)).min_by_key(|net| (other_family(net), *net))
        })
    }

    /// The networks of its addresses. A prefix of full length names a host, not a segment.
    fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.addresses.iter().filter(|net| net.prefix_len() < net.max_prefix_len()).map(IpNet::trunc)
    }

    /// Whether [`Link::on_link`] finds one.
    #[must_use]
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        self.on_link(address).is_some()
    }
}

/// All interfaces of the node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(BTreeMap<LinkIndex, Link>);

impl Links {
    /// Every interface, by its number.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.values()
    }

    /// The interface with this number.
    #[must_use]
    pub fn get(&self, index: LinkIndex) -> Option<&Link> {
        self.0.get(&index)
    }

    /// The interface with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.0.values().find(|link| link.name == name)
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        Self(links.into_iter().map(|link| (link.index, link)).collect())
    }
}

/// What an interface is, without its addresses and routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) index: LinkIndex,
    pub(super) name: String,
    pub(super) mac: Option<MacAddr>,
    /// Administratively up.
    pub(super) enabled: bool,
    /// Able to carry frames, as far as the driver tells.
    pub(super) carrier: bool,
    pub(super) loopback: bool,
    pub(super) resolves_neighbours: bool,
    pub(super) master: Option<LinkIndex>,
    pub(super) kind: Option<String>,
}

/// Which default route is meant: the kernel holds one per family and metric, with one or several next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DefaultRoute {
    pub(super) ipv6: bool,
    pub(super) metric: u32,
}

/// One next hop of a default route.
pub(super) type NextHop = (LinkIndex, IpAddr);

/// One thing that the kernel says has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Device(Device),
    DeviceGone(LinkIndex),
    /// An address that can be used as a source now.
    Address(LinkIndex, IpNet),
    /// An address that is gone, or there but not (or no longer) usable.
    AddressGone(LinkIndex, IpNet),
    /// Next hops added to a default route, or put in the place of those it had.
    Gateways {
        route: DefaultRoute,
        hops: Vec<NextHop>,
        replace: bool,
    },
    GatewaysGone {
        route: DefaultRoute,
        hops: Vec<NextHop>,
    },
}

/// The table that follows the kernel's changes.
#[derive(Debug, Default)]
pub(super) struct Table {
    devices: BTreeMap<LinkIndex, Device>,
    addresses: BTreeSet<(LinkIndex, IpNet)>,
    gateways: BTreeSet<(DefaultRoute, NextHop)>,
}

impl Table {
    /// Takes one change; answers whether anything became different.
    pub(super) fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Device(device) => {
                // The kernel drops the routes of an interface that is switched off without a message for each; those
                // of one that only lost its carrier stay.
                let lost = !device.enabled && self.forget_gateways(device.index);
                let index = device.index;
                let before = self.devices.insert(index, device);
                lost || before.as_ref() != self.devices.get(&index)
            }
            Change::DeviceGone(index) => {
                let known = self.devices.remove(&index).is_some();
                self.addresses.retain(|(link, _)| *link != index);
                let lost = self.forget_gateways(index);
                known || lost
            }
            Change::Address(link, net) => self.addresses.insert((link, net)),
            Change::AddressGone(link, net) => self.addresses.remove(&(link, net)),
            Change::Gateways { route, hops, replace } => {
                let before = self.gateways.clone();
                if replace {
                    self.gateways.retain(|(known, _)| *known != route);
                }
                self.gateways.extend(hops.into_iter().map(|hop| (route, hop)));
                before != self.gateways
            }
            Change::GatewaysGone { route, hops } => {
                let before = self.gateways.len();
                for hop in hops {
                    self.gateways.remove(&(route, hop));
                }
                before != self.gateways.len()
            }
        }
    }

    fn forget_gateways(&mut self, index: LinkIndex) -> bool {
        let before = self.gateways.len();
        self.gateways.retain(|(_, (link, _))| *link != index);
        before != self.gateways.len()
    }

    /// What the table says now.
    pub(super) fn links(&self) -> Links {
        let first = IpNet::from(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let mut links = BTreeMap::new();
        for (index, device) in &self.devices {
            let addresses = self
                .addresses
                .range((*index, first)..)
                .take_while(|(link, _)| link == index)
                .map(|(_, net)| *net)
                .collect();
            let mut gateways: Vec<IpAddr> = self
                .gateways
                .iter()
                .filter(|(_, (link, _))| link == index)
                .map(|(_, (_, gateway))| *gateway)
                .collect();
            gateways.sort_unstable();
            gateways.dedup();
            let Device { index, name, mac, enabled, carrier, loopback, resolves_neighbours, master, kind } =
                device.clone();
            let up = enabled && carrier;
            links.insert(
                index,
                Link {
                    index,
                    name,
                    mac,
                    up,
                    loopback,
                    resolves_neighbours,
                    master,
                    kind,
                    addresses,
                    gateways,
                },
            );
        }
        Links(links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: LinkIndex, name: &str, enabled: bool) -> Change {
        Change::Device(Device {
            index,
            name: name.into(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            enabled,
            carrier: enabled,
            loopback: false,
            resolves_neighbours: true,
            master: None,
            kind: None,
        })
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn default_route(hops: &[(LinkIndex, &str)], replace: bool) -> Change {
        Change::Gateways {
            route: DefaultRoute { ipv6: false, metric: 0 },
            hops: hops.iter().map(|(link, hop)| (*link, hop.parse().expect("an address"))).collect(),
            replace,
        }
    }

    #[test]
    fn an_address_may_arrive_before_its_interface_and_shows_once_both_are_there() {
        let mut table = Table::default();
        assert!(table.apply(Change::Address(3, net("192.0.2.1/24"))));
        assert_eq!(table.links(), Links::default());
        assert!(table.apply(device(3, "eth0", true)));
        assert_eq!(table.links().named("eth0").expect("eth0").addresses, [net("192.0.2.1/24")]);
    }

    #[test]
    fn addresses_of_one_interface_do_not_leak_into_the_next() {
        let mut table = Table::default();
        for (index, name) in [(2, "eth0"), (3, "eth1")] {
            table.apply(device(index, name, true));
            table.apply(Change::Address(index, net(&format!("2001:db8:{index}::1/64"))));
        }
        let links = table.links();
        assert_eq!(links.get(2).expect("eth0").addresses, [net("2001:db8:2::1/64")]);
        assert_eq!(links.get(3).expect("eth1").addresses, [net("2001:db8:3::1/64")]);
    }

    #[test]
    fn a_repeated_message_is_not_a_change() {
        let mut table = Table::default();
        assert!(table.apply(device(2, "eth0", true)));
        assert!(!table.apply(device(2, "eth0", true)));
        assert!(table.apply(device(2, "eth0", false)));
    }

    #[test]
    fn a_vanished_interface_takes_its_addresses_and_gateways_along() {
        let mut table = Table::default();
        table.apply(device(2, "eth0", true));
        table.apply(Change::Address(2, net("192.0.2.1/24")));
        table.apply(default_route(&[(2, "192.0.2.254")], false));
        assert!(table.apply(Change::DeviceGone(2)));
        table.apply(device(2, "eth7", true));
        let links = table.links();
        let link = links.get(2).expect("eth7");
        assert!(link.addresses.is_empty());
        assert!(link.gateways.is_empty());
    }

    #[test]
    fn a_replaced_default_route_leaves_no_old_next_hop() {
        let mut table = Table::default();
        table.apply(device(2, "eth0", true));
        table.apply(default_route(&[(2, "192.0.2.254")], false));
        assert!(table.apply(default_route(&[(2, "192.0.2.253")], true)));
        assert_eq!(
            table.links().get(2).expect("eth0").gateways,
            ["192.0.2.253".parse::<IpAddr>().expect("address")]
        );
    }

    #[test]
    fn gateways_go_when_their_interface_is_switched_off() {
        let mut table = Table::default();
        table.apply(device(2, "eth0", true));
        table.apply(default_route(&[(2, "192.0.2.254")], false));
        assert!(table.apply(device(2, "eth0", false)));
        assert!(table.links().get(2).expect("eth0").gateways.is_empty());
    }

    #[test]
    fn gateways_stay_when_only_the_carrier_is_lost() {
        let mut table = Table::default();
        table.apply(device(2, "eth0", true));
        table.apply(default_route(&[(2, "192.0.2.254")], false));
        let Change::Device(device) = device(2, "eth0", true) else { panic!("not a device") };
        assert!(table.apply(Change::Device(Device { carrier: false, ..device })));
        let links = table.links();
        let eth0 = links.get(2).expect("eth0");
        assert!(!eth0.up);
        assert_eq!(eth0.gateways.len(), 1);
    }

    #[test]
    fn an_address_is_on_link_only_within_a_prefix_of_the_interface() {
        let mut table = Table::default();
        table.apply(device(2, "eth0", true));
        table.apply(Change::Address(2, net("192.0.2.1/24")));
        let links = table.links();
        let eth0 = links.get(2).expect("eth0");
        assert!(eth0.is_on_link("192.0.2.200".parse().expect("address")));
        assert!(!eth0.is_on_link("192.0.3.1".parse().expect("address")));
        assert!(!eth0.is_on_link("2001:db8::1".parse().expect("address")));
    }
}
