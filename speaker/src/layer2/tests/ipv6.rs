// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Neighbour discovery in every form that hosts use, and a segment with nothing but link-local addresses.

use std::net::Ipv6Addr;

use ferrolb_layer2::frame::ndp;

use super::*;

const VIP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3);

/// The first advertisement for the address after `question`, asked again until one comes: an answer to who asked, or
/// one to all nodes, as answers to duplicate address detection and announcements are.
fn advertised(client: &Namespace, question: Vec<u8>, to_who_asked: bool) -> Heard {
    let index = client.wire();
    client.run(move || {
        let mut socket = PacketSocket::open(index, FrameKind::NeighborDiscovery).expect("root may");
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 2048];
        loop {
            socket.send(&question).expect("the wire is up");
            thread::sleep(Duration::from_millis(50));
            while let Some(got) = socket.receive(&mut buffer).expect("the wire is up") {
                match frame::parse(got.bytes) {
                    Ok(Some(heard @ Heard::NeighborAdvertisement { target: VIP_V6, solicited, .. }))
                        if solicited == to_who_asked =>
                    {
                        return heard;
                    }
                    _ => continue,
                }
            }
            assert!(Instant::now() < end, "nobody answers");
        }
    })
}

/// The same message from and to other addresses.
fn readdressed(mut frame: Vec<u8>, to_mac: MacAddr, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    frame[..6].copy_from_slice(&to_mac.0);
    frame[22..38].copy_from_slice(&from.octets());
    frame[38..54].copy_from_slice(&to.octets());
    frame[56..58].fill(0);
    let length = u32::try_from(frame.len() - 54).expect("short");
    let words = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
    };
    let mut sum = words(&frame[22..]) + length + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).expect("folded");
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[test]
fn solicitations_are_answered_whether_multicast_or_unicast_with_or_without_the_source_option() {
    let lab = Two::start();
    let full = ndp::solicitation_for(MAC_CLIENT, CLIENT_V6, VIP_V6);
    let group = ndp::solicited_node(VIP_V6);
    let bare = ndp::probe(MAC_CLIENT, VIP_V6);
    let Heard::NeighborAdvertisement { sender_mac: owner, .. } = advertised(&lab.client, full.clone(), true)
    else {
        panic!("an advertisement");
    };
    let forms = [
        ("multicast with the option", full.clone()),
        ("multicast without", readdressed(bare.clone(), ndp::multicast_mac(group), CLIENT_V6, group)),
        ("unicast with the option", readdressed(full, owner, CLIENT_V6, VIP_V6)),
        ("unicast without", readdressed(bare, owner, CLIENT_V6, VIP_V6)),
    ];
    for (form, question) in forms {
        match advertised(&lab.client, question, true) {
            Heard::NeighborAdvertisement { source, target_link_layer, override_flag, .. } => {
                assert_eq!((target_link_layer, source), (Some(owner), VIP_V6), "{form}");
                assert!(override_flag, "{form}");
            }
            other => panic!("{form}: {other:?}"),
        }
    }
}

#[test]
fn another_hosts_duplicate_address_detection_is_answered_to_all_nodes() {
    let lab = Two::start();
    let Heard::NeighborAdvertisement { override_flag, target_link_layer, .. } =
        advertised(&lab.client, ndp::probe(MAC_CLIENT, VIP_V6), false)
    else {
        panic!("an advertisement");
    };
    assert!(override_flag && target_link_layer.is_some());
    // The kernel's own detection then gives the address up.
    lab.client.set("net/ipv6/conf/wire0/accept_dad", "1");
    lab.client.ip(&format!("address add {VIP_V6}/64 dev wire0"));
    let end = Instant::now() + PATIENCE;
    let shown = || {
        lab.client.run(|| {
            let output =
                std::process::Command::new("ip").args(["-6", "address", "show", "dev", "wire0"]).output();
            String::from_utf8(output.expect("iproute2").stdout).expect("text")
        })
    };
    while !shown().contains("dadfailed") {
        assert!(Instant::now() < end, "the duplicate was not noticed: {}", shown());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn speakers_with_nothing_but_link_local_addresses_hear_each_other_and_one_answers() {
    let (_switch, [one, two, client]) = Namespace::switch();
    for namespace in [&one, &two] {
        namespace.ip("-4 address flush dev wire0");
        namespace.ip("-6 address flush dev wire0 scope global");
    }
    let nodes = names::<2>();
    let named = || {
        let mut wanted = wanted(&nodes, &[IpAddr::V6(VIP_V6)]);
        for vip in wanted.values_mut() {
            vip.interfaces = Interfaces::Named(vec!["wire0".to_owned()]);
        }
        wanted
    };
    let first = Speaker::start(&one, &nodes[0], named());
    let second = Speaker::start(&two, &nodes[1], named());
    for speaker in [&first, &second] {
        speaker.until("the peer is up", |event| matches!(event, Event::PeerUp(_)));
    }
    let question = ndp::solicitation_for(MAC_CLIENT, CLIENT_V6, VIP_V6);
    let answer = advertised(&client, question, true);
    assert!(matches!(answer, Heard::NeighborAdvertisement { override_flag: true, .. }), "{answer:?}");
    let owners = [&first, &second].map(|speaker| speaker.events.try_iter().filter(is_claimed).count());
    assert_eq!(owners.iter().sum::<usize>(), 1, "exactly one claims it");
}
