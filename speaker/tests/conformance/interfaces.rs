// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! On which interfaces an address is announced.

use ferrolb_config::reason::Reason;
use ferrolb_layer2::MacAddr;
use ferrolb_speaker::intent::InterfaceRule;
use ferrolb_speaker::kernel::links::Link;

use crate::cluster::{Cluster, FAILOVER, link, links};
use crate::manifests::{advertisement, node, served};

/// In the subnet of `eth0`.
const VIP: &str = "192.0.2.100";
/// In the subnet of `eth1`.
const OTHER: &str = "198.51.100.100";

fn web(nodes: u8, advertisement: &str) -> Cluster {
    let mut cluster = Cluster::bare(nodes);
    cluster.apply(&served("web", "", VIP, &["n1"]));
    cluster.apply(&served("other", "", OTHER, &["n1"]));
    cluster.apply(&[self::advertisement("ad", advertisement)]);
    cluster.settle();
    cluster
}

/// How many answer for [`VIP`] on the wires of `eth0` and `eth1`.
fn answers(cluster: &mut Cluster) -> [usize; 2] {
    [0, 1].map(|wire| cluster.answering_on(wire, VIP).len())
}

#[test]
fn l2_017_only_nodes_with_an_interface_in_the_addresses_subnet_carry_it() {
    let mut cluster = web(3, "");
    cluster.rewire("n3", links([link(1, 3)]));
    assert_eq!(cluster.answering_on(1, VIP), [""; 0]);
    for _ in 0..2 {
        let owner = cluster.owner(VIP);
        assert_ne!(owner, "n3");
        cluster.crash(&owner);
        cluster.settle();
    }
    assert_eq!(answers(&mut cluster), [0, 0], "n3 runs, but is not in the subnet");
    assert_eq!(cluster.refusal("n3", VIP), Some(Reason::NoMatchingInterface));
    assert_eq!(cluster.answering_on(1, OTHER), ["n3"]);
}

#[test]
fn l2_017_an_address_in_nobodys_subnet_is_given_and_announced_nowhere() {
    const NOWHERE: &str = "203.0.113.1";
    let mut cluster = web(2, "");
    cluster.apply(&served("far", "", NOWHERE, &["n1"]));
    cluster.settle();
    for wire in [0, 1] {
        assert_eq!(cluster.answering_on(wire, NOWHERE), [""; 0]);
    }
    for node in ["n1", "n2"] {
        assert_eq!(cluster.refusal(node, NOWHERE), Some(Reason::NoMatchingInterface));
    }
}

#[test]
fn l2_035_the_interfaces_of_an_advertisement_are_the_only_ones_that_answer_each_with_its_own_mac() {
    let mut cluster = web(2, "interfaces: [eth1]");
    assert_eq!(answers(&mut cluster), [0, 1]);
    let [MacAddr([.., wire, _])] = cluster.answers(1, VIP)[..] else { panic!("one answers") };
    assert_eq!(wire, 1, "the MAC of eth1");
    cluster.apply(&[advertisement("ad", "interfaces: [eth0]")]);
    cluster.settle();
    assert_eq!(answers(&mut cluster), [1, 0], "a change of the list is followed");
    cluster.apply(&[advertisement("ad", "interfaces: [eth0, eth1]")]);
    cluster.settle();
    assert_eq!(answers(&mut cluster), [1, 1]);
}

#[test]
fn l2_036_a_named_interface_that_is_not_there_is_told_and_the_others_named_work() {
    let mut cluster = web(2, "interfaces: [foo]");
    assert_eq!(answers(&mut cluster), [0, 0]);
    assert_eq!(cluster.refusal("n1", VIP), Some(Reason::InterfaceNotFound));
    cluster.apply(&[advertisement("ad", "interfaces: [foo, eth1]")]);
    cluster.settle();
    assert_eq!(answers(&mut cluster), [0, 1]);
    assert_eq!(cluster.refusal("n1", VIP), None);
}

#[test]
fn l2_037_the_interfaces_of_several_advertisements_add_up_and_one_without_means_all_that_fit() {
    let mut cluster = web(2, "interfaces: [eth1]");
    cluster.apply(&[advertisement("more", "interfaces: [eth0]")]);
    cluster.settle();
    assert_eq!(answers(&mut cluster), [1, 1]);
    cluster.apply(&[advertisement("more", "")]);
    cluster.settle();
    assert_eq!(answers(&mut cluster), [1, 0], "eth0 is the one in the subnet");
    assert_eq!(cluster.intent("n1", VIP).unwrap().interfaces, InterfaceRule::OnLink);
}

#[test]
fn l2_038_only_the_advertisements_that_match_a_node_decide_its_interfaces() {
    let mut cluster = web(2, "nodeSelectors: [{matchLabels: {rack: a}}], interfaces: [eth0]");
    cluster.apply(&[advertisement("b", "nodeSelectors: [{matchLabels: {rack: b}}], interfaces: [eth1]")]);
    cluster.apply(&[node("n1", "labels: {rack: a}"), node("n2", "labels: {rack: b}")]);
    cluster.settle();
    assert_eq!(cluster.answering_on(0, VIP), ["n1"]);
    assert_eq!(cluster.answering_on(1, VIP), ["n2"], "each segment has its own election");
}

#[test]
fn l2_055_a_node_without_the_interface_does_not_keep_others_from_announcing() {
    let mut cluster = Cluster::bare(2);
    cluster.rewire("n1", links([link(0, 1)]));
    cluster.apply(&[advertisement("ad", "interfaces: [eth1]")]);
    let addresses: Vec<String> = (1..=12).map(|host| format!("192.0.2.{host}")).collect();
    for (number, address) in addresses.iter().enumerate() {
        cluster.apply(&served(&format!("web{number}"), "", address, &["n1"]));
    }
    cluster.settle();
    for address in &addresses {
        assert_eq!(cluster.answering_on(1, address), ["n2"], "also where n1 would come first");
    }
}

#[test]
fn l2_066_loopback_ports_of_bridges_and_what_knows_no_arp_carry_nothing_unless_the_bridge_does() {
    let eth0 = link(0, 1);
    for unfit in [
        Link { loopback: true, ..eth0.clone() },
        Link { resolves_neighbours: false, ..eth0.clone() },
        Link { mac: None, ..eth0.clone() },
        Link { master: Some(7), ..eth0.clone() },
    ] {
        for rule in ["", "interfaces: [eth0]"] {
            let mut cluster = web(1, rule);
            assert_eq!(cluster.answering(VIP), ["n1"]);
            cluster.rewire("n1", links([unfit.clone()]));
            assert_eq!(cluster.answering(VIP), [""; 0], "{rule}: {unfit:?}");
            assert_eq!(cluster.refusal("n1", VIP), Some(Reason::NoMatchingInterface), "{rule}: {unfit:?}");
        }
    }
    let mut cluster = web(1, "");
    let port = Link { master: Some(0), index: 5, name: "port5".into(), ..eth0.clone() };
    cluster.rewire("n1", links([eth0, port]));
    assert_eq!(cluster.answering(VIP), ["n1"], "the bridge itself");
}

#[test]
fn l2_066_an_interface_that_is_down_answers_nothing_and_does_again_when_it_is_up() {
    let mut cluster = web(2, "");
    let owner = cluster.owner(VIP);
    let number = if owner == "n1" { 1 } else { 2 };
    cluster.rewire(&owner, links([Link { up: false, ..link(0, number) }, link(1, number)]));
    cluster.settle();
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    cluster.rewire(&owner, links([link(0, number), link(1, number)]));
    cluster.settle();
    cluster.crash(&heir);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), owner);
}

#[test]
fn l2_069_an_interface_an_address_or_a_pool_that_goes_takes_its_announcements_along_and_no_others() {
    let mut cluster = web(1, "");
    let carries = |cluster: &mut Cluster, wire, address| !cluster.answering_on(wire, address).is_empty();
    assert!(carries(&mut cluster, 0, VIP) && carries(&mut cluster, 1, OTHER));
    cluster.rewire("n1", links([link(1, 1)]));
    assert!(!carries(&mut cluster, 0, VIP) && carries(&mut cluster, 1, OTHER));
    cluster.rewire("n1", links([link(0, 1), Link { addresses: Vec::new(), ..link(1, 1) }]));
    cluster.settle();
    assert!(carries(&mut cluster, 0, VIP) && !carries(&mut cluster, 1, OTHER));
    cluster.rewire("n1", links([]));
    assert_eq!(cluster.refusal("n1", VIP), Some(Reason::NoMatchingInterface));
    cluster.rewire("n1", links([link(0, 1), link(1, 1)]));
    cluster.settle();
    assert!(carries(&mut cluster, 0, VIP) && carries(&mut cluster, 1, OTHER));
    cluster.edit(|objects| objects.pools.clear());
    assert!(!carries(&mut cluster, 0, VIP) && !carries(&mut cluster, 1, OTHER));
}
