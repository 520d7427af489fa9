// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who has which address in the lab. Documentation ranges only (RFC 5737, RFC 3849), except for pods.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Prefix length of the segment, IPv4.
pub const SEGMENT_V4_LENGTH: u8 = 24;
/// Prefix length of the segment, IPv6.
pub const SEGMENT_V6_LENGTH: u8 = 64;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A station on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A node, counted from 1.
    Node(u8),
    /// The client, whose neighbour cache is what a failover has to move.
    Client,
    /// A station that has never heard of any virtual IP: it asks for them afresh all the time. Apart from the client, so that its
    /// questions and their answers never heal the client's cache.
    Newcomer,
    /// The API server of a cluster; only in labs that ask for it.
    ControlPlane,
    /// Another client, counted from 1, at most 40; only in labs that ask for it.
    Guest(u8),
}

impl Place {
    /// The last byte of its addresses.
    const fn host(self) -> u8 {
        match self {
            Place::Node(index) => 10 + index,
            Place::Client => 50,
            Place::Newcomer => 60,
            Place::ControlPlane => 70,
            Place::Guest(index) => 200 + index,
        }
    }

    /// `198.51.100.0/24`, where the virtual IPs are too.
    pub const fn ipv4(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, self.host())
    }

    /// `2001:db8:1::/64`, written with the same last digits as the IPv4 address.
    pub const fn ipv6(self) -> Ipv6Addr {
        let host = self.host() as u16;
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, host / 10 * 16 + host % 10)
    }

    /// Locally administered, fixed, so that a MAC seen on the wire names its station.
    pub const fn mac(self) -> Mac {
        Mac([0x02, 0, 198, 51, 100, self.host()])
    }

    /// What it is called in the lab: `n1`, `client`, `newcomer`, `plane`, `g1`.
    pub fn name(self) -> String {
        match self {
            Place::Node(index) => format!("n{index}"),
            Place::Client => "client".to_owned(),
            Place::Newcomer => "newcomer".to_owned(),
            Place::ControlPlane => "plane".to_owned(),
            Place::Guest(index) => format!("g{index}"),
        }
    }

    /// The station with this hardware address, if it is one of the lab's.
    pub fn of_mac(mac: Mac) -> Option<Place> {
        let others = [Place::Client, Place::Newcomer, Place::ControlPlane];
        (1..=32)
            .map(Place::Node)
            .chain(others)
            .chain((1..=40).map(Place::Guest))
            .find(|place| place.mac() == mac)
    }
}

/// The pod behind node `index`.
pub const fn pod_v4(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, index, 10)
}

/// The node's end of the pod network.
pub const fn pod_gateway_v4(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, index, 1)
}

/// The pod behind node `index`.
pub const fn pod_v6(index: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x244, index as u16, 0, 0, 0, 0, 0x10)
}

/// The node's end of the pod network.
pub const fn pod_gateway_v6(index: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x244, index as u16, 0, 0, 0, 0, 1)
}

/// Where pods answer HTTP and echo TCP.
pub const POD_TCP: u16 = 8080;
/// Where pods echo UDP.
pub const POD_UDP: u16 = 9000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_seen_on_the_wire_names_its_station() {
        for place in [Place::Node(1), Place::Node(3), Place::Client, Place::Newcomer, Place::Guest(7)] {
            assert_eq!(Place::of_mac(place.mac()), Some(place));
        }
        assert_eq!(Place::of_mac(Mac::BROADCAST), None);
    }

    #[test]
    fn the_addresses_of_a_station_end_alike() {
        assert_eq!(Place::Node(1).ipv4().to_string(), "198.51.100.11");
        assert_eq!(Place::Node(1).ipv6().to_string(), "2001:db8:1::11");
    }
}
