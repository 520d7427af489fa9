// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Hellos as bytes beside values, both ways; and what must be refused.

use proptest::{array, collection, prelude::*};

use super::*;
use crate::mutation::mutated;

const SECRET: &[u8] = b"a key of the packet tests";

fn keys() -> KeyRing {
    KeyRing::from_bytes(SECRET, None).unwrap()
}

fn incarnation(number: u64) -> Incarnation {
    Incarnation::new(number).unwrap()
}

fn claim(group: u64, term: u64) -> Claim {
    Claim { group: GroupId(group), term: Term(term) }
}

fn idle() -> Hello {
    Hello {
        cluster: ClusterId(0xc1c2_c3c4_c5c6_c7c8),
        node: NodeId([0x11; 16]),
        incarnation: incarnation(0x2122_2324_2526_2728),
        seq: 5,
        interval: Duration::from_millis(75),
        dead: Duration::from_millis(275),
        flags: Flags::default(),
        owned: 0,
        digest: Digest::EMPTY,
        slice: Slice::WHOLE,
        claims: UpTo::new(),
        deltas: UpTo::new(),
        echoes: UpTo::new(),
    }
}

fn busy() -> Hello {
    let digest =
        [0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];
    Hello {
        seq: 0x3132_3334_3536_3738,
        flags: Flags { draining: true, ask: true, ..Flags::default() },
        owned: 100,
        digest: Digest::from_bytes(digest),
        slice: Slice::new(2, 3).unwrap(),
        claims: UpTo::first_of([claim(0x41, 7), claim(0x42, 8)]),
        deltas: UpTo::first_of([
            Delta::Claim(claim(0x41, 7)),
            Delta::Resign(claim(0x43, 1)),
            Delta::HandOver { claim: claim(0x42, 8), to: NodeId([0x22; 16]) },
        ]),
        echoes: UpTo::first_of([Echo {
            incarnation: incarnation(0x51),
            seq: 0x52,
            age: Duration::from_millis(20),
        }]),
        ..idle()
    }
}

#[rustfmt::skip]
const IDLE: &[u8] = &[
    b'F', b'L', b'B', b'h', 2,                          // magic, version
    0x9f, 0x17,                                         // key id
    0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,     // cluster
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
    0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,     // incarnation
    0, 0, 0, 0, 0, 0, 0, 5,                             // seq
    0, 75, 0x01, 0x13,                                  // interval, dead
    0,                                                  // flags
    0, 0, 0, 0,                                         // owned
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,     // digest
    0, 0, 0, 1,                                         // slice
    0, 0, 0,                                            // counts
    0x84, 0x9a, 0x72, 0x6b, 0x3e, 0xd1, 0xe0, 0xd9, 0xca, 0x57, 0xf9, 0x4c, 0x07, 0x29, 0x3e, 0xd6,
];

#[rustfmt::skip]
const BUSY: &[u8] = &[
    b'F', b'L', b'B', b'h', 2, 0x9f, 0x17,
    0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
    0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
    0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
    0, 75, 0x01, 0x13,
    0b1001,                                             // draining, ask
    0, 0, 0, 100,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0, 2, 0, 3,                                         // slice 2 of 3
    2, 3, 1,                                            // counts
    0, 0, 0, 0, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0, 7,  // claims
    0, 0, 0, 0, 0, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 8,
    1, 0, 0, 0, 0, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0, 7,
    2, 0, 0, 0, 0, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0, 1,
    3, 0, 0, 0, 0, 0, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 8,
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
    0, 0, 0, 0, 0, 0, 0, 0x51, 0, 0, 0, 0, 0, 0, 0, 0x52, 0, 20,
    0xa7, 0x9c, 0x4a, 0x49, 0x99, 0xef, 0xc1, 0xe6, 0x58, 0x87, 0x3c, 0xf2, 0xb4, 0x85, 0x58, 0x31,
];

// Where the fixed fields stand.
const INCARNATION: usize = HEADER_LEN + 16;
const INTERVAL: usize = INCARNATION + 16;
const FLAGS: usize = INTERVAL + 4;
const SLICE: usize = FLAGS + 1 + 4 + 16;
const COUNTS: usize = SLICE + 4;

/// The idle hello with other bytes at `position`, and `tail` after its content; authentic nevertheless.
fn forged(position: usize, bytes: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut packet = IDLE[..IDLE.len() - TAG_LEN].to_vec();
    packet[position..position + bytes.len()].copy_from_slice(bytes);
    packet.extend(tail);
    let tag = keys().sign(&packet);
    packet.extend(tag);
    packet
}

fn refused(packet: &[u8]) -> Rejection {
    Hello::decode(packet, &keys()).unwrap_err()
}

#[test]
fn an_idle_nodes_hello_both_ways() {
    assert_eq!(idle().encode(&keys()), IDLE);
    assert_eq!(Hello::decode(IDLE, &keys()), Ok(idle()));
    assert_eq!(IDLE.len(), MIN_LEN);
}

#[test]
fn a_busy_nodes_hello_both_ways() {
    assert_eq!(busy().encode(&keys()), BUSY);
    assert_eq!(Hello::decode(BUSY, &keys()), Ok(busy()));
}

#[test]
fn the_longest_hello_fits_its_bound() {
    let longest = Hello {
        claims: UpTo::first_of((0..).map(|n| claim(n, 1))),
        deltas: UpTo::first_of((0..).map(|n| Delta::HandOver { claim: claim(n, 1), to: NodeId([9; 16]) })),
        echoes: UpTo::first_of((1..).map(|n| Echo {
            incarnation: incarnation(n),
            seq: n,
            age: Duration::ZERO,
        })),
        ..idle()
    };
    let packet = longest.encode(&keys());
    assert_eq!(packet.len(), MAX_LEN);
    assert_eq!(Hello::decode(&packet, &keys()), Ok(longest));
}

#[test]
fn durations_beyond_the_wire_are_brought_into_its_range() {
    let echo = |age| Echo { incarnation: incarnation(1), seq: 1, age };
    let sent = Hello {
        interval: Duration::from_micros(300),
        dead: Duration::from_secs(600),
        echoes: UpTo::first_of([echo(Duration::from_micros(20_001)), echo(Duration::MAX)]),
        ..idle()
    };
    let heard = Hello::decode(&sent.encode(&keys()), &keys()).unwrap();
    assert_eq!(heard.interval, Duration::from_millis(1));
    assert_eq!(heard.dead, Duration::from_millis(65_535));
    assert_eq!(heard.echoes[0].age, Duration::from_millis(21));
    assert_eq!(heard.echoes[1].age, Duration::from_millis(65_535));
}

#[test]
fn a_packet_with_any_one_bit_flipped_is_refused() {
    for position in 0..BUSY.len() {
        for bit in 0..8 {
            let mut packet = BUSY.to_vec();
            packet[position] ^= 1 << bit;
            let expected = match position {
                0..4 => Rejection::BadMagic,
                4 => Rejection::UnknownVersion(packet[4]),
                _ => Rejection::WrongKey,
            };
            assert_eq!(refused(&packet), expected, "bit {bit} of byte {position}");
        }
    }
}

#[test]
fn a_packet_cut_anywhere_is_refused() {
    for end in 0..BUSY.len() {
        let expected = if end < MIN_LEN { Rejection::Truncated } else { Rejection::WrongKey };
        assert_eq!(refused(&BUSY[..end]), expected, "cut at {end}");
    }
}

#[test]
fn content_that_ends_too_early_is_refused_although_authentic() {
    assert_eq!(refused(&forged(COUNTS, &[1, 0, 0], &[0; 15])), Rejection::Truncated);
    assert_eq!(refused(&forged(COUNTS, &[0, 0, 1], &[1; 17])), Rejection::Truncated);
}

#[test]
fn hellos_under_another_key_are_refused() {
    let other = KeyRing::from_bytes(b"quite another key than that", None).unwrap();
    assert_eq!(Hello::decode(BUSY, &other), Err(Rejection::WrongKey));
    assert_eq!(Hello::decode(BUSY, &KeyRing::default_for("prod")), Err(Rejection::WrongKey));
}

#[test]
fn an_old_key_is_accepted_while_it_stands_in_the_second_slot() {
    let both = KeyRing::from_bytes(b"quite another key than that", Some(SECRET)).unwrap();
    assert_eq!(Hello::decode(BUSY, &both), Ok(busy()));
}

#[test]
fn authentic_nonsense_is_refused_by_name() {
    let malformed = |position, bytes: &[u8], tail: &[u8]| match refused(&forged(position, bytes, tail)) {
        Rejection::Malformed(why) => why,
        other => panic!("refused as {other:?}"),
    };
    assert_eq!(malformed(INCARNATION, &[0; 8], &[]), "incarnation of zero");
    assert_eq!(malformed(INTERVAL, &[0, 0], &[]), "interval of zero");
    assert_eq!(malformed(INTERVAL, &[0, 75, 0, 74], &[]), "dead before the next hello is due");
    assert_eq!(malformed(SLICE, &[0, 1, 0, 1], &[]), "slice beyond its count");
    assert_eq!(malformed(SLICE, &[0, 0, 0, 0], &[]), "slice beyond its count");
    assert_eq!(malformed(0, &[], &[0]), "trailing bytes");
    assert_eq!(malformed(COUNTS, &[49, 0, 0], &[1; 49 * CLAIM_LEN]), "too many claims");
    assert_eq!(malformed(COUNTS, &[0, 9, 0], &[1; 9 * (1 + CLAIM_LEN)]), "too many deltas");
    assert_eq!(malformed(COUNTS, &[0, 0, 9], &[1; 9 * ECHO_LEN]), "too many echoes");
    assert_eq!(malformed(COUNTS, &[0, 1, 0], &[0; 1 + CLAIM_LEN]), "unknown kind of delta");
    assert_eq!(malformed(COUNTS, &[0, 0, 1], &[0; ECHO_LEN]), "incarnation of zero");
    assert_eq!(malformed(COUNTS, &[0, 0, 0], &[0; MAX_LEN]), "longer than any hello");
}

#[test]
fn flags_of_a_later_version_are_ignored() {
    assert_eq!(Hello::decode(&forged(FLAGS, &[0xc0], &[]), &keys()), Ok(idle()));
}

#[test]
fn a_recipient_believes_only_live_peers_of_its_cluster_on_its_link() {
    let cluster = ClusterId(0xc1c2_c3c4_c5c6_c7c8);
    let peer = Recipient { cluster, node: NodeId([0x12; 16]), incarnation: incarnation(1) };
    assert_eq!(peer.receive(BUSY, 255, &keys()), Ok(busy()));
    assert_eq!(peer.receive(BUSY, 254, &keys()), Err(Rejection::HopLimit(254)));

    let stranger = Recipient { cluster: ClusterId(1), ..peer };
    let its_keys = KeyRing::default_for("another cluster");
    assert_eq!(stranger.receive(BUSY, 255, &its_keys), Err(Rejection::OtherCluster));

    let sender = Recipient { node: busy().node, incarnation: busy().incarnation, ..peer };
    assert_eq!(sender.receive(BUSY, 255, &keys()), Err(Rejection::Reflected));
    let namesake = Recipient { incarnation: incarnation(1), ..sender };
    assert_eq!(namesake.receive(BUSY, 255, &keys()), Err(Rejection::OwnNode));
}

#[test]
fn who_cannot_sign_cannot_pretend_to_be_us() {
    let sender = Recipient { cluster: busy().cluster, node: busy().node, incarnation: incarnation(1) };
    let mut packet = BUSY.to_vec();
    packet[INCARNATION] ^= 1;
    assert_eq!(sender.receive(&packet, 255, &keys()), Err(Rejection::WrongKey));
}

#[test]
fn no_packet_makes_the_decoder_panic() {
    let (keys, mut random) = (keys(), fastrand::Rng::with_seed(1));
    let mut verified = 0;
    for _ in 0..200_000 {
        let packet = mutated(&mut random, &[IDLE, BUSY]);
        match Hello::decode(&packet, &keys) {
            Ok(hello) => assert_eq!(hello.encode(&keys), packet),
            Err(Rejection::WrongKey) => verified += 1,
            Err(_) => {}
        }
    }
    assert!(verified > 50_000, "only {verified} came as far as the tag");
}

#[test]
fn no_authentic_content_makes_the_decoder_panic() {
    let mut random = fastrand::Rng::with_seed(2);
    let bodies = [IDLE, BUSY].map(|packet| &packet[HEADER_LEN..packet.len() - TAG_LEN]);
    let mut understood = 0;
    for _ in 0..500_000 {
        let body = mutated(&mut random, &bodies);
        let Ok(outline) = Outline::read(ClusterId(1), &body) else { continue };
        let (hello, quiet) = (outline.hello(), outline.quiet());
        understood += usize::from(hello.is_ok());
        // What is read in passing is what a close look finds, and nothing that it refuses.
        let close = hello.ok().filter(|hello| hello.deltas.is_empty());
        assert_eq!(
            close.map(|hello| (hello.claims.to_vec(), hello.echoes.to_vec())),
            quiet.map(|quiet| (quiet.claims().collect(), quiet.echoes().collect()))
        );
    }
    assert!(understood > 100_000, "only {understood} were understood");
}

fn any_claim() -> impl Strategy<Value = Claim> {
    (any::<u64>(), any::<u64>()).prop_map(|(group, term)| claim(group, term))
}

fn any_node() -> impl Strategy<Value = NodeId> {
    array::uniform16(any::<u8>()).prop_map(NodeId)
}

fn any_delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        any_claim().prop_map(Delta::Claim),
        any_claim().prop_map(Delta::Resign),
        (any_claim(), any_node()).prop_map(|(claim, to)| Delta::HandOver { claim, to }),
        (any_claim(), any_node(), any::<bool>()).prop_map(|(claim, owner, stands)| Delta::Relayed {
            claim,
            owner,
            stands
        }),
    ]
}

fn any_echo() -> impl Strategy<Value = Echo> {
    (1..=u64::MAX, any::<u64>(), any::<u16>()).prop_map(|(number, seq, age)| Echo {
        incarnation: incarnation(number),
        seq,
        age: Duration::from_millis(age.into()),
    })
}

prop_compose! {
    fn any_hello()(
        (cluster, node, number, seq) in (any::<u64>(), any_node(), 1..=u64::MAX, any::<u64>()),
        (interval, beyond) in (1..=30_000_u64, 0..=30_000_u64),
        [draining, listening, leaving, ask, shaky] in array::uniform5(any::<bool>()),
        aside in any::<bool>(),
        (owned, digest) in (any::<u32>(), any::<u128>()),
        (index, after) in (0..1_000_u16, 1..1_000_u16),
        claims in collection::vec(any_claim(), 0..=usize::from(MAX_CLAIMS)),
        deltas in collection::vec(any_delta(), 0..=usize::from(MAX_DELTAS)),
        echoes in collection::vec(any_echo(), 0..=usize::from(MAX_ECHOES)),
    ) -> Hello {
        Hello {
            cluster: ClusterId(cluster),
            node,
            incarnation: incarnation(number),
            seq,
            interval: Duration::from_millis(interval),
            dead: Duration::from_millis(interval + beyond),
            flags: Flags { draining, listening, leaving, ask, shaky, aside },
            owned,
            digest: Digest::from_bytes(digest.to_be_bytes()),
            slice: Slice::new(index, index + after).unwrap(),
            claims: UpTo::first_of(claims),
            deltas: UpTo::first_of(deltas),
            echoes: UpTo::first_of(echoes),
        }
    }
}

proptest! {
    #[test]
    fn every_hello_is_understood_as_it_was_meant(hello in any_hello()) {
        let packet = hello.encode(&keys());
        prop_assert!((MIN_LEN..=MAX_LEN).contains(&packet.len()));
        prop_assert_eq!(Hello::decode(&packet, &keys()), Ok(hello));
    }

    #[test]
    fn what_is_understood_is_written_the_same_way(hello in any_hello(), at: prop::sample::Index, byte: u8) {
        let mut packet = hello.encode(&keys());
        packet.truncate(packet.len() - TAG_LEN);
        let position = HEADER_LEN + at.index(packet.len() - HEADER_LEN);
        packet[position] = byte;
        packet[FLAGS] &= 0x3f;
        let tag = keys().sign(&packet);
        packet.extend(tag);
        if let Ok(understood) = Hello::decode(&packet, &keys()) {
            prop_assert_eq!(understood.encode(&keys()), packet);
        }
    }
}
