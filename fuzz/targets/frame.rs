// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whatever comes in as an Ethernet frame, ARP, neighbour discovery or a hello past a filter: it is refused, or read, and an
//! answer to it is a frame that can be read too.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrolb_layer2::MacAddr;
use ferrolb_layer2::frame::{self, arp, carried, ndp};
use libfuzzer_sys::fuzz_target;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Of other addresses no engine is the owner, so that questions for them are never answered.
fn can_be_carried(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

fuzz_target!(|data: &[u8]| {
    if let Some(hello) = carried::unwrap(data) {
        let again = carried::wrap(MAC, hello.source, hello.wish, hello.hello);
        assert_eq!(carried::unwrap(&again), Some(hello), "read, written and read again");
    }
    if let Ok(Some(heard)) = frame::parse(data)
        && heard.asked().is_some_and(can_be_carried)
        && let Some(answer) = frame::answer(&heard, MAC)
    {
        let answer = frame::parse(&answer);
        let said = answer.as_ref().ok().and_then(Option::as_ref).and_then(|answer| answer.asserted());
        assert_eq!(said.map(|(_, mac)| mac), Some(MAC), "{heard:?} is answered by {answer:?}");
    }
    // Frames of ours around bytes of theirs.
    if let Some(octets) = data.first_chunk::<16>() {
        let (v4, v6) = (
            Ipv4Addr::from_bits(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])),
            Ipv6Addr::from(*octets),
        );
        let frames = [
            (arp::announcement_request(MAC, v4), IpAddr::V4(v4)),
            (arp::announcement_reply(MAC, v4), IpAddr::V4(v4)),
            (ndp::announcement(MAC, v6), IpAddr::V6(v6)),
        ];
        for (bytes, address) in frames {
            if let Ok(Some(heard)) = frame::parse(&bytes) {
                assert_eq!(heard.asserted().unwrap_or((address, MAC)), (address, MAC));
            }
        }
    }
});
