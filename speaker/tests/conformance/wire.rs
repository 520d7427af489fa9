// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The frames that clients see.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ferrolb_layer2::frame::{arp, ndp};
use ferrolb_layer2::{Heard, MacAddr};
use ferrolb_speaker::datapath::Protocol;

use crate::cluster::{Cluster, FAILOVER, MS, Said, ip};
use crate::manifests::{endpoints, grouped, ipv6_endpoints, served, service, vip};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 14]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const CLIENT_IP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe);

/// Both families of a Service, carried by one of the nodes.
fn dual(nodes: u8) -> Cluster {
    let mut cluster = Cluster::of(nodes);
    cluster.apply(&[service("web", ""), endpoints("web", &["n1"]), ipv6_endpoints("web", &["n1"])]);
    cluster.apply(&[VIP, VIP6].map(|address| grouped(address, &["web"], "web")));
    cluster.settle();
    cluster
}

fn mac(node: &str) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, node[1..].parse().unwrap()])
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// With another Ethernet destination.
fn sent_to(MacAddr(mac): MacAddr, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

/// The announcements of the address since then: what everybody is told unasked.
fn announcements(cluster: &Cluster, address: &str, since: Duration) -> Vec<Said> {
    let is_announcement = |said: &&Said| match said.heard {
        Heard::ArpRequest { sender_ip, target, .. } => {
            sender_ip == target && IpAddr::V4(target) == ip(address)
        }
        Heard::ArpReply { sender_ip, target_ip, .. } => {
            sender_ip == target_ip && IpAddr::V4(target_ip) == ip(address)
        }
        Heard::NeighborAdvertisement { target, solicited, .. } => {
            !solicited && IpAddr::V6(target) == ip(address)
        }
        Heard::NeighborSolicitation { .. } => false,
    };
    cluster.said().iter().filter(|said| said.at >= since).filter(is_announcement).copied().collect()
}

#[test]
fn l2_060_only_questions_for_what_is_carried_that_are_meant_for_all_or_for_us_are_answered() {
    let mut cluster = dual(1);
    let owner = mac(&cluster.owner(VIP));
    let question = |address: &str| arp::request(CLIENT, CLIENT_IP, v4(address));
    let mut answers = |frame: Vec<u8>| cluster.exchange(0, frame).len();
    assert_eq!(answers(question(VIP)), 1, "to everybody");
    assert_eq!(answers(sent_to(owner, question(VIP))), 1, "to us");
    assert_eq!(answers(sent_to(MacAddr([2, 0, 0, 0, 0, 99]), question(VIP))), 0, "to somebody else");
    assert_eq!(answers(question("192.0.2.101")), 0, "for another address");
    assert_eq!(answers(arp::reply(CLIENT, CLIENT_IP, owner, v4(VIP))), 0, "no question");
    assert_eq!(answers(vec![0; 60]), 0, "nothing of the kind");
}

#[test]
fn l2_061_a_new_address_is_announced_at_once_and_again_within_seconds() {
    let mut cluster = dual(2);
    let owner = cluster.owner(VIP);
    let begin = cluster.elapsed();
    cluster.crash(&owner);
    cluster.pass(Duration::from_secs(8));
    let heir = mac(&cluster.owner(VIP));
    let answered = begin + FAILOVER;
    for (address, least) in [(VIP, 6), (VIP6, 3)] {
        let told = announcements(&cluster, address, begin);
        assert!(told.first().is_some_and(|said| said.at < answered), "{address}: {told:?}");
        let within = told.iter().filter(|said| said.at < answered + Duration::from_secs(5)).count();
        assert!(within >= least, "{address}: {within}");
        assert!(told.iter().all(|said| said.mac == heir), "{address}");
    }
}

#[test]
fn l2_062_an_ipv4_address_is_announced_in_both_forms_of_arp() {
    let mut cluster = dual(2);
    let owner = mac(&cluster.owner(VIP));
    let told = announcements(&cluster, VIP, Duration::ZERO);
    let (mut requests, mut replies) = (0, 0);
    for said in &told {
        match said.heard {
            Heard::ArpRequest { sender_mac, dst, .. } => {
                assert_eq!((sender_mac, dst), (owner, MacAddr::BROADCAST));
                requests += 1;
            }
            // Linux believes a fresh entry's change only if the target's MAC is the sender's.
            Heard::ArpReply { sender_mac, target_mac, dst, .. } => {
                assert_eq!((sender_mac, target_mac, dst), (owner, owner, MacAddr::BROADCAST));
                replies += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(requests >= 2 && replies >= 2, "{told:?}");
}

#[test]
fn l2_063_after_a_move_the_new_holder_announces_and_the_old_one_keeps_silent() {
    let mut cluster = dual(2);
    let owner = cluster.owner(VIP);
    let begin = cluster.elapsed();
    cluster.drain(&owner);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    for address in [VIP, VIP6] {
        let told = announcements(&cluster, address, begin);
        let stations: BTreeSet<MacAddr> = told.iter().map(|said| said.mac).collect();
        assert_eq!(stations, [mac(&heir)].into(), "{address}");
    }
}

#[test]
fn l2_065_a_shared_address_is_answered_for_until_its_last_service_goes() {
    let mut cluster = Cluster::of(2);
    cluster.apply(&served("one", "", VIP, &["n1"]));
    cluster.apply(&[service("two", "ports: [{port: 81}]"), endpoints("two", &["n1"])]);
    cluster.apply(&[vip(VIP, &["one", "two"])]);
    cluster.settle();
    let owner = cluster.owner(VIP);
    cluster.delete_service("one");
    cluster.apply(&[vip(VIP, &["two"])]);
    assert_eq!(cluster.owner(VIP), owner);
    cluster.delete_service("two");
    cluster.release(VIP);
    assert_eq!(cluster.answering(VIP), [""; 0]);
}

#[test]
fn l2_067_an_unsolicited_advertisement_names_the_station_and_replaces_what_was_known() {
    let mut cluster = dual(2);
    let owner = mac(&cluster.owner(VIP6));
    let told = announcements(&cluster, VIP6, Duration::ZERO);
    assert!(!told.is_empty());
    for said in told {
        let Heard::NeighborAdvertisement {
            sender_mac,
            source,
            target,
            target_link_layer,
            solicited,
            override_flag,
        } = said.heard
        else {
            panic!("{said:?}")
        };
        assert_eq!((sender_mac, target_link_layer), (owner, Some(owner)));
        assert_eq!((source, target), (v6(VIP6), v6(VIP6)));
        assert!(override_flag && !solicited);
    }
}

#[test]
fn l2_070_tcp_and_udp_ports_of_one_service_are_both_led_in() {
    let mut cluster = Cluster::of(1);
    let ports = "ports: [{name: a, port: 53, protocol: TCP}, {name: b, port: 53, protocol: UDP}]";
    let slice = endpoints("dns", &["n1"]).replace(
        "{port: 8080}",
        "{name: a, port: 5353, protocol: TCP}, {name: b, port: 5353, protocol: UDP}",
    );
    cluster.apply(&[service("dns", ports), slice, vip(VIP, &["dns"])]);
    let data_path = cluster.data_path("n1");
    let led: Vec<_> = data_path
        .ports
        .iter()
        .map(|(port, backends)| (port.protocol, port.port.get(), backends.endpoints.len()))
        .collect();
    assert_eq!(led, [(Protocol::Tcp, 53, 1), (Protocol::Udp, 53, 1)]);
}

#[test]
fn l2_073_solicitations_are_answered_whether_sent_to_the_group_or_to_us_and_by_nobody_else() {
    let mut cluster = dual(2);
    let owner = mac(&cluster.owner(VIP6));
    let question = ndp::solicitation_for(CLIENT, CLIENT_IP6, v6(VIP6));
    for frame in [question.clone(), sent_to(owner, question)] {
        let answers = cluster.exchange(0, frame);
        let [
            Said {
                mac,
                heard: Heard::NeighborAdvertisement { target, target_link_layer, solicited, .. },
                ..
            },
        ] = answers[..]
        else {
            panic!("{answers:?}")
        };
        assert_eq!((mac, target, target_link_layer, solicited), (owner, v6(VIP6), Some(owner), true));
    }
    cluster.pass(MS * 10);
    let probe = ndp::probe(CLIENT, v6(VIP6));
    assert_eq!(
        cluster.exchange(0, probe).len(),
        1,
        "so that a newcomer does not take the address for itself"
    );
}
