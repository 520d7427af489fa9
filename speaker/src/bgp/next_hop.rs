// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where a peer shall send traffic: to this node, by the interface that the session runs over.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use ferrolb_bgp::{Family, NextHop};
use nix::ifaddrs::getifaddrs;

/// This node's addresses as a session's peer can reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextHops {
    /// The session's own address.
    local: IpAddr,
    ipv4: Option<Ipv4Addr>,
    ipv6: Option<NextHop>,
}

/// An address of an interface.
#[derive(Clone, Debug)]
struct Held {
    interface: String,
    address: IpAddr,
    mask: Option<IpAddr>,
}

impl NextHops {
    /// For a session between these two addresses.
    ///
    /// # Errors
    /// The kernel does not tell its addresses.
    pub(super) fn find(local: IpAddr, peer: IpAddr) -> io::Result<Self> {
        let address = |storage: Option<nix::sys::socket::SockaddrStorage>| {
            let storage = storage?;
            let ipv4 = storage.as_sockaddr_in().map(|ipv4| IpAddr::from(ipv4.ip()));
            ipv4.or_else(|| storage.as_sockaddr_in6().map(|ipv6| ipv6.ip().into()))
        };
        let held = getifaddrs()?.filter_map(|entry| {
            Some(Held {
                interface: entry.interface_name,
                address: address(entry.address)?,
                mask: address(entry.netmask),
            })
        });
        Ok(Self::choose(local, peer, &held.collect::<Vec<_>>()))
    }

    /// The session's own address and no other.
    pub(super) fn only(local: IpAddr) -> Self {
        Self::choose(local, local, &[])
    }

    /// The addresses that the session's own interface holds beside the session's own.
    fn choose(local: IpAddr, peer: IpAddr, held: &[Held]) -> Self {
        let own = held.iter().find(|held| held.address == local);
        let beside = || {
            held.iter()
                .filter(|held| own.is_some_and(|own| own.interface == held.interface))
                .map(|held| held.address)
        };
        let on_link = own.is_some_and(|own| own.mask.is_some_and(|mask| same_net(local, peer, mask)));
        let link_local = beside().find_map(|address| match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
            _ => None,
        });
        let ipv4 = match local {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => beside().find_map(|address| match address {
                IpAddr::V4(v4) if !v4.is_loopback() => Some(v4),
                _ => None,
            }),
        };
        let global = match local {
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => Some(v6),
            _ => beside().find_map(|address| match address {
                IpAddr::V6(v6) if !v6.is_unicast_link_local() && !v6.is_loopback() => Some(v6),
                _ => None,
            }),
        };
        // RFC 2545, section 3: the link-local address only for who shares the link.
        let ipv6 = match (global, link_local.filter(|_| on_link)) {
            (Some(global), link_local) => Some(NextHop::V6 { global, link_local }),
            (None, Some(link_local)) => {
                Some(NextHop::V6 { global: link_local, link_local: Some(link_local) })
            }
            (None, None) => None,
        };
        Self { local, ipv4, ipv6 }
    }

    /// For routes of `family`. Where there is none it is an address of the other family, which the session refuses in words.
    pub(super) fn of(self, family: Family, extended: bool) -> NextHop {
        let own = match self.local {
            IpAddr::V4(v4) => NextHop::V4(v4),
            IpAddr::V6(v6) => self.ipv6.unwrap_or(NextHop::V6 { global: v6, link_local: None }),
        };
        let other = match family {
            Family::Ipv4Unicast if extended && self.local.is_ipv6() => None,
            Family::Ipv4Unicast => self.ipv4.map(NextHop::V4),
            Family::Ipv6Unicast => self.ipv6,
        };
        other.unwrap_or(own)
    }
}

/// Whether both are in one net of this mask.
fn same_net(left: IpAddr, right: IpAddr, mask: IpAddr) -> bool {
    match (left, right, mask) {
        (IpAddr::V4(left), IpAddr::V4(right), IpAddr::V4(mask)) => {
            (left.to_bits() ^ right.to_bits()) & mask.to_bits() == 0
        }
        (IpAddr::V6(left), IpAddr::V6(right), IpAddr::V6(mask)) => {
            (left.to_bits() ^ right.to_bits()) & mask.to_bits() == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn node() -> Vec<Held> {
        let held = |interface: &str, address: &str, mask: &str| Held {
            interface: interface.to_owned(),
            address: ip(address),
            mask: Some(ip(mask)),
        };
        vec![
            held("lo", "127.0.0.1", "255.0.0.0"),
            held("lo", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            held("eth1", "203.0.113.1", "255.255.255.0"),
            held("eth0", "192.0.2.1", "255.255.255.0"),
            held("eth0", "fe80::1", "ffff:ffff:ffff:ffff::"),
            held("eth0", "2001:db8::1", "ffff:ffff:ffff:ffff::"),
        ]
    }

    #[test]
    fn each_family_has_the_address_of_the_sessions_own_interface() {
        let both = NextHop::V6 { global: v6("2001:db8::1"), link_local: Some(v6("fe80::1")) };
        let over_v4 = NextHops::choose(ip("192.0.2.1"), ip("192.0.2.9"), &node());
        assert_eq!(over_v4.of(Family::Ipv4Unicast, true), NextHop::V4("192.0.2.1".parse().unwrap()));
        assert_eq!(over_v4.of(Family::Ipv6Unicast, false), both);
        let over_v6 = NextHops::choose(ip("2001:db8::1"), ip("2001:db8::9"), &node());
        assert_eq!(over_v6.of(Family::Ipv4Unicast, false), NextHop::V4("192.0.2.1".parse().unwrap()));
        assert_eq!(over_v6.of(Family::Ipv4Unicast, true), both, "RFC 8950 where it was agreed on");
    }

    #[test]
    fn a_peer_behind_a_router_is_told_no_link_local_address() {
        let far = NextHops::choose(ip("2001:db8::1"), ip("2001:db8:ffff::9"), &node());
        let expected = NextHop::V6 { global: v6("2001:db8::1"), link_local: None };
        assert_eq!(far.of(Family::Ipv6Unicast, false), expected);
    }

    #[test]
    fn what_an_interface_lacks_is_seen_by_the_session() {
        let nodes: Vec<Held> = node().into_iter().filter(|held| held.interface == "eth1").collect();
        let hops = NextHops::choose(ip("203.0.113.1"), ip("203.0.113.2"), &nodes);
        assert!(matches!(hops.of(Family::Ipv6Unicast, false), NextHop::V4(_)));
    }

    #[test]
    fn without_a_global_address_the_link_local_one_is_said_twice() {
        let nodes: Vec<Held> = node().into_iter().filter(|held| held.address != ip("2001:db8::1")).collect();
        let hops = NextHops::choose(ip("fe80::1"), ip("fe80::2"), &nodes);
        let expected = NextHop::V6 { global: v6("fe80::1"), link_local: Some(v6("fe80::1")) };
        assert_eq!(hops.of(Family::Ipv6Unicast, false), expected);
    }
}
