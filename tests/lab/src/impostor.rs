// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Datagrams under the addresses of stations that do not exist: how one thread plays a segment full of nodes.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Mac;
use crate::packet_socket::{ARP, PacketSocket};
use crate::probe::hurry;

/// 224.0.0.1, every host of the link, and the hardware address that it is sent to (RFC 1112 section 6.4).
const EVERYBODY: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const EVERYBODYS_MAC: Mac = Mac([0x01, 0x00, 0x5e, 0, 0, 1]);

/// Sends on `eth0` of the namespace that it was opened in.
#[derive(Debug)]
pub struct Impostor {
    socket: PacketSocket,
    frame: Vec<u8>,
}

impl Impostor {
    /// Opens a packet socket and asks for real-time priority for the calling thread.
    ///
    /// # Errors
    /// No right to do the first.
    pub fn open() -> Result<Self> {
        // What is received is of no interest: the rarest type that there is a name for.
        let socket =
            PacketSocket::open(ARP, Duration::from_millis(20)).context("opening an impostor's socket")?;
        hurry();
        Ok(Self { socket, frame: Vec::with_capacity(1600) })
    }

    /// Sends `payload` to everybody, from and to `port`, with hop limit 255 as hellos have it.
    ///
    /// # Errors
    /// The link is down or its queue full, or the payload too long.
    pub fn tell_everybody(&mut self, mac: Mac, from: Ipv4Addr, port: u16, payload: &[u8]) -> io::Result<()> {
        let length = |header: usize| {
            u16::try_from(header + payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
        };
        let (packet, datagram) = (length(28)?.to_be_bytes(), length(8)?.to_be_bytes());
        let mut header = [0_u8; 20];
        let fields = [0x45, 0, packet[0], packet[1], 0, 0, 0x40, 0, 255, 17, 0, 0];
        let fields = fields.into_iter().chain(from.octets()).chain(EVERYBODY.octets());
        header.iter_mut().zip(fields).for_each(|(to, field)| *to = field);
        let sum = checksum(&header);
        self.frame.clear();
        self.frame.extend(EVERYBODYS_MAC.0);
        self.frame.extend(mac.0);
        self.frame.extend([0x08, 0x00]);
        self.frame.extend(header);
        if let Some(place) = self.frame.get_mut(24..26) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
        self.frame.extend(port.to_be_bytes());
        self.frame.extend(port.to_be_bytes());
        self.frame.extend(datagram);
        // Zero: the sender made no checksum (RFC 768).
        self.frame.extend([0, 0]);
        self.frame.extend(payload);
        self.socket.send(&self.frame)
    }
}

/// RFC 1071, of a header whose own checksum field is zero.
fn checksum(header: &[u8; 20]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{Lab, rights};

    #[test]
    fn what_an_impostor_says_is_heard_as_from_whom_it_plays() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let listener = lab.node("n1")?.namespace.run(|| Ok(UdpSocket::bind("0.0.0.0:7948")?))?;
            listener.set_read_timeout(Some(Duration::from_secs(5)))?;
            let from = Ipv4Addr::new(198, 51, 100, 77);
            lab.newcomer.run(|| {
                Ok(Impostor::open()?.tell_everybody(Mac([2, 0, 0, 0, 0, 77]), from, 7948, b"hello")?)
            })?;
            let mut buffer = [0; 16];
            let (length, sender) = listener.recv_from(&mut buffer)?;
            assert_eq!((&buffer[..length], sender), (b"hello".as_slice(), (from, 7948).into()));
            Ok(())
        });
    }
}
