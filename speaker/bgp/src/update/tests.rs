// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! UPDATEs as bytes beside values, both ways; and what each wrong attribute costs.

mod errors;

use super::*;
use crate::{
    Attributes,
    length::HEADER_LEN,
    testing::{external, internal, old},
};

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn v4() -> Attributes {
    Attributes::new(NextHop::V4([10, 77, 0, 1].into()))
}

fn v6() -> Attributes {
    Attributes::new(NextHop::V6 { global: "fd77::1".parse().unwrap(), link_local: None })
}

const FD77_1: [u8; 16] = [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The body of the announcement of one prefix.
fn announced(session: &Negotiated, attributes: &Attributes, prefix: &str) -> Vec<u8> {
    let (prefixes, mut out) = (nets(&[prefix]), Vec::new());
    assert_eq!(encode::announce(&mut out, session, Family::of(&prefixes[0]), attributes, &prefixes), 1);
    out.split_off(HEADER_LEN)
}

fn read<'a>(body: &'a [u8], session: &Negotiated) -> Update<'a> {
    UpdateBody::new(body).read(session).unwrap()
}

/// A list of bytes with its length in two octets before it.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

#[test]
fn bgp_085_an_ipv4_route_to_another_autonomous_system_both_ways() {
    let body = announced(&external(), &v4(), "192.0.2.1/32");
    #[rustfmt::skip]
    let expected = [
        0, 0,                                   // nothing withdrawn
        0, 20,
        0x40, 1, 1, 0,                          // ORIGIN IGP
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9,     // AS_PATH 65001
        0x40, 3, 4, 10, 77, 0, 1,               // NEXT_HOP
        32, 192, 0, 2, 1,
    ];
    assert_eq!(body, expected);
    let update = read(&body, &external());
    assert_eq!(update.announced().collect::<Vec<_>>(), nets(&["192.0.2.1/32"]));
    assert_eq!((update.withdrawn().count(), update.fault(), update.end_of_rib()), (0, None, None));
    let attributes = update.attributes();
    assert_eq!(attributes.origin, Some(Origin::Igp));
    assert_eq!(attributes.next_hop, Some([10, 77, 0, 1].into()));
    assert!(attributes.as_path.unwrap().numbers().eq([65_001]));
}

#[test]
fn bgp_024_local_pref_is_sent_within_the_autonomous_system_and_to_no_other() {
    let attributes = Attributes { local_pref: Some(50), ..v4() };
    let body = announced(&internal(), &attributes, "192.0.2.1/32");
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 21,
        0x40, 1, 1, 0,
        0x40, 2, 0,                             // AS_PATH, empty
        0x40, 3, 4, 10, 77, 0, 1,
        0x40, 5, 4, 0, 0, 0, 50,                // LOCAL_PREF
        32, 192, 0, 2, 1,
    ];
    assert_eq!(body, expected);
    assert_eq!(read(&body, &internal()).attributes().local_pref, Some(50));
    let default = announced(&internal(), &v4(), "192.0.2.1/32");
    assert_eq!(read(&default, &internal()).attributes().local_pref, Some(100));
    assert_eq!(
        announced(&external(), &attributes, "192.0.2.1/32"),
        announced(&external(), &v4(), "192.0.2.1/32")
    );
}

#[test]
fn an_ipv6_route_both_ways() {
    // RFC 4760, section 3; RFC 2545, section 3; first of all attributes: RFC 7606, section 5.1.
    let body = announced(&external(), &v6(), "2001:db8::/32");
    #[rustfmt::skip]
    let expected = [
        &[0, 0, 0, 43,
        0x90, 14, 0, 26, 0, 2, 1, 16][..], &FD77_1, &[0, 32, 0x20, 0x01, 0x0d, 0xb8,
        0x40, 1, 1, 0,
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9],
    ]
    .concat();
    assert_eq!(body, expected);
    let update = read(&body, &external());
    assert_eq!(update.announced().collect::<Vec<_>>(), nets(&["2001:db8::/32"]));
    assert_eq!(update.reachable().unwrap().next_hop, v6().next_hop);
}

#[test]
fn bgp_071_a_route_with_a_link_local_next_hop_both_ways() {
    let link_local = Some("fe80::1".parse().unwrap());
    let next_hop = NextHop::V6 { global: "fd77::1".parse().unwrap(), link_local };
    for prefix in ["2001:db8::1/128", "192.0.2.1/32"] {
        let body = announced(&external(), &Attributes::new(next_hop), prefix);
        assert_eq!(body[4..8], [0x90, 14, 0, if prefix.contains('.') { 42 } else { 54 }]);
        let reachable = read(&body, &external()).reachable().unwrap();
        assert_eq!((reachable.next_hop, reachable.prefixes.len()), (next_hop, 1));
    }
}

#[test]
fn an_ipv4_route_over_an_ipv6_next_hop_both_ways() {
    // RFC 8950, section 3: AFI 1 in MP_REACH_NLRI, and no NEXT_HOP.
    let body = announced(&external(), &v6(), "192.0.2.1/32");
    #[rustfmt::skip]
    let expected = [
        &[0, 0, 0, 43,
        0x90, 14, 0, 26, 0, 1, 1, 16][..], &FD77_1, &[0, 32, 192, 0, 2, 1,
        0x40, 1, 1, 0,
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9],
    ]
    .concat();
    assert_eq!(body, expected);
    assert_eq!(read(&body, &external()).announced().collect::<Vec<_>>(), nets(&["192.0.2.1/32"]));
    let fault = UpdateBody::new(&body).read(&old()).unwrap_err();
    assert!(matches!(fault, Fault::Multiprotocol { .. }), "where nobody agreed on it");
}

#[test]
fn an_old_peer_gets_as_trans_and_as4_path() {
    // RFC 6793, section 4.2.2.
    let body = announced(&old(), &v4(), "192.0.2.1/32");
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 27,
        0x40, 1, 1, 0,
        0x40, 2, 4, 2, 1, 0x5b, 0xa0,           // AS_PATH 23456
        0x40, 3, 4, 10, 77, 0, 1,
        0xc0, 17, 6, 2, 1, 0xfa, 0x56, 0xea, 1, // AS4_PATH 4200000001
        32, 192, 0, 2, 1,
    ];
    assert_eq!(body, expected);
    let update = read(&body, &old());
    assert!(update.attributes().as_path.unwrap().numbers().eq([23_456]));
    assert!(update.attributes().as4_path.unwrap().numbers().eq([4_200_000_001]));
}

#[test]
fn bgp_023_communities_of_all_kinds_both_ways() {
    let attributes = Attributes {
        med: Some(7),
        communities: [Community::NO_EXPORT, Community::new(65_000, 100)].into(),
        extended_communities: [ExtendedCommunity([0, 2, 0xfd, 0xe9, 0, 0, 0, 1])].into(),
        large_communities: [LargeCommunity { global: 123, data1: 456, data2: 7_890 }].into(),
        ..v4()
    };
    let body = announced(&external(), &attributes, "192.0.2.1/32");
    #[rustfmt::skip]
    let expected = [
        0, 0, 0, 64,
        0x40, 1, 1, 0,
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9,
        0x40, 3, 4, 10, 77, 0, 1,
        0x80, 4, 4, 0, 0, 0, 7,                                         // MULTI_EXIT_DISC
        0xc0, 8, 8, 0xfd, 0xe8, 0, 100, 0xff, 0xff, 0xff, 0x01,         // COMMUNITIES (RFC 1997)
        0xc0, 16, 8, 0, 2, 0xfd, 0xe9, 0, 0, 0, 1,                      // EXTENDED COMMUNITIES (RFC 4360)
        0xc0, 32, 12, 0, 0, 0, 123, 0, 0, 1, 0xc8, 0, 0, 0x1e, 0xd2,    // LARGE_COMMUNITY (RFC 8092)
        32, 192, 0, 2, 1,
    ];
    assert_eq!(body, expected);
    let update = read(&body, &external());
    assert!(update.attributes().communities().eq(attributes.communities));
    assert!(update.attributes().extended_communities().eq(attributes.extended_communities));
    assert!(update.attributes().large_communities().eq(attributes.large_communities));
    assert_eq!(update.attributes().med, Some(7));
}

#[test]
fn bgp_033_many_communities_take_the_long_form_of_length() {
    let attributes = Attributes { communities: (0..200).map(Community).collect(), ..v4() };
    let body = announced(&external(), &attributes, "192.0.2.1/32");
    assert!(body.windows(4).any(|octets| octets == [0xd0, 8, 0x03, 0x20]), "flags, type, 800 octets");
    assert_eq!(read(&body, &external()).attributes().communities().count(), 200);
}

#[test]
fn withdrawals_both_ways() {
    let cases: [(&[&str], &[u8]); 2] = [
        (&["192.0.2.1/32", "10.0.0.0/8"], &[0, 7, 32, 192, 0, 2, 1, 8, 10, 0, 0]),
        (&["2001:db8::/32"], &[0, 0, 0, 12, 0x90, 15, 0, 8, 0, 2, 1, 32, 0x20, 0x01, 0x0d, 0xb8]),
    ];
    for (texts, expected) in cases {
        let (prefixes, mut out) = (nets(texts), Vec::new());
        let taken = encode::withdraw(&mut out, &external(), Family::of(&prefixes[0]), &prefixes);
        assert_eq!((taken, &out[HEADER_LEN..]), (prefixes.len(), expected));
        let update = read(&out[HEADER_LEN..], &external());
        assert_eq!(update.withdrawn().collect::<Vec<_>>(), prefixes);
        assert_eq!((update.announced().count(), update.end_of_rib()), (0, None));
    }
}

#[test]
fn end_of_rib_both_ways() {
    // RFC 4724, section 2.
    let cases: [(Family, &[u8]); 2] =
        [(Family::Ipv4Unicast, &[0, 0, 0, 0]), (Family::Ipv6Unicast, &[0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1])];
    for (family, expected) in cases {
        let mut out = Vec::new();
        encode::end_of_rib(&mut out, family);
        assert_eq!(&out[HEADER_LEN..], expected);
        assert_eq!(read(expected, &external()).end_of_rib(), Some(family));
    }
    // With the short length, and for IPv4 in the form of other families.
    assert_eq!(
        read(&[0, 0, 0, 6, 0x80, 15, 3, 0, 1, 1], &external()).end_of_rib(),
        Some(Family::Ipv4Unicast)
    );
    assert_eq!(read(&[0, 0, 0, 6, 0x80, 15, 3, 0, 1, 128], &external()).end_of_rib(), None, "not ours");
}

#[test]
fn routes_of_both_families_in_one_message_are_all_seen() {
    let reach = [&[0x80, 14, 26, 0, 2, 1, 16][..], &FD77_1, &[0, 32, 0x20, 0x01, 0x0d, 0xb8]].concat();
    let unreach = [0x80, 15, 5, 0, 2, 1, 8, 0xfd];
    let others = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea, 0x40, 3, 4, 10, 77, 0, 2];
    let list = counted(&[&unreach[..], &others, &reach].concat());
    let body = [&counted(&[8, 172])[..], &list, &[8, 10]].concat();
    let update = read(&body, &external());
    assert_eq!(update.announced().collect::<Vec<_>>(), nets(&["10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!(update.withdrawn().collect::<Vec<_>>(), nets(&["172.0.0.0/8", "fd00::/8"]));
}

#[test]
fn no_message_is_longer_than_agreed_and_every_route_is_in_one() {
    let extended = Negotiated { extended_message: true, ..external() };
    let prefixes: Vec<IpNet> =
        (0..30_000u32).map(|n| IpNet::new((0x0a00_0000 | n).to_be_bytes().into(), 32).unwrap()).collect();
    for (session, least, messages) in [(external(), 4_090, 38), (extended, 65_530, 3)] {
        for attributes in [v4(), v6()] {
            let (mut rest, mut count) = (&prefixes[..], 0);
            while !rest.is_empty() {
                let mut out = Vec::new();
                let taken = encode::announce(&mut out, &session, Family::Ipv4Unicast, &attributes, rest);
                assert!(out.len() <= session.max_len());
                assert!(out.len() >= least || taken == rest.len(), "{} octets", out.len());
                assert!(read(&out[HEADER_LEN..], &session).announced().eq(rest[..taken].iter().copied()));
                (rest, count) = (&rest[taken..], count + 1);
            }
            assert_eq!(count, messages);
        }
    }
}
