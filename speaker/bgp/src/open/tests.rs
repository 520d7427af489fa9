// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! OPEN as bytes beside values, both ways; and what must be refused.

use super::*;
use crate::{
    capability::{GracefulRestart, RestartTime},
    family::Families,
};

fn plain() -> Open {
    Open {
        asn: Asn::new(65_001).unwrap(),
        hold_time: HoldTime::from_secs(90).unwrap(),
        router_id: RouterId::new([10, 77, 0, 1].into()).unwrap(),
        capabilities: Capabilities::default(),
    }
}

const PLAIN: &[u8] = &[
    4, // version
    0xfd, 0xe9, // 65001
    0, 90, // hold time
    10, 77, 0, 1, // router id
    0, // no parameters
];

fn full() -> Open {
    let graceful_restart = GracefulRestart {
        restarted: false,
        notification: true,
        time: RestartTime::from_secs(120).unwrap(),
        families: Families::BOTH,
        forwarding: Families::BOTH,
    };
    Open {
        asn: Asn::new(4_200_000_001).unwrap(),
        capabilities: Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            route_refresh: true,
            enhanced_route_refresh: true,
            extended_message: true,
            extended_next_hop: true,
            graceful_restart: Some(graceful_restart),
            ..Capabilities::default()
        },
        ..plain()
    }
}

#[rustfmt::skip]
const FULL: &[u8] = &[
    4, 0x5b, 0xa0, 0, 90, 10, 77, 0, 1,         // AS_TRANS
    46, 2, 44,                                  // one parameter: capabilities
    1, 4, 0, 1, 0, 1,                           // IPv4 unicast
    1, 4, 0, 2, 0, 1,                           // IPv6 unicast
    2, 0,                                       // route refresh
    5, 6, 0, 1, 0, 1, 0, 2,                     // IPv4 over an IPv6 next hop
    6, 0,                                       // extended message
    64, 10, 0x40, 120, 0, 1, 1, 0x80, 0, 2, 1, 0x80,
    65, 4, 0xfa, 0x56, 0xea, 0x01,              // 4200000001
    70, 0,                                      // enhanced route refresh
];

fn both_ways(open: &Open, bytes: &[u8]) {
    let mut out = Vec::new();
    open.encode(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(Open::decode(bytes).as_ref(), Ok(open));
}

fn with_parameters(parameters: &[u8]) -> Result<Open, Fault> {
    Open::decode(&[&PLAIN[..PLAIN.len() - 1], parameters].concat())
}

#[test]
fn a_plain_open_both_ways() {
    both_ways(&plain(), PLAIN);
}

#[test]
fn bgp_084_an_open_with_every_capability_both_ways() {
    both_ways(&full(), FULL);
}

#[test]
fn capabilities_in_several_parameters_are_read_as_one_list() {
    let open = with_parameters(&[12, 2, 2, 2, 0, 2, 6, 65, 4, 0, 0, 0xfd, 0xe9]).unwrap();
    assert!(open.capabilities.route_refresh && open.capabilities.four_octet_as);
    assert_eq!(open.asn, Asn::new(65_001).unwrap());
}

#[test]
fn extended_parameters_are_read() {
    // RFC 9072, section 2: 255, 255, length of two octets; the same for each parameter.
    let expected = Capabilities { route_refresh: true, ..Capabilities::default() };
    for first_length in [255, 1] {
        let open = with_parameters(&[first_length, 255, 0, 5, 2, 0, 2, 2, 0]).unwrap();
        assert_eq!(open.capabilities, expected);
    }
    let many: Vec<u8> = (0..150).flat_map(|n| [100 + n, 0]).collect();
    let length = u16::try_from(many.len()).unwrap();
    let parameters =
        [&[255, 255], &(length + 3).to_be_bytes()[..], &[2], &length.to_be_bytes(), &many].concat();
    assert_eq!(with_parameters(&parameters).unwrap().capabilities.others.iter().count(), 150);
}

#[test]
fn broken_fields_are_refused_by_name() {
    let with = |at: usize, bytes: &[u8]| {
        let mut open = PLAIN.to_vec();
        open[at..at + bytes.len()].copy_from_slice(bytes);
        Open::decode(&open).unwrap_err()
    };
    assert_eq!(with(0, &[3]), Fault::Version(3));
    assert_eq!(with(1, &[0, 0]), Fault::AsZero);
    assert_eq!(with(3, &[0, 1]), Fault::HoldTime(1));
    assert_eq!(with(3, &[0, 2]), Fault::HoldTime(2));
    assert_eq!(with(5, &[0, 0, 0, 0]), Fault::RouterIdZero);
    assert_eq!(with_parameters(&[3, 1, 1, 0]), Err(Fault::OptionalParameter(1)), "authentication");
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let broken: [&[u8]; 8] = [
        &[],
        &[1],
        &[2, 2],
        &[2, 2, 1],
        &[0, 0],
        &[4, 2, 2, 2, 0, 9],
        &[255, 255, 0],
        &[255, 255, 0, 4, 2, 0, 2, 2],
    ];
    for parameters in broken {
        assert!(matches!(with_parameters(parameters), Err(Fault::Open(_))), "{parameters:?}");
    }
    for end in 0..FULL.len() {
        assert!(Open::decode(&FULL[..end]).is_err(), "cut at {end}");
    }
}
