// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Interfaces that change, and interfaces made of others.

use super::*;

const LAN: &str = "lan0";

/// The MAC address that [`lan`] gives to the interface of a host.
fn lan_mac(host: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, host])
}

/// Makes `lan0` on top of `wire0` by these lines of `ip` and moves the host's address there.
fn lan(namespace: &Namespace, host: u8, lines: &[&str]) {
    namespace.ip("address flush dev wire0");
    for line in lines {
        namespace.ip(line);
    }
    namespace.ip(&format!("link set {LAN} address {}", lan_mac(host)));
    namespace.ip("link set wire0 up");
    namespace.ip(&format!("link set {LAN} up"));
    namespace.ip(&format!("address add 192.0.2.{host}/24 dev {LAN}"));
}

/// Whether this kernel has devices of the kind; one that it lacks is named in the output of the test.
fn has(kind: &'static str) -> bool {
    let scratch = Namespace::new();
    let made = scratch.run(move || {
        let with_kind = ["link", "add", "try0", "type", "veth", "peer", "name", "try1"];
        let made = std::process::Command::new("ip").args(with_kind).status().expect("iproute2");
        assert!(made.success());
        let arguments: &[&str] = match kind {
            "vlan" => &["link", "add", "link", "try0", "name", "try2", "type", "vlan", "id", "7"],
            "macvlan" => {
                &["link", "add", "link", "try0", "name", "try2", "type", "macvlan", "mode", "bridge"]
            }
            kind => &["link", "add", "try2", "type", kind],
        };
        std::process::Command::new("ip").args(arguments).output().expect("iproute2").status.success()
    });
    if !made {
        println!("NOT AVAILABLE: this kernel has no {kind} devices, so that nothing is shown about them");
    }
    made
}

/// Two speakers and a client whose `lan0` is made like this: one answers, with the MAC address of `lan0`.
fn carries(kind: &'static str, lines: &[&str]) {
    if !has(kind) {
        return;
    }
    let (_switch, [one, two, client]) = Namespace::switch();
    for (namespace, host) in [(&one, 1), (&two, 2), (&client, 3)] {
        lan(namespace, host, lines);
    }
    let nodes = names::<2>();
    let _first = Speaker::start(&one, &nodes[0], wanted(&nodes, &[IpAddr::V4(VIP)]));
    let _second = Speaker::start(&two, &nodes[1], wanted(&nodes, &[IpAddr::V4(VIP)]));
    let index = client.run(|| nix::net::if_::if_nametoindex(LAN).expect("lan0 exists"));
    let answered = client.run(move || {
        let mut socket = PacketSocket::open(index, FrameKind::Arp).expect("root may");
        let end = Instant::now() + PATIENCE;
        let mut answers = BTreeSet::new();
        while answers.is_empty() && Instant::now() < end {
            answers = collect_from(&mut socket, lan_mac(3), Duration::from_millis(200), usize::MAX);
        }
        answers
    });
    assert_eq!(answered.len(), 1, "{kind}: exactly one station answers");
    assert!(answered.iter().all(|mac| [lan_mac(1), lan_mac(2)].contains(mac)), "{kind}: {answered:?}");
}

#[test]
fn a_bridge_carries_addresses_and_its_port_does_not() {
    carries("bridge", &["link add lan0 type bridge", "link set wire0 master lan0"]);
}

#[test]
fn a_macvlan_device_carries_addresses() {
    carries("macvlan", &["link add link wire0 name lan0 type macvlan mode bridge"]);
}

#[test]
fn a_vlan_device_carries_addresses() {
    carries("vlan", &["link add link wire0 name lan0 type vlan id 7"]);
}

#[test]
fn a_bond_carries_addresses() {
    let lines =
        ["link add lan0 type bond mode active-backup", "link set wire0 down", "link set wire0 master lan0"];
    carries("bond", &lines);
}

#[test]
fn after_a_change_of_its_mac_the_owner_answers_with_the_new_one_alone() {
    let lab = Two::start();
    let ((_, port), _) = lab.owner();
    let node = if port == "port1" { &lab.one } else { &lab.two };
    let new = MacAddr([2, 0, 0, 0, 0, 0x77]);
    node.ip(&format!("link set wire0 address {new}"));
    let end = Instant::now() + PATIENCE;
    while lab.answering() != BTreeSet::from([new]) {
        assert!(Instant::now() < end, "still {:?}", lab.answering());
    }
}

#[test]
fn a_subnet_that_comes_late_makes_the_segment() {
    let (_switch, [one, two, client]) = Namespace::switch();
    one.ip("-4 address flush dev wire0");
    let nodes = names::<2>();
    let only_first = [nodes[0].clone()];
    let speaker = Speaker::start(&one, &nodes[0], wanted(&only_first, &[IpAddr::V4(VIP)]));
    let _peer = Speaker::start(&two, &nodes[1], wanted(&only_first, &[IpAddr::V4(VIP)]));
    assert!(who_has(&client, Duration::from_millis(500)).is_empty(), "no interface is in the subnet");
    one.ip("address add 192.0.2.1/24 dev wire0");
    speaker.until("a claim", is_claimed);
    assert_eq!(who_has(&client, Duration::from_millis(500)), BTreeSet::from([MAC_ONE]));
}
