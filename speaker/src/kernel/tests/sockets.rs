// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The sockets against a real kernel, in namespaces.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::*;
use crate::namespace::{Namespace, WIRE};

const BROADCAST: [u8; 6] = [0xff; 6];
const ELSEWHERE: [u8; 6] = [2, 0xee, 0, 0, 0, 1];

/// An ARP request for 192.0.2.100, sent to `destination`.
fn arp_request(destination: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::new();
    Ethernet2Header { source: ELSEWHERE, destination, ether_type: EtherType::ARP }
        .write(&mut frame)
        .expect("a vector takes it");
    ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &ELSEWHERE,
        &[192, 0, 2, 9],
        &[0; 6],
        &[192, 0, 2, 100],
    )
    .expect("lengths fit")
    .write(&mut frame)
    .expect("a vector takes it");
    frame
}

fn wait_readable(socket: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(1000_u16)).expect("poll works") > 0
}

fn next_frame(socket: &mut PacketSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    if !wait_readable(socket) {
        return None;
    }
    socket.receive(&mut buffer).expect("the wire is up").map(|frame| frame.bytes.to_vec())
}

/// What `of` says of the hello that waits.
fn next_hello<T>(socket: &mut HelloSocket, of: impl Fn(HelloDatagram<'_>) -> T) -> T {
    let mut batch = Batch::new();
    let mut hellos = socket.receive(&mut batch).expect("readable");
    of(hellos.next().expect("a hello"))
}

/// Everything that arrives within `quiet` of the previous frame.
fn all_frames(socket: &mut PacketSocket, quiet: Duration) -> Vec<Vec<u8>> {
    thread::sleep(quiet);
    let mut buffer = [0; 2048];
    let mut frames = Vec::new();
    while let Some(frame) = socket.receive(&mut buffer).expect("the wire is up") {
        frames.push(frame.bytes.to_vec());
    }
    frames
}

#[test]
fn the_arp_socket_sees_requests_and_replies_and_nothing_else() {
    let (left, right) = Namespace::pair();
    let index = left.wire();
    let mut socket = left.run(move || PacketSocket::open(index, FrameKind::Arp).expect("root may"));
    let peer = right.wire();
    let mut odd_operation = arp_request(BROADCAST);
    odd_operation[21] = 3; // RARP request
    let mut odd_protocol = arp_request(BROADCAST);
    odd_protocol[16] = 0x86;
    let mut tagged = arp_request(BROADCAST);
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]); // VLAN 7
    let sent = [odd_operation, odd_protocol, tagged, arp_request(ELSEWHERE), arp_request(BROADCAST)];
    right.run(move || {
        let out = PacketSocket::open(peer, FrameKind::Arp).expect("root may");
        for frame in &sent {
            out.send(frame).expect("the wire is up");
        }
        // UDP traffic that must not reach the socket; it brings about ARP of the kernel's own.
        let udp = UdpSocket::bind("192.0.2.2:0").expect("own address");
        udp.send_to(b"noise", "192.0.2.1:9").expect("the wire is up");
    });
    let frames = all_frames(&mut socket, Duration::from_millis(300));
    let ours: Vec<_> = frames.iter().filter(|frame| frame[6..12] == ELSEWHERE).collect();
    assert_eq!(ours, [&arp_request(BROADCAST)]);
    assert!(frames.iter().all(|frame| frame[12..14] == [0x08, 0x06]), "only ARP: {frames:02x?}");
}

#[test]
fn the_arp_socket_does_not_see_what_the_node_itself_sends() {
    let (left, right) = Namespace::pair();
    let index = left.wire();
    let mut socket = left.run(move || PacketSocket::open(index, FrameKind::Arp).expect("root may"));
    socket.send(&arp_request(BROADCAST)).expect("the wire is up");
    assert!(all_frames(&mut socket, Duration::from_millis(100)).is_empty());
    drop(right);
}

#[test]
fn the_neighbour_discovery_socket_sees_solicitations_but_no_echo_and_no_hop_limit_below_255() {
    let (left, right) = Namespace::pair();
    let index = left.wire();
    let mut socket =
        left.run(move || PacketSocket::open(index, FrameKind::NeighborDiscovery).expect("root may"));
    // The kernel resolves its neighbour for a UDP packet: a solicitation, then the packet itself.
    right.run(|| {
        let udp = UdpSocket::bind("[2001:db8::2]:0").expect("own address");
        udp.send_to(b"noise", "[2001:db8::1]:9").expect("the wire is up");
    });
    let solicitation = next_frame(&mut socket).expect("a solicitation");
    assert_eq!(solicitation[54], 135);
    assert_eq!(solicitation[21], 255);
    let peer = right.wire();
    let mut routed = solicitation.clone();
    routed[21] = 254;
    let mut echo = solicitation.clone();
    echo[54] = 128;
    let again = solicitation.clone();
    right.run(move || {
        let out = PacketSocket::open(peer, FrameKind::NeighborDiscovery).expect("root may");
        for frame in [&routed, &echo, &again] {
            out.send(frame).expect("the wire is up");
        }
    });
    let frames = all_frames(&mut socket, Duration::from_millis(100));
    assert!(frames.contains(&solicitation));
    assert!(frames.iter().all(|frame| frame[21] == 255 && matches!(frame[54], 135 | 136)));
}

#[test]
fn frames_that_nobody_reads_are_counted_as_dropped_and_the_count_starts_anew() {
    let (left, right) = Namespace::pair();
    let index = left.wire();
    let socket = left.run(move || PacketSocket::open(index, FrameKind::Arp).expect("root may"));
    let peer = right.wire();
    right.run(move || {
        let out = PacketSocket::open(peer, FrameKind::Arp).expect("root may");
        for _ in 0..20_000 {
            match out.send(&arp_request(BROADCAST)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
    });
    assert!(socket.take_drops().expect("a packet socket counts") > 0);
    assert_eq!(socket.take_drops().expect("a packet socket counts"), 0);
}

#[test]
fn a_hello_arrives_over_both_families_with_its_hop_limit_sender_and_time() {
    let (left, right) = Namespace::pair();
    for (family, sender) in [(Family::V4, "192.0.2.2"), (Family::V6, "fe80::")] {
        let (index, peer) = (left.wire(), right.wire());
        let mut socket = left.run(move || HelloSocket::open(index, WIRE, family).expect("free port"));
        let before = Instant::now();
        right.run(move || {
            let out = HelloSocket::open(peer, WIRE, family).expect("free port");
            out.multicast(b"hello").expect("the wire is up");
        });
        assert!(wait_readable(&socket), "no hello over {family:?}");
        next_hello(&mut socket, |hello| {
            assert_eq!(hello.payload, b"hello");
            assert_eq!(hello.hop_limit, 255);
            assert!(hello.source.to_string().starts_with(sender), "{}", hello.source);
            assert!(hello.received >= before && hello.received <= Instant::now());
        });
    }
}

#[test]
fn a_crowd_of_hellos_is_read_in_batches_and_none_is_lost_or_mixed_up() {
    let (left, right) = Namespace::pair();
    let (index, peer) = (left.wire(), right.wire());
    let mut socket = left.run(move || HelloSocket::open(index, WIRE, Family::V4).expect("free port"));
    right.run(move || {
        let out = HelloSocket::open(peer, WIRE, Family::V4).expect("free port");
        for number in 0..100_u8 {
            out.multicast(&vec![number; usize::from(number) + 1]).expect("the wire is up");
        }
    });
    assert!(wait_readable(&socket));
    thread::sleep(Duration::from_millis(200));
    let (mut batch, mut read) = (Batch::new(), Vec::new());
    loop {
        let before = read.len();
        read.extend(socket.receive(&mut batch).expect("readable").map(|hello| hello.payload.to_vec()));
        if read.len() == before {
            break;
        }
    }
    let sent: Vec<Vec<u8>> = (0..100_u8).map(|number| vec![number; usize::from(number) + 1]).collect();
    assert_eq!(read, sent);
}

#[test]
fn a_hello_with_ttl_254_is_told_apart() {
    let (left, right) = Namespace::pair();
    let index = left.wire();
    let mut socket = left.run(move || HelloSocket::open(index, WIRE, Family::V4).expect("free port"));
    right.run(|| {
        let udp = UdpSocket::bind("192.0.2.2:0").expect("own address");
        udp.set_ttl(254).expect("a legal TTL");
        udp.send_to(b"from afar", ("192.0.2.1", HELLO_PORT)).expect("the wire is up");
    });
    assert!(wait_readable(&socket));
    assert_eq!(next_hello(&mut socket, |hello| hello.hop_limit), 254);
}

#[test]
fn a_hello_answers_one_station_by_unicast_also_over_link_local_addresses() {
    let (left, right) = Namespace::pair();
    let (index, peer) = (left.wire(), right.wire());
    for family in [Family::V4, Family::V6] {
        let mut here = left.run(move || HelloSocket::open(index, WIRE, family).expect("free port"));
        let mut there = right.run(move || HelloSocket::open(peer, WIRE, family).expect("free port"));
        here.multicast(b"alive?").expect("the wire is up");
        assert!(wait_readable(&there));
        let source: IpAddr = next_hello(&mut there, |hello| hello.source);
        there.unicast(b"yes", source).expect("a neighbour");
        assert!(wait_readable(&here));
        assert_eq!(next_hello(&mut here, |hello| hello.payload.to_vec()), b"yes");
    }
}

#[test]
fn a_second_speaker_can_open_its_hello_socket_while_the_first_still_has_it() {
    let (left, _right) = Namespace::pair();
    let index = left.wire();
    left.run(move || {
        for family in [Family::V4, Family::V6] {
            let first = HelloSocket::open(index, WIRE, family).expect("free port");
            let second = HelloSocket::open(index, WIRE, family).expect("shared port");
            drop((first, second));
        }
    });
}

#[test]
fn sockets_survive_their_link_going_down_and_work_when_it_is_back() {
    let (left, right) = Namespace::pair();
    let (index, peer) = (left.wire(), right.wire());
    let mut arp = left.run(move || PacketSocket::open(index, FrameKind::Arp).expect("root may"));
    let mut hello = left.run(move || HelloSocket::open(index, WIRE, Family::V4).expect("free port"));
    left.ip("link set wire0 down");
    assert!(arp.send(&arp_request(BROADCAST)).is_err());
    assert!(hello.multicast(b"hello").is_err());
    let mut buffer = [0; 2048];
    while arp.receive(&mut buffer).is_err() {}
    let mut batch = Batch::new();
    while hello.receive(&mut batch).is_err() {}
    left.ip("link set wire0 up");
    right.run(move || {
        let out = PacketSocket::open(peer, FrameKind::Arp).expect("root may");
        out.send(&arp_request(BROADCAST)).expect("the wire is up");
        HelloSocket::open(peer, WIRE, Family::V4)
            .expect("free port")
            .multicast(b"back")
            .expect("the wire is up");
    });
    let frames = all_frames(&mut arp, Duration::from_millis(100));
    assert!(frames.contains(&arp_request(BROADCAST)));
    assert_eq!(next_hello(&mut hello, |hello| hello.payload.to_vec()), b"back");
}

#[test]
fn solicited_node_groups_are_joined_on_the_card_and_left_again() {
    let (left, _right) = Namespace::pair();
    let index = left.wire();
    let joined = |text: &str| text.lines().filter(|line| line.contains("3333ff1234")).count();
    left.run(move || {
        let card = || std::fs::read_to_string("/proc/thread-self/net/dev_mcast").expect("procfs");
        let mut groups = SolicitedNodeGroups::new(index);
        // More than one socket may join, and two addresses that share their last 24 bits.
        let many = (0..10_000_u32)
            .map(|n| std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(0xff_0000 + n)));
        let named = ["2001:db8::12:3401", "2001:db8::12:3402", "2001:db8:1::12:3402"];
        let named = named.map(|text| text.parse().expect("an address"));
        groups.set(many.chain(named)).expect("the wire is up");
        assert_eq!(joined(&card()), 2);
        groups.set([named[0]]).expect("the wire is up");
        assert_eq!(joined(&card()), 1);
        drop(groups);
        // A process that another test is about to start holds copies of all sockets until it begins.
        let begun = Instant::now();
        while joined(&card()) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "they are not left");
            thread::sleep(Duration::from_millis(10));
        }
    });
}
