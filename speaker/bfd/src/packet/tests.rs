// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Packets as octets, both ways.

use proptest::prelude::*;

use super::*;

/// Up, no diagnostic, three packets, 300 ms both ways.
const UP: [u8; LEN] = [
    0x20, 0xc0, 3, 24, // version 1, diagnostic 0; state Up; multiplier; length
    0x12, 0x34, 0x56, 0x78, // my discriminator
    0x9a, 0xbc, 0xde, 0xf0, // your discriminator
    0x00, 0x04, 0x93, 0xe0, // desired min TX: 300,000 µs
    0x00, 0x04, 0x93, 0xe0, // required min RX
    0x00, 0x00, 0x00, 0x00, // required min echo RX
];

/// The first packet of a session whose neighbour signalled down, with a poll.
const FIRST: [u8; LEN] = [
    0x23, 0x60, 5, 24, // diagnostic 3; Down, poll
    0x00, 0x00, 0x00, 0x01, //
    0x00, 0x00, 0x00, 0x00, // your discriminator not known
    0x00, 0x0f, 0x42, 0x40, // 1 s
    0x00, 0x00, 0xc3, 0x50, // 50 ms
    0x00, 0x00, 0x00, 0x32, // echo 50 µs
];

fn up() -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state: State::Up,
        poll: false,
        final_: false,
        control_plane_independent: false,
        demand: false,
        multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::new(0x1234_5678).unwrap(),
        your_discriminator: Discriminator::new(0x9abc_def0),
        desired_min_tx: Interval::from_millis(300),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

fn first() -> Packet {
    Packet {
        diagnostic: Diagnostic::NEIGHBOR_SIGNALED_DOWN,
        state: State::Down,
        poll: true,
        multiplier: NonZeroU8::new(5).unwrap(),
        my_discriminator: Discriminator::new(1).unwrap(),
        your_discriminator: None,
        desired_min_tx: Interval::SLOW,
        required_min_rx: Interval::from_millis(50),
        required_min_echo_rx: Interval::from_micros(50),
        ..up()
    }
}

/// [`UP`] with one octet replaced.
fn with(position: usize, octet: u8) -> [u8; LEN] {
    let mut octets = UP;
    octets[position] = octet;
    octets
}

#[test]
fn packets_are_the_octets_of_the_rfc_both_ways() {
    for (packet, octets) in [(up(), UP), (first(), FIRST)] {
        assert_eq!(packet.encode(), octets);
        assert_eq!(Packet::decode(&octets), Ok(packet));
    }
}

#[test]
fn each_flag_is_the_bit_of_the_rfc() {
    let cases: [(u8, Packet); 4] = [
        (0xe0, Packet { poll: true, ..up() }),
        (0xd0, Packet { final_: true, ..up() }),
        (0xc8, Packet { control_plane_independent: true, ..up() }),
        (0xc2, Packet { demand: true, ..up() }),
    ];
    for (octet, packet) in cases {
        assert_eq!(packet.encode(), with(1, octet));
        assert_eq!(Packet::decode(&with(1, octet)), Ok(packet));
    }
}

#[test]
fn what_the_rfc_has_us_discard_is_refused_with_its_reason() {
    let cases: [(&[u8], Discard); 14] = [
        (&[], Discard::Truncated(0)),
        (&UP[..23], Discard::Truncated(23)),
        (&with(0, 0x00), Discard::UnknownVersion(0)),
        (&with(0, 0x40), Discard::UnknownVersion(2)),
        (&with(3, 23), Discard::BadLength(23)),
        (&with(3, 25), Discard::BadLength(25)),
        (&with(3, 255), Discard::BadLength(255)),
        (&with(2, 0), Discard::ZeroMultiplier),
        (&with(1, 0xc1), Discard::Multipoint),
        (&with(1, 0xc4), Discard::BadLength(24)),
        (&[&with(1, 0xc4)[..3], &[26], &UP[4..], &[1, 2]].concat(), Discard::Authenticated),
        (&[&UP[..4], &[0; 4], &UP[8..]].concat(), Discard::ZeroDiscriminator),
        (&[&UP[..8], &[0; 4], &UP[12..]].concat(), Discard::NoYourDiscriminator(State::Up)),
        (&[&with(1, 0x80)[..8], &[0; 4], &UP[12..]].concat(), Discard::NoYourDiscriminator(State::Init)),
    ];
    for (octets, reason) in cases {
        assert_eq!(Packet::decode(octets), Err(reason), "{octets:?}");
    }
}

#[test]
fn a_packet_without_your_discriminator_may_say_down_or_admin_down() {
    for state in [State::Down, State::AdminDown] {
        let packet = Packet { state, ..first() };
        assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
    }
}

#[test]
fn what_follows_a_packet_is_not_looked_at() {
    assert_eq!(Packet::decode(&[&UP[..], &[0xff; 40]].concat()), Ok(up()));
}

proptest! {
    #[test]
    fn whatever_can_be_read_is_written_as_it_was(mut octets in prop::array::uniform24(any::<u8>()), plain: bool) {
        if plain {
            octets[0] = 0x20 | octets[0] & 0x1f;
            octets[1] &= !(MULTIPOINT | AUTHENTICATION);
            octets[3] = 24;
        }
        if let Ok(packet) = Packet::decode(&octets) {
            octets[3] = 24;
            prop_assert_eq!(packet.encode(), octets);
        }
    }
}
