// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How the kernel treats ARP and return paths on an interface: settings of whoever runs the machine, read and never
//! changed. `proxy_ndp` is not among them: without entries of its own it answers for nothing.

use std::io;
use std::path::Path;

/// What is in force on one interface (Linux, ip-sysctl): the greater of its own value and that of all interfaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InterfaceSettings {
    /// 0: every address of the machine is answered for, whatever interface it is on.
    pub arp_ignore: u8,
    /// Below 2: ARP requests may name any address of the machine as their sender.
    pub arp_announce: u8,
    /// Other stations' addresses that a route leads to elsewhere are answered for.
    pub proxy_arp: u8,
    /// 1: what comes from where the route back does not lead is dropped.
    pub rp_filter: u8,
}

impl InterfaceSettings {
    /// Reads those of the calling thread's network namespace.
    ///
    /// # Errors
    /// There is no such interface, or no IPv4 in the kernel.
    pub fn read(interface: &str) -> io::Result<Self> {
        let value =
            |setting: &str| -> io::Result<u8> { Ok(value(interface, setting)?.max(value("all", setting)?)) };
        Ok(Self {
            arp_ignore: value("arp_ignore")?,
            arp_announce: value("arp_announce")?,
            proxy_arp: value("proxy_arp")?,
            rp_filter: value("rp_filter")?,
        })
    }
}

fn value(interface: &str, setting: &str) -> io::Result<u8> {
    let path = Path::new("/proc/sys/net/ipv4/conf").join(interface).join(setting);
    let text = std::fs::read_to_string(path)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{setting} is {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Namespace, WIRE};

    #[test]
    fn the_greater_of_an_interfaces_own_value_and_that_of_all_is_in_force() {
        let (left, _right) = Namespace::pair();
        left.set("net/ipv4/conf/all/arp_ignore", "0");
        left.set("net/ipv4/conf/wire0/arp_ignore", "1");
        left.set("net/ipv4/conf/all/arp_announce", "2");
        left.set("net/ipv4/conf/wire0/proxy_arp", "1");
        left.set("net/ipv4/conf/all/rp_filter", "0");
        left.set("net/ipv4/conf/wire0/rp_filter", "2");
        let read = left.run(|| InterfaceSettings::read(WIRE)).expect("it is there");
        assert_eq!(read, InterfaceSettings { arp_ignore: 1, arp_announce: 2, proxy_arp: 1, rp_filter: 2 });
        assert!(left.run(|| InterfaceSettings::read("missing0")).is_err());
    }
}
