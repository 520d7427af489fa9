// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The name of a VirtualIP is its address, so that the object's name is the lock on the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The object name for `address`: `192.0.2.10`, or for IPv6 all eight groups without leading zeros and with dashes,
/// `2001-db8-0-0-0-0-0-1`. One address has exactly one name.
pub fn virtual_ip_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join("-"),
    }
}

/// The address that a VirtualIP's `name` stands for; `None` for any other spelling than [`virtual_ip_name`]'s.
pub fn parse_virtual_ip_name(name: &str) -> Option<IpAddr> {
    let address = if name.contains('-') {
        IpAddr::V6(name.replace('-', ":").parse::<Ipv6Addr>().ok()?)
    } else {
        IpAddr::V4(name.parse::<Ipv4Addr>().ok()?)
    };
    (virtual_ip_name(address) == name).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_exactly_one_name() {
        for (address, name) in [("192.0.2.10", "192.0.2.10"), ("2001:db8::1", "2001-db8-0-0-0-0-0-1")] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(virtual_ip_name(address), name);
            assert_eq!(parse_virtual_ip_name(name), Some(address));
        }
        for other in ["2001-db8--1", "2001-0db8-0-0-0-0-0-1", "2001-DB8-0-0-0-0-0-1", "192.0.2.010", ""] {
            assert_eq!(parse_virtual_ip_name(other), None, "{other}");
        }
    }
}
