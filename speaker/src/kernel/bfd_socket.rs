// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! UDP sockets of BFD: few to receive by, and one to send by for each session, since each has a source port of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::Batch;
use super::hello_socket::Family;
use super::receive;
use super::receive_clock::{Now, ReceiveClock};

/// RFC 5881, section 4.
pub const SINGLE_HOP_PORT: u16 = 3784;
/// RFC 5883, section 5.
pub const MULTI_HOP_PORT: u16 = 4784;
/// Source ports (RFC 5881, section 4).
const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// Of 16,384 ports four thousand are taken at most, so that these do not all fail.
const TRIES: u32 = 64;
/// RFC 5881, section 5.
const HOP_LIMIT: u32 = 255;
/// Network control, class selector 6 (RFC 4594).
const TRAFFIC_CLASS: u32 = 0xc0;
/// Holds the packets of many sessions for as long as this process may sleep.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A packet as it came in.
#[derive(Debug)]
pub struct BfdDatagram<'a> {
    /// The UDP payload, not yet checked in any way.
    pub payload: &'a [u8],
    /// TTL or hop limit on arrival; 0 if the kernel did not say.
    pub ttl: u8,
    /// The sender's address.
    pub source: IpAddr,
    /// Which of our addresses it was sent to.
    pub destination: IpAddr,
    /// The interface that it came in by.
    pub interface: Option<NonZeroU32>,
    /// When the kernel took it from the wire.
    pub received: Instant,
}

/// A non-blocking socket on one of BFD's ports, for all addresses of one family.
#[derive(Debug)]
pub struct BfdReceiver {
    socket: Socket,
    clock: ReceiveClock,
}

impl BfdReceiver {
    /// # Errors
    /// The kernel's: most often another BFD daemon has the port.
    pub fn open(family: Family, port: u16) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        receive::enlarge_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        receive::stamp(&socket)?;
        match family {
            Family::V4 => {
                setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
            }
        }
        Ok(Self { socket, clock: ReceiveClock::new(Now::read()) })
    }

    /// For a runtime to wait on; it shares this socket.
    ///
    /// # Errors
    /// The kernel's: no file descriptor is left.
    pub fn waits(&self) -> io::Result<std::net::UdpSocket> {
        Ok(self.socket.try_clone()?.into())
    }

    /// Takes the packets that wait, as many as there is room for in the batch; none when the socket is empty.
    ///
    /// # Errors
    /// The kernel's; the socket can be used on.
    pub fn receive<'a>(
        &mut self,
        batch: &'a mut Batch,
    ) -> io::Result<impl Iterator<Item = BfdDatagram<'a>> + use<'a>> {
        let datagrams = batch.receive(&self.socket, &mut self.clock)?;
        Ok(datagrams.filter_map(|(datagram, received)| {
            Some(BfdDatagram {
                payload: datagram.bytes,
                ttl: datagram.hop_limit.unwrap_or(0),
                source: datagram.source?,
                destination: datagram.destination?,
                interface: datagram.interface,
                received,
            })
        }))
    }
}

/// A socket that one session sends by.
#[derive(Debug)]
pub struct BfdSender {
    socket: Socket,
}

impl BfdSender {
    /// Opens one towards `peer`, a link-local one with the number of its interface. `interface` is the only one to send by.
    ///
    /// # Errors
    /// The kernel's: the interface is gone, or `source` is none of this node's addresses.
    pub fn open(
        peer: IpAddr,
        port: u16,
        source: Option<IpAddr>,
        interface: Option<(&str, u32)>,
    ) -> io::Result<Self> {
        let domain = if peer.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if peer.is_ipv4() {
            socket.set_ttl_v4(HOP_LIMIT)?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
        } else {
            socket.set_only_v6(true)?;
            socket.set_unicast_hops_v6(HOP_LIMIT)?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
        }
        let scope = interface.map_or(0, |(_, index)| index);
        let scoped = |address: IpAddr, port| match address {
            IpAddr::V4(v4) => SocketAddr::from((v4, port)),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, scope).into(),
            IpAddr::V6(v6) => (v6, port).into(),
        };
        if let Some((name, _)) = interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        let any =
            if peer.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let own = source.unwrap_or(any);
        let mut tries = TRIES;
        while let Err(error) = socket.bind(&scoped(own, fastrand::u16(SOURCE_PORTS)).into()) {
            tries -= 1;
            if tries == 0 || error.raw_os_error() != Some(Errno::EADDRINUSE as i32) {
                return Err(error);
            }
        }
        socket.connect(&scoped(peer, port).into())?;
        Ok(Self { socket })
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// The kernel's; `ECONNREFUSED` tells that the neighbour does not listen.
    pub fn send(&self, payload: &[u8]) -> io::Result<()> {
        self.socket.send(payload).map(|_| ())
    }
}
