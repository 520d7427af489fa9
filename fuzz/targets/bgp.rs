// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whatever a BGP peer sends: it is refused with words to refuse it in, or read, and what we can say ourselves is read again as it was.

#![no_main]

use std::net::Ipv4Addr;

use ferrolb_bgp::{
    Asn, Capabilities, CodeSet, Families, Fault, Framer, HoldTime, Message, Negotiated, Open, RouterId,
    Update, message,
};
use libfuzzer_sys::fuzz_target;

fn open(asn: u32, capabilities: Capabilities) -> Open {
    Open {
        asn: Asn::new(asn).expect("not 0"),
        hold_time: HoldTime::DISABLED,
        router_id: RouterId::new(Ipv4Addr::LOCALHOST).expect("not 0"),
        capabilities,
    }
}

fn modern() -> Capabilities {
    Capabilities {
        multiprotocol: Some(Families::BOTH),
        four_octet_as: true,
        extended_message: true,
        extended_next_hop: true,
        ..Capabilities::default()
    }
}

fn sessions() -> [Negotiated; 3] {
    let theirs = [open(65_002, modern()), open(65_001, modern()), open(65_002, Capabilities::default())];
    theirs.map(|theirs| Negotiated::new(&open(65_001, modern()), &theirs))
}

fn said(fault: &Fault) {
    let bytes = Message::Notification(fault.notification()).to_bytes();
    assert!(bytes.len() <= message::STANDARD_LEN && !fault.to_string().is_empty());
}

fn update(update: &Update<'_>, length: usize) {
    assert!(update.announced().count() + update.withdrawn().count() <= length);
    let attributes = update.attributes();
    let paths = [attributes.as_path, attributes.as4_path].into_iter().flatten();
    let numbers: usize = paths.map(|path| path.numbers().count()).sum();
    let communities = attributes.communities().count() + attributes.large_communities().count();
    assert!(numbers + communities + attributes.extended_communities().count() <= length);
    assert!(update.fault().is_none() || update.announced().next().is_none());
}

fn message(read: &Message<'_>, length: usize) {
    match read {
        Message::Update(body) => {
            for session in sessions() {
                match body.read(&session) {
                    Ok(read) => update(&read, length),
                    Err(fault) => said(&fault),
                }
            }
        }
        Message::Notification(heard) => {
            assert!(
                !heard.to_string().is_empty() && heard.text().is_none_or(|text| !text.contains('\u{1b}'))
            );
        }
        // Capabilities that we do not know, and families, are not sent again.
        Message::Open(open)
            if open.capabilities.others != CodeSet::default()
                || open.capabilities.multiprotocol == Some(Families::NONE) => {}
        Message::Open(_) | Message::Keepalive | Message::RouteRefresh(_) => {
            let bytes = read.to_bytes();
            let mut framer = framer(&bytes);
            let frame = framer.next_frame().expect("it is ours").expect("it is whole");
            assert_eq!(Message::decode(frame).as_ref(), Ok(read));
        }
    }
}

fn framer(bytes: &[u8]) -> Framer {
    let mut framer = Framer::new();
    framer.allow_extended();
    let room = framer.room();
    let count = room.len().min(bytes.len());
    room[..count].copy_from_slice(&bytes[..count]);
    framer.filled(count);
    framer
}

fuzz_target!(|data: &[u8]| {
    // The first octet is a type, so that the fuzzer need not find sixteen octets of ones and a right length.
    let Some((kind, body)) = data.split_first() else { return };
    let length = u16::try_from(message::HEADER_LEN + body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let framed = [&[0xff; 16], &length[..], &[kind % 6], body].concat();
    for bytes in [&framed, data] {
        let mut framer = framer(bytes);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => match Message::decode(frame) {
                    Ok(read) => message(&read, bytes.len()),
                    Err(fault) => said(&fault),
                },
                Ok(None) => break,
                Err(fault) => {
                    said(&fault);
                    break;
                }
            }
        }
    }
});
