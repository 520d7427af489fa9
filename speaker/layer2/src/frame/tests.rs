// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Frames as bytes beside values, both ways; and what must be refused.

use proptest::{array, prelude::*};

use super::*;
use crate::mutation::mutated;

const OWN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x63]);
const VIP4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99);
const SOLICITED_NODE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x10);
const SOLICITED_NODE_MAC: MacAddr = MacAddr([0x33, 0x33, 0xff, 0, 0, 0x10]);

// Where fields stand in a frame.
const SOURCE_MAC: usize = 6;
const ETHER_TYPE: usize = 12;
const ARP: usize = 14;
const IPV6: usize = 14;
const ICMP: usize = IPV6 + 40;

#[rustfmt::skip]
const ARP_REQUEST: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x63, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x63, 192, 0, 2, 99,
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10,
];

#[rustfmt::skip]
const ARP_REPLY: &[u8] = &[
    0x02, 0, 0, 0, 0, 0x63, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 2,
    0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10,
    0x02, 0, 0, 0, 0, 0x63, 192, 0, 2, 99,
];

#[rustfmt::skip]
const ARP_ANNOUNCEMENT_REQUEST: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10,
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10,
];

#[rustfmt::skip]
const ARP_ANNOUNCEMENT_REPLY: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 2,
    0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10,
    0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10,
];

#[rustfmt::skip]
const ARP_PROBE: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10,
];

#[rustfmt::skip]
const SOLICITATION: &[u8] = &[
    0x33, 0x33, 0xff, 0, 0, 0x10, 0x02, 0, 0, 0, 0, 0x63, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 32, 58, 255,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x10,
    135, 0, 0x1b, 0x11, 0, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    1, 1, 0x02, 0, 0, 0, 0, 0x63,
];

#[rustfmt::skip]
const SOLICITATION_FROM_NOBODY: &[u8] = &[
    0x33, 0x33, 0xff, 0, 0, 0x10, 0x02, 0, 0, 0, 0, 0x63, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 24, 58, 255,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x10,
    135, 0, 0x4c, 0xcf, 0, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[rustfmt::skip]
const UNSOLICITED: &[u8] = &[
    0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 32, 58, 255,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    136, 0, 0xf9, 0x03, 0x20, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    2, 1, 0x02, 0, 0, 0, 0, 0x0a,
];

#[rustfmt::skip]
const SOLICITED: &[u8] = &[
    0x02, 0, 0, 0, 0, 0x63, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 32, 58, 255,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99,
    136, 0, 0x89, 0xb5, 0x60, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    2, 1, 0x02, 0, 0, 0, 0, 0x0a,
];

fn heard(frame: &[u8]) -> Heard {
    parse(frame).unwrap().unwrap()
}

/// The frame with other bytes at `position`.
fn changed(frame: &[u8], position: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[position..position + bytes.len()].copy_from_slice(bytes);
    frame
}

/// An ICMPv6 frame with other bytes at `position`, its length and checksum made right again.
fn changed_icmp(frame: &[u8], position: usize, bytes: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut frame = changed(frame, position, bytes);
    frame.extend(tail);
    let length = u16::try_from(frame.len() - ICMP).unwrap();
    frame[IPV6 + 4..IPV6 + 6].copy_from_slice(&length.to_be_bytes());
    frame[ICMP + 2..ICMP + 4].fill(0);
    let addresses = frame[IPV6 + 8..ICMP].to_vec();
    let mut sum = etherparse::checksum::Sum16BitWords::new();
    sum = sum.add_slice(&addresses).add_4bytes(u32::from(length).to_be_bytes()).add_2bytes([0, 58]);
    let checksum = sum.add_slice(&frame[ICMP..]).ones_complement();
    frame[ICMP + 2..ICMP + 4].copy_from_slice(&checksum.to_ne_bytes());
    frame
}

fn malformed(frame: &[u8]) -> &'static str {
    match parse(frame) {
        Err(Rejection::Malformed(why)) => why,
        other => panic!("read as {other:?}"),
    }
}

#[test]
fn an_arp_request_both_ways() {
    assert_eq!(arp::request(CLIENT, CLIENT4, VIP4), ARP_REQUEST);
    let request = heard(ARP_REQUEST);
    let dst = MacAddr::BROADCAST;
    assert_eq!(
        request,
        Heard::ArpRequest { sender_mac: CLIENT, sender_ip: CLIENT4, target: VIP4, src: CLIENT, dst }
    );
    assert_eq!(request.asked(), Some(VIP4.into()));
    assert_eq!(request.asserted(), Some((CLIENT4.into(), CLIENT)));
    assert_eq!(answer(&request, OWN).unwrap(), ARP_REPLY);
}

#[test]
fn an_arp_reply_both_ways() {
    assert_eq!(arp::reply(OWN, VIP4, CLIENT, CLIENT4), ARP_REPLY);
    let reply = heard(ARP_REPLY);
    let (target_mac, target_ip, dst) = (CLIENT, CLIENT4, CLIENT);
    assert_eq!(
        reply,
        Heard::ArpReply { sender_mac: OWN, sender_ip: VIP4, target_mac, target_ip, src: OWN, dst }
    );
    assert_eq!(reply.asked(), None);
    assert_eq!(reply.asserted(), Some((VIP4.into(), OWN)));
    assert_eq!(answer(&reply, OWN), None);
}

#[test]
fn an_ipv4_announcement_is_a_request_and_then_a_reply_to_oneself() {
    assert_eq!(announcement(OWN, VIP4.into()), [ARP_ANNOUNCEMENT_REQUEST, ARP_ANNOUNCEMENT_REPLY]);
    for frame in [ARP_ANNOUNCEMENT_REQUEST, ARP_ANNOUNCEMENT_REPLY] {
        assert_eq!(heard(frame).asked(), None);
        assert_eq!(heard(frame).asserted(), Some((VIP4.into(), OWN)));
        assert_eq!(answer(&heard(frame), CLIENT), None);
    }
}

#[test]
fn an_arp_probe_asks_without_asserting_and_is_answered() {
    assert_eq!(arp::probe(OWN, VIP4), ARP_PROBE);
    assert_eq!(heard(ARP_PROBE).asked(), Some(VIP4.into()));
    assert_eq!(heard(ARP_PROBE).asserted(), None);
    let defence = answer(&heard(ARP_PROBE), CLIENT).unwrap();
    assert_eq!(defence, arp::reply(CLIENT, VIP4, OWN, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn padding_after_an_arp_packet_is_ignored() {
    let mut padded = ARP_REQUEST.to_vec();
    padded.resize(60, 0xee);
    assert_eq!(heard(&padded), heard(ARP_REQUEST));
}

#[test]
fn arp_for_other_hardware_or_protocols_is_refused() {
    assert_eq!(malformed(&changed(ARP_REQUEST, ARP, &[0, 6])), "ARP for other hardware than Ethernet");
    assert_eq!(malformed(&changed(ARP_REQUEST, ARP + 2, &[8, 1])), "ARP for another protocol than IPv4");
    assert_eq!(malformed(&changed(ARP_REQUEST, ARP + 4, &[5])), "ARP hardware address not of 6 bytes");
    assert_eq!(malformed(&changed(ARP_REQUEST, ARP + 5, &[3])), "ARP protocol address not of 4 bytes");
    assert_eq!(parse(&changed(ARP_REQUEST, ARP + 4, &[7])), Err(Rejection::Truncated));
}

#[test]
fn arp_from_no_station_is_refused() {
    for mac in [[0xff; 6], [0; 6], [0x01, 0, 0x5e, 0, 0, 1]] {
        for position in [ARP + 8, SOURCE_MAC] {
            assert_eq!(malformed(&changed(ARP_REQUEST, position, &mac)), "hardware address of no station");
            assert_eq!(malformed(&changed(ARP_REPLY, position, &mac)), "hardware address of no station");
        }
    }
}

#[test]
fn arp_that_names_a_group_or_nobody_as_owner_is_refused() {
    for group in [[255; 4], [224, 0, 0, 1]] {
        assert_eq!(malformed(&changed(ARP_REPLY, ARP + 14, &group)), "ARP sender address of a group");
    }
    assert_eq!(malformed(&changed(ARP_REPLY, ARP + 14, &[0; 4])), "ARP reply for no address");
}

#[test]
fn an_ethernet_source_that_differs_from_the_arp_sender_is_carried() {
    let proxy = MacAddr([0x02, 0, 0, 0, 0, 0x77]);
    let frame = changed(ARP_REPLY, SOURCE_MAC, &proxy.0);
    assert!(matches!(heard(&frame), Heard::ArpReply { sender_mac: OWN, src, .. } if src == proxy));
}

#[test]
fn a_solicitation_both_ways() {
    assert_eq!(ndp::solicitation_for(CLIENT, CLIENT6, VIP6), SOLICITATION);
    let solicitation = heard(SOLICITATION);
    assert_eq!(
        solicitation,
        Heard::NeighborSolicitation {
            sender_mac: CLIENT,
            source: CLIENT6,
            source_link_layer: Some(CLIENT),
            target: VIP6,
            dst_mac: SOLICITED_NODE_MAC,
            dst_ip: SOLICITED_NODE,
        }
    );
    assert_eq!(solicitation.asked(), Some(VIP6.into()));
    assert_eq!(solicitation.asserted(), Some((CLIENT6.into(), CLIENT)));
    assert_eq!(answer(&solicitation, OWN).unwrap(), SOLICITED);
}

#[test]
fn a_solicitation_from_nobody_is_answered_to_all_nodes() {
    assert_eq!(ndp::probe(CLIENT, VIP6), SOLICITATION_FROM_NOBODY);
    let solicitation = heard(SOLICITATION_FROM_NOBODY);
    assert_eq!(solicitation.asked(), Some(VIP6.into()));
    assert_eq!(solicitation.asserted(), None);
    assert_eq!(answer(&solicitation, OWN).unwrap(), UNSOLICITED);
}

#[test]
fn a_solicitation_without_its_option_is_answered_to_the_stations_own_address() {
    let unicast = changed_icmp(&SOLICITATION[..ICMP + 24], IPV6 + 24, &VIP6.octets(), &[]);
    assert!(matches!(heard(&unicast), Heard::NeighborSolicitation { source_link_layer: None, .. }));
    assert_eq!(heard(&unicast).asserted(), None);
    assert_eq!(answer(&heard(&unicast), OWN).unwrap(), SOLICITED);
}

#[test]
fn advertisements_both_ways() {
    assert_eq!(announcement(OWN, VIP6.into()), [UNSOLICITED]);
    assert_eq!(ndp::answer(OWN, VIP6, CLIENT, CLIENT6), SOLICITED);
    for (frame, solicited) in [(UNSOLICITED, false), (SOLICITED, true)] {
        let advertisement = heard(frame);
        assert_eq!(
            advertisement,
            Heard::NeighborAdvertisement {
                sender_mac: OWN,
                source: VIP6,
                target: VIP6,
                target_link_layer: Some(OWN),
                solicited,
                override_flag: true,
            }
        );
        assert_eq!(advertisement.asserted(), Some((VIP6.into(), OWN)));
        assert_eq!(answer(&advertisement, OWN), None);
    }
}

#[test]
fn neighbour_discovery_over_a_router_is_refused() {
    assert_eq!(parse(&changed(SOLICITATION, IPV6 + 7, &[254])), Err(Rejection::HopLimit(254)));
    assert_eq!(parse(&changed(UNSOLICITED, IPV6 + 7, &[0])), Err(Rejection::HopLimit(0)));
}

#[test]
fn any_flipped_bit_that_the_checksum_covers_is_noticed() {
    for (position, original) in SOLICITED.iter().enumerate().skip(IPV6 + 8) {
        for bit in 0..8 {
            let byte = original ^ (1 << bit);
            let result = parse(&changed(SOLICITED, position, &[byte]));
            if position == ICMP {
                assert!(matches!(result, Ok(None) | Err(Rejection::BadChecksum)), "{result:?}");
            } else {
                assert_eq!(result, Err(Rejection::BadChecksum), "bit {bit} of byte {position}");
            }
        }
    }
}

#[test]
fn neighbour_discovery_that_breaks_rfc_4861_section_7_1_is_refused() {
    let code = changed_icmp(SOLICITATION, ICMP + 1, &[1], &[]);
    assert_eq!(malformed(&code), "neighbour discovery with a code");
    let short = changed_icmp(&SOLICITATION[..ICMP + 23], ICMP, &[], &[]);
    assert_eq!(malformed(&short), "no target address");
    let group = changed_icmp(SOLICITATION, ICMP + 8, &SOLICITED_NODE.octets(), &[]);
    assert_eq!(malformed(&group), "target is a group");
    let empty_option = changed_icmp(SOLICITATION, ICMP + 25, &[0], &[]);
    assert_eq!(malformed(&empty_option), "broken option");
    let cut_option = changed_icmp(SOLICITATION, ICMP + 25, &[2], &[]);
    assert_eq!(malformed(&cut_option), "broken option");
    let from_group = changed_icmp(SOLICITATION, IPV6 + 8, &SOLICITED_NODE.octets(), &[]);
    assert_eq!(malformed(&from_group), "source is a group");
    let answer_to_all = changed_icmp(UNSOLICITED, ICMP + 4, &[0x60], &[]);
    assert_eq!(malformed(&answer_to_all), "solicited advertisement to a group");
    let from_nobody = changed_icmp(UNSOLICITED, IPV6 + 8, &[0; 16], &[]);
    assert_eq!(malformed(&from_nobody), "advertisement from nobody");
    let elsewhere = changed_icmp(SOLICITATION_FROM_NOBODY, IPV6 + 24, &VIP6.octets(), &[]);
    assert_eq!(malformed(&elsewhere), "solicitation from nobody to other than a solicited-node group");
    let with_option = changed_icmp(SOLICITATION, IPV6 + 8, &[0; 16], &[]);
    assert_eq!(malformed(&with_option), "solicitation from nobody with a link-layer address");
}

#[test]
fn link_layer_options_must_name_a_station_in_six_bytes() {
    let broadcast = changed_icmp(SOLICITATION, ICMP + 26, &[0xff; 6], &[]);
    assert_eq!(malformed(&broadcast), "hardware address of no station");
    let long = changed_icmp(SOLICITATION, ICMP + 25, &[2], &[0; 8]);
    assert_eq!(malformed(&long), "link-layer address not of 6 bytes");
}

#[test]
fn options_that_do_not_concern_us_are_skipped() {
    let nonce = changed_icmp(SOLICITATION, 0, &[], &[14, 1, 1, 2, 3, 4, 5, 6]);
    assert_eq!(heard(&nonce), heard(SOLICITATION));
}

#[test]
fn an_ipv6_packet_longer_than_its_frame_is_refused() {
    assert_eq!(parse(&SOLICITATION[..SOLICITATION.len() - 1]), Err(Rejection::Truncated));
    assert_eq!(parse(&SOLICITATION[..IPV6 + 39]), Err(Rejection::Truncated));
    assert_eq!(parse(&SOLICITATION[..13]), Err(Rejection::Truncated));
    assert_eq!(malformed(&changed(SOLICITATION, IPV6, &[0x40])), "IPv6 packet of another version");
}

#[test]
fn frames_of_no_concern_are_passed_over() {
    let vlan = changed(ARP_REQUEST, ETHER_TYPE, &[0x81, 0]);
    let ipv4 = changed(ARP_REQUEST, ETHER_TYPE, &[0x08, 0]);
    let reverse_arp = changed(ARP_REQUEST, ARP + 6, &[0, 3]);
    let udp = changed(SOLICITATION, IPV6 + 6, &[17]);
    let router_solicitation = changed(SOLICITATION, ICMP, &[133]);
    for frame in [vlan, ipv4, reverse_arp, udp, router_solicitation] {
        assert_eq!(parse(&frame), Ok(None), "{frame:02x?}");
    }
}

#[test]
fn no_frame_makes_the_parser_panic() {
    let mut random = fastrand::Rng::with_seed(3);
    let frames =
        [ARP_REQUEST, ARP_REPLY, ARP_PROBE, SOLICITATION, SOLICITATION_FROM_NOBODY, UNSOLICITED, SOLICITED];
    let mut understood = 0;
    for _ in 0..500_000 {
        let mut frame = mutated(&mut random, &frames);
        if let Ok(Some(heard)) = parse(&frame) {
            understood += 1;
            assert!(heard.asked().is_none() || answer(&heard, OWN).is_some());
        }
        // Again with its length and checksum made right, to come past them.
        if frame.len() >= ICMP + 4 && frame[ETHER_TYPE..].starts_with(&[0x86, 0xdd]) {
            frame = changed_icmp(&frame, 0, &[], &[]);
            understood += usize::from(matches!(parse(&frame), Ok(Some(_))));
        }
    }
    assert!(understood > 100_000, "only {understood} were understood");
}

proptest! {
    #[test]
    fn questions_and_answers_survive_the_wire(
        own: u32, peer: u32, v4 in array::uniform2(0x0b00_0000_u32..0xdf00_0000), v6 in array::uniform2(any::<u64>()),
    ) {
        let station = |n: u32| {
            let [a, b, c, d] = n.to_be_bytes();
            MacAddr([0x02, 1, a, b, c, d])
        };
        let (own, peer) = (station(own), station(peer));
        let [vip4, peer4] = v4.map(Ipv4Addr::from);
        let [vip6, peer6] = v6.map(|low| Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(low)));
        prop_assume!(vip4 != peer4);
        let cases: [(IpAddr, IpAddr, _); 2] = [
            (vip4.into(), peer4.into(), arp::request(peer, peer4, vip4)),
            (vip6.into(), peer6.into(), ndp::solicitation_for(peer, peer6, vip6)),
        ];
        for (vip, asker, question) in cases {
            let question = heard(&question);
            prop_assert_eq!(question.asked(), Some(vip));
            prop_assert_eq!(question.asserted(), Some((asker, peer)));
            let reply = answer(&question, own).unwrap();
            prop_assert_eq!(&reply[..6], &peer.0);
            prop_assert_eq!(heard(&reply).asserted(), Some((vip, own)));
            for frame in announcement(own, vip) {
                prop_assert_eq!(heard(&frame).asserted(), Some((vip, own)));
            }
        }
    }
}
