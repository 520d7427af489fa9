// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! More frames than anybody needs.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::frame;
use crate::packet_socket::{ARP, PacketSocket};
use crate::{Namespace, Place};

/// Asks for `target` as fast as one thread can (beyond 100,000 times a second on most machines) for `span`, from the newcomer's
/// namespace. Returns how many questions were asked.
///
/// # Errors
/// No right to open a packet socket, or the link is down.
pub fn of_arp_questions(namespace: &Namespace, target: Ipv4Addr, span: Duration) -> Result<u64> {
    namespace.run(|| {
        let socket = PacketSocket::open(ARP, Duration::from_millis(20))?;
        let question = frame::arp_question(Place::Newcomer.mac(), Place::Newcomer.ipv4(), target);
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
