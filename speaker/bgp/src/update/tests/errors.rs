// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What each wrong attribute costs (RFC 7606): nothing but itself, the routes, or the session.

use super::*;
use crate::notification::Code;

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 10, 77, 0, 2];
const ROUTE: &[u8] = &[32, 192, 0, 2, 1];

/// What becomes of an UPDATE.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Discarded,
    Withdrawn,
    Ended(Code),
}

use Outcome::*;

fn body(attributes: &[&[u8]], routes: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &counted(&attributes.concat()), routes].concat()
}

fn outcome_of(body: &[u8], session: &Negotiated) -> Outcome {
    match UpdateBody::new(body).read(session) {
        Err(fault) => Ended(fault.notification().code()),
        Ok(update) if update.fault().is_some() => {
            assert_eq!(update.announced().count(), 0);
            assert!(update.withdrawn().count() > 0);
            Withdrawn
        }
        Ok(update) if !update.discarded().is_empty() => Discarded,
        Ok(_) => Right,
    }
}

/// What becomes of a route with this attribute beside those it must have.
fn beside(attribute: &[u8], session: &Negotiated) -> Outcome {
    outcome_of(&body(&[ORIGIN, AS_PATH, NEXT_HOP, attribute], ROUTE), session)
}

#[test]
fn every_attribute_with_a_wrong_value_costs_what_section_7_says() {
    let cases: [(&str, &[u8], Outcome); 21] = [
        ("MULTI_EXIT_DISC", &[0x80, 4, 3, 0, 0, 0], Withdrawn),
        ("LOCAL_PREF of a stranger", &[0x40, 5, 4, 0, 0, 0, 1], Discarded),
        ("ATOMIC_AGGREGATE", &[0x40, 6, 1, 0], Discarded),
        ("AGGREGATOR of two octets", &[0xc0, 7, 6, 0, 1, 1, 2, 3, 4], Discarded),
        ("AGGREGATOR", &[0xc0, 7, 8, 0, 0, 0, 1, 1, 2, 3, 4], Right),
        ("COMMUNITIES", &[0xc0, 8, 5, 0, 1, 0, 1, 0], Withdrawn),
        ("no COMMUNITIES", &[0xc0, 8, 0], Withdrawn),
        ("ORIGINATOR_ID of a stranger", &[0x80, 9, 4, 1, 2, 3, 4], Discarded),
        ("CLUSTER_LIST of a stranger", &[0x80, 10, 4, 1, 2, 3, 4], Discarded),
        ("EXTENDED COMMUNITIES", &[0xc0, 16, 7, 0, 2, 0, 1, 0, 0, 0], Withdrawn),
        ("AS4_PATH nobody needs", &[0xc0, 17, 6, 2, 1, 0, 0, 0, 1], Discarded),
        ("AS4_AGGREGATOR nobody needs", &[0xc0, 18, 8, 0, 0, 0, 1, 1, 2, 3, 4], Discarded),
        ("IPv6 EXTENDED COMMUNITIES", &[0xc0, 25, 8, 0, 2, 0, 1, 0, 0, 0, 0], Withdrawn),
        ("LARGE_COMMUNITY", &[0xc0, 32, 8, 0, 0, 0, 1, 0, 0, 0, 2], Withdrawn),
        ("no LARGE_COMMUNITY", &[0xc0, 32, 0], Withdrawn),
        ("unknown and optional", &[0xe0, 200, 3, 1, 2, 3], Right),
        ("unknown and well-known", &[0x40, 200, 1, 0], Withdrawn),
        ("long length of a short value", &[0x90, 4, 0, 4, 0, 0, 0, 9], Right),
        ("ORIGIN twice", &[0x40, 1, 1, 7], Discarded),
        ("beyond the list", &[0x80, 4, 4, 0], Withdrawn),
        ("a flag alone", &[0x80], Withdrawn),
    ];
    for (name, attribute, expected) in cases {
        assert_eq!(beside(attribute, &external()), expected, "{name}");
    }
}

#[test]
fn attributes_within_the_autonomous_system_count() {
    let cases: [(&[u8], Outcome); 6] = [
        (&[0x40, 5, 4, 0, 0, 0, 1], Right),
        (&[0x40, 5, 2, 0, 1], Withdrawn),
        (&[0x80, 9, 4, 1, 2, 3, 4], Right),
        (&[0x80, 9, 5, 1, 2, 3, 4, 5], Withdrawn),
        (&[0x80, 10, 8, 1, 2, 3, 4, 5, 6, 7, 8], Right),
        (&[0x80, 10, 0], Withdrawn),
    ];
    for (attribute, expected) in cases {
        assert_eq!(beside(attribute, &internal()), expected, "{attribute:?}");
    }
}

#[test]
fn an_old_peers_attributes_have_their_own_lengths() {
    let old_path: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xea];
    let beside =
        |attribute: &[u8]| outcome_of(&body(&[ORIGIN, old_path, NEXT_HOP, attribute], ROUTE), &old());
    assert_eq!(beside(&[0xc0, 7, 6, 0, 1, 1, 2, 3, 4]), Right);
    assert_eq!(beside(&[0xc0, 7, 8, 0, 0, 0, 1, 1, 2, 3, 4]), Discarded);
    assert_eq!(beside(&[0xc0, 17, 6, 2, 1, 0, 0, 0, 1]), Right);
    assert_eq!(beside(&[0xc0, 17, 5, 2, 1, 0, 0, 0]), Discarded);
    assert_eq!(beside(&[0xc0, 18, 7, 0, 0, 0, 1, 1, 2, 3]), Discarded);
}

#[test]
fn mandatory_attributes_that_are_wrong_or_missing_cost_the_routes() {
    let withdrawn: [&[&[u8]]; 13] = [
        // RFC 9774, section 3.
        &[ORIGIN, &[0x40, 2, 6, 1, 1, 0, 0, 0, 1], NEXT_HOP],
        &[&[0x40, 1, 1, 3], AS_PATH, NEXT_HOP],
        &[&[0x40, 1, 2, 0, 0], AS_PATH, NEXT_HOP],
        &[&[0xc0, 1, 1, 0], AS_PATH, NEXT_HOP],
        &[ORIGIN, &[0x40, 2, 6, 5, 1, 0, 0, 0, 1], NEXT_HOP],
        &[ORIGIN, &[0x40, 2, 6, 3, 1, 0, 0, 0, 1], NEXT_HOP],
        &[ORIGIN, &[0x40, 2, 5, 2, 1, 0, 0, 0], NEXT_HOP],
        &[ORIGIN, &[0x40, 2, 2, 2, 0], NEXT_HOP],
        &[ORIGIN, &[0x40, 2, 7, 2, 1, 0, 0, 0, 1, 2], NEXT_HOP],
        &[ORIGIN, AS_PATH, &[0x40, 3, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
        &[AS_PATH, NEXT_HOP],
        &[ORIGIN, NEXT_HOP],
        &[ORIGIN, AS_PATH],
    ];
    for attributes in withdrawn {
        assert_eq!(outcome_of(&body(attributes, ROUTE), &external()), Withdrawn, "{attributes:?}");
    }
    assert_eq!(outcome_of(&body(&[ORIGIN, AS_PATH, NEXT_HOP], ROUTE), &external()), Right);
}

fn reach(family: [u8; 3], next_hop: &[u8], routes: &[u8]) -> Vec<u8> {
    let value = [&family, &[next_hop.len() as u8][..], next_hop, &[0], routes].concat();
    [&[0x80, 14, value.len() as u8], &value[..]].concat()
}

#[test]
fn routes_that_cannot_be_told_cost_the_session() {
    let next_hop = &FD77_1;
    let multiprotocol = |attribute: &[u8]| outcome_of(&body(&[attribute, ORIGIN, AS_PATH], &[]), &external());
    let list = Ended(Code::MALFORMED_ATTRIBUTE_LIST);
    let optional = Ended(Code::OPTIONAL_ATTRIBUTE_ERROR);
    let network = Ended(Code::INVALID_NETWORK_FIELD);

    assert_eq!(multiprotocol(&reach([0, 2, 1], next_hop, &[0])), Right);
    assert_eq!(multiprotocol(&reach([0, 2, 1], next_hop, &[129])), network);
    assert_eq!(multiprotocol(&reach([0, 2, 1], next_hop, &[64, 0])), network);
    for length in [0, 4, 15, 17, 24, 31, 33] {
        assert_eq!(multiprotocol(&reach([0, 2, 1], &vec![1; length], &[0])), optional, "{length}");
    }
    assert_eq!(multiprotocol(&[0x80, 14, 4, 0, 2, 1, 16]), optional);
    assert_eq!(multiprotocol(&[0x80, 15, 2, 0, 2]), optional);
    assert_eq!(multiprotocol(&[0x80, 15, 5, 0, 2, 1, 130, 0]), network);
    let twice = [reach([0, 2, 1], next_hop, &[0]), reach([0, 2, 1], next_hop, &[0])].concat();
    assert_eq!(multiprotocol(&twice), list);
    assert_eq!(outcome_of(&body(&[ORIGIN, &[0x80, 14, 99, 0, 2, 1]], ROUTE), &external()), optional);

    assert_eq!(outcome_of(&body(&[ORIGIN, AS_PATH, NEXT_HOP], &[33, 1, 2, 3, 4, 5]), &external()), network);
    assert_eq!(outcome_of(&[0, 3, 24, 1, 2, 0, 0], &external()), network);
    for broken in [&[0, 0, 0][..], &[0, 5, 0, 0], &[0, 0, 0, 1], &[0, 0, 0xff, 0xff]] {
        assert_eq!(outcome_of(broken, &external()), list, "{broken:?}");
    }
}

#[test]
fn routes_of_strange_families_are_passed_over() {
    let vpn = reach([0, 1, 128], &[0; 12], &[88, 1, 2, 3]);
    assert_eq!(outcome_of(&body(&[&vpn, ORIGIN, AS_PATH], &[]), &external()), Right);
    let read = body(&[&vpn, ORIGIN, AS_PATH], &[]);
    let update = super::read(&read, &external());
    assert_eq!((update.announced().count(), update.end_of_rib()), (0, None));
    let unreachable = [0x80, 15, 7, 0, 25, 70, 1, 2, 3, 4];
    assert_eq!(outcome_of(&body(&[&unreachable], &[]), &external()), Right);
}

#[test]
fn a_wrong_attribute_without_routes_costs_the_session() {
    // RFC 7606, section 5.2: the routes may be what is broken.
    let wrong: &[u8] = &[0x40, 1, 1, 9];
    let list = Ended(Code::MALFORMED_ATTRIBUTE_LIST);
    assert_eq!(outcome_of(&body(&[wrong], &[]), &external()), list);
    assert_eq!(outcome_of(&body(&[wrong, &[0x80, 15, 4, 0, 2, 1, 0]], &[]), &external()), list);
    let discarded: &[u8] = &[0x40, 6, 1, 0];
    assert_eq!(outcome_of(&body(&[discarded], &[]), &external()), Discarded);
}

#[test]
fn the_worst_error_counts() {
    let wrong_origin: &[u8] = &[0x40, 1, 1, 9];
    let wrong_unreachable: &[u8] = &[0x80, 15, 2, 0, 2];
    let ended = outcome_of(&body(&[wrong_origin, AS_PATH, NEXT_HOP, wrong_unreachable], ROUTE), &external());
    assert_eq!(ended, Ended(Code::OPTIONAL_ATTRIBUTE_ERROR));
    let body = body(&[wrong_origin, AS_PATH, NEXT_HOP, &[0x40, 6, 1, 0]], ROUTE);
    let update = super::read(&body, &external());
    assert_eq!(update.discarded().len(), 1);
    let fault = update.fault().unwrap();
    assert_eq!(fault.to_string(), "ORIGIN has an undefined value; its routes count as withdrawn");
}

#[test]
fn what_a_peer_repeats_is_noted_once() {
    let many = [0x40, 6, 1, 0].repeat(900);
    let body = body(&[ORIGIN, AS_PATH, NEXT_HOP, &many], ROUTE);
    assert_eq!(super::read(&body, &external()).discarded().len(), 1);
}
