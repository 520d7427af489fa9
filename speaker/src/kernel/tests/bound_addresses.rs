// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the kernel makes of bound addresses.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::{BindError, BoundAddresses, Place};
use crate::namespace::{Namespace, WIRE};

const LIFETIME: Duration = Duration::from_secs(3);

fn shown() -> String {
    let output = Command::new("ip").args(["-details", "address", "show", "dev", WIRE]).output();
    String::from_utf8_lossy(&output.expect("iproute2 is installed").stdout).into_owned()
}

fn place(address: &str) -> Place {
    let link = nix::net::if_::if_nametoindex(WIRE).expect("the wire is there");
    Place { link, address: address.parse::<IpAddr>().expect("an address") }
}

#[test]
fn l2_068_a_bound_address_is_ours_deprecated_and_makes_no_route() {
    let (node, _other) = Namespace::pair();
    node.run(|| {
        let mut kernel = BoundAddresses::open().expect("netlink is there");
        let both = [place("192.0.2.10"), place("2001:db8::10")];
        for place in both {
            kernel.add(place, LIFETIME).expect("nobody has it");
        }
        assert_eq!(kernel.list().expect("a list"), both.into());
        let shown = shown();
        for (line, family) in [("inet 192.0.2.10/32", "4"), ("inet6 2001:db8::10/128", "6")] {
            let found = shown.lines().find(|shown| shown.contains(line)).unwrap_or_else(|| panic!("{shown}"));
            assert!(found.contains("deprecated") && found.contains("noprefixroute"), "IPv{family}: {found}");
            assert!(!found.contains("tentative"), "IPv{family}: {found}");
        }
        for place in both {
            kernel.remove(place).expect("it is ours");
            kernel.remove(place).expect("that it is gone already is no error");
        }
        assert!(kernel.list().expect("a list").is_empty());
    });
}

#[test]
fn l2_068_without_a_renewal_the_kernel_removes_it() {
    let (node, _other) = Namespace::pair();
    node.run(|| {
        let mut kernel = BoundAddresses::open().expect("netlink is there");
        let (kept, left) = (place("192.0.2.10"), place("192.0.2.11"));
        kernel.add(kept, LIFETIME).expect("nobody has it");
        kernel.add(left, LIFETIME).expect("nobody has it");
        let begin = Instant::now();
        while kernel.list().expect("a list").contains(&left) {
            assert!(begin.elapsed() < Duration::from_secs(20), "it is still there");
            std::thread::sleep(Duration::from_millis(100));
            kernel.renew(kept, LIFETIME).expect("it is ours");
        }
        assert!(begin.elapsed() > Duration::from_millis(2500), "{:?} is too early", begin.elapsed());
        assert_eq!(kernel.list().expect("a list"), [kept].into());
    });
}

#[test]
fn what_somebody_else_configured_is_left_alone() {
    let (node, _other) = Namespace::pair();
    node.ip(&format!("address add 192.0.2.10/24 dev {WIRE}"));
    node.ip(&format!("address add 192.0.2.11/32 dev {WIRE}"));
    node.run(|| {
        let mut kernel = BoundAddresses::open().expect("netlink is there");
        for address in ["192.0.2.10", "192.0.2.11"] {
            let refused = kernel.add(place(address), LIFETIME).expect_err("somebody has it");
            assert!(matches!(refused, BindError::Taken(_)), "{refused}");
        }
        assert!(kernel.list().expect("a list").is_empty());
        assert!(shown().contains("192.0.2.11/32 scope global"), "{}", shown());
    });
}
