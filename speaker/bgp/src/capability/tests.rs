// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Capabilities as bytes beside values, both ways; and what must be refused.

use super::*;

fn read(list: &[u8]) -> Result<(Capabilities, Option<Asn>), Fault> {
    let mut capabilities = Capabilities::default();
    let asn = capabilities.read(list)?;
    Ok((capabilities, asn))
}

/// One capability both ways.
fn both_ways(capabilities: Capabilities, bytes: &[u8]) {
    let mut out = Vec::new();
    capabilities.encode(Asn::new(65_001).unwrap(), &mut out);
    assert_eq!(out, bytes);
    assert_eq!(read(bytes).unwrap().0, capabilities);
}

#[test]
fn multiprotocol_both_ways() {
    // RFC 4760, section 8: AFI, reserved, SAFI.
    let multiprotocol = Some(Families::BOTH);
    let bytes = [1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1];
    both_ways(Capabilities { multiprotocol, ..Capabilities::default() }, &bytes);
}

#[test]
fn flags_both_ways() {
    // RFC 2918, section 2; RFC 8654, section 3; RFC 7313, section 3.1.
    let capabilities = Capabilities {
        route_refresh: true,
        extended_message: true,
        enhanced_route_refresh: true,
        ..Capabilities::default()
    };
    both_ways(capabilities, &[2, 0, 6, 0, 70, 0]);
}

#[test]
fn four_octet_as_both_ways() {
    // RFC 6793, section 3.
    let wide = Asn::new(4_200_000_001).unwrap();
    let mut out = Vec::new();
    Capabilities::default().encode(wide, &mut out);
    assert_eq!(out, [65, 4, 0xfa, 0x56, 0xea, 0x01], "said for a wide number even if nobody asked for it");
    let expected = Capabilities { four_octet_as: true, ..Capabilities::default() };
    assert_eq!(read(&out), Ok((expected, Some(wide))));
    assert_eq!(read(&[65, 4, 0, 0, 0, 0]), Err(Fault::AsZero));
}

#[test]
fn extended_next_hop_both_ways() {
    // RFC 8950, section 4: AFI, SAFI in two octets, AFI of the next hop.
    let capabilities = Capabilities { extended_next_hop: true, ..Capabilities::default() };
    both_ways(capabilities, &[5, 6, 0, 1, 0, 1, 0, 2]);
    let other_families = [5, 12, 0, 1, 0, 2, 0, 2, 0, 1, 0, 128, 0, 2];
    assert!(!read(&other_families).unwrap().0.extended_next_hop);
}

#[test]
fn graceful_restart_both_ways() {
    // RFC 4724, section 3: R bit, N bit (RFC 8538), 12 bits of seconds; AFI, SAFI, F bit.
    let graceful_restart = Some(GracefulRestart {
        restarted: true,
        notification: true,
        time: RestartTime::from_secs(120).unwrap(),
        families: Families::BOTH,
        forwarding: Families::IPV6,
    });
    let bytes = [64, 10, 0xc0, 120, 0, 1, 1, 0, 0, 2, 1, 0x80];
    both_ways(Capabilities { graceful_restart, ..Capabilities::default() }, &bytes);
    let helper_only = read(&[64, 2, 0x00, 0x00]).unwrap().0.graceful_restart.unwrap();
    assert!(helper_only.families.is_empty());
    assert_eq!(RestartTime::from_secs(4_096), None);
}

#[test]
fn who_does_not_speak_of_families_carries_ipv4_and_who_names_only_strange_ones_carries_none() {
    assert_eq!(read(&[2, 0]).unwrap().0.families(), Families::IPV4);
    assert_eq!(read(&[1, 4, 0, 25, 0, 70]).unwrap().0.families(), Families::NONE);
}

#[test]
fn unknown_capabilities_are_kept_as_numbers() {
    let (capabilities, _) = read(&[73, 3, 2, b'r', b'1', 255, 0, 128, 1, 9, 0, 0, 73, 0]).unwrap();
    assert_eq!(capabilities.others.iter().collect::<Vec<_>>(), [0, 73, 128, 255]);
}

#[test]
fn broken_capabilities_are_refused() {
    let broken: [&[u8]; 8] = [
        &[1],
        &[1, 4, 0, 1, 0],
        &[1, 3, 0, 1, 0],
        &[65, 3, 1, 2, 3],
        &[5, 7, 0, 1, 0, 1, 0, 2, 0],
        &[64, 1, 0],
        &[64, 5, 0, 0, 0, 1, 1],
        &[99, 200],
    ];
    for list in broken {
        assert!(matches!(read(list), Err(Fault::Open(_))), "{list:?}");
    }
}
