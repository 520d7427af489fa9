// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! More frames than anybody needs, and such as nobody should send.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use crate::frame;
use crate::packet_socket::{ARP, PacketSocket};
use crate::probe::hurry;
use crate::{Namespace, Place};

/// Longer than any hello, and yet one Ethernet frame.
const OVERSIZED: usize = 1472;

/// Asks for `target` as fast as one thread at real-time priority can, for `span`, from the newcomer's namespace. Returns how many
/// questions were asked; how many that is depends on the machine, since asking costs it more than being asked does.
///
/// # Errors
/// No right to open a packet socket, or the link is down.
pub fn of_arp_questions(namespace: &Namespace, target: Ipv4Addr, span: Duration) -> Result<u64> {
    namespace.run(|| {
        let socket = PacketSocket::open(ARP, Duration::from_millis(20))?;
        let question = frame::arp_question(Place::Newcomer.mac(), Place::Newcomer.ipv4(), target);
        hurry();
        let (begun, mut sent) = (Instant::now(), 0);
        while begun.elapsed() < span {
            match socket.send(&question) {
                Ok(()) => sent += 1,
                // ENOBUFS: the queue is full, which is what a storm does.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    })
}

/// Records hellos of the segment and sends them again from the newcomer, each as it was, cut off at every length, with a bit turned over,
/// drawn out to more than any hello holds, and noise of the same length, for `span`. Returns how many packets were sent.
///
/// # Errors
/// No hello was heard, or the link is down.
pub fn of_hellos(namespace: &Namespace, port: u16, span: Duration) -> Result<u64> {
    namespace.run(|| {
        let everybody = Ipv4Addr::new(224, 0, 0, 1);
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_multicast_if_v4(&Place::Newcomer.ipv4())?;
        // Hellos from beyond the link are refused unread (RFC 5082): these come from the link.
        socket.set_multicast_ttl_v4(255)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        let socket = UdpSocket::from(socket);
        let (begun, mut sent, mut round) = (Instant::now(), 0, 0_usize);
        let mut buffer = [0; 2048];
        while begun.elapsed() < span {
            let (length, _) = socket.recv_from(&mut buffer).context("waiting for a hello to record")?;
            let recorded = buffer.get(..length).unwrap_or_default();
            for _ in 0..40 {
                round += 1;
                let mut turned = recorded.to_vec();
                if let Some(byte) = turned.get_mut(round % length.max(1)) {
                    *byte ^= 1 << (round % 8);
                }
                let noise: Vec<u8> =
                    recorded.iter().map(|byte| byte.wrapping_mul(167).wrapping_add(13)).collect();
                let cut = recorded.get(..round % length.max(1)).unwrap_or_default();
                let mut drawn_out = recorded.to_vec();
                drawn_out.resize(OVERSIZED, 0);
                for packet in [recorded, cut, &turned, &drawn_out, &noise] {
                    socket.send_to(packet, (everybody, port))?;
                    sent += 1;
                }
            }
        }
        Ok(sent)
    })
}
