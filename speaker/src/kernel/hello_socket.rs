// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The UDP socket on which speakers of one segment hear each other.
//!
//! Hellos go to the all-hosts groups 224.0.0.1 and ff02::1: every host is a member without asking, and switches
//! flood them whatever their snooping (RFC 4541, 2.1.2 and 3). They leave with TTL or hop limit 255, so that a
//! receiver can tell a hello of its own segment from one that was routed to it (RFC 5082).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::Batch;
use super::links::LinkIndex;
use super::receive;
use super::receive_clock::{Now, ReceiveClock};

/// The UDP port of hellos, source and destination.
pub const HELLO_PORT: u16 = 7948;

const ALL_HOSTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_NODES_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const HOP_LIMIT: u32 = 255;
/// Network control, class selector 6 (RFC 4594): hellos pass before bulk traffic in queues that look at it.
const TRAFFIC_CLASS: u32 = 0xc0;
/// Holds the hellos of a large segment for as long as the process may sleep and still judge by them.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// The address family of a hello socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A hello as it came in.
#[derive(Debug)]
pub struct HelloDatagram<'a> {
    /// The UDP payload, not yet checked in any way.
    pub payload: &'a [u8],
    /// TTL or hop limit on arrival; 255 unless a router has touched it. 0 if the kernel did not say.
    pub hop_limit: u8,
    /// The sender's address.
    pub source: IpAddr,
    /// It was sent to this node alone.
    pub is_unicast: bool,
    /// When the kernel took it from the wire.
    pub received: Instant,
}

/// A non-blocking UDP socket bound to one interface and the hello port.
#[derive(Debug)]
pub struct HelloSocket {
    socket: Socket,
    clock: ReceiveClock,
    family: Family,
    link: LinkIndex,
}

impl HelloSocket {
    /// Opens a socket on the interface `link`, named `name`. A second socket on the same interface and port can be
    /// opened beside it, so that a speaker can start while its predecessor stops.
    ///
    /// # Errors
    /// The kernel's: the interface is gone, the family is switched off, or a right is missing.
    pub fn open(link: LinkIndex, name: &str, family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        receive::enlarge_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        receive::stamp(&socket)?;
        match family {
            Family::V4 => {
                socket.set_multicast_ttl_v4(HOP_LIMIT)?;
                socket.set_ttl_v4(HOP_LIMIT)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
                setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, HELLO_PORT)).into())?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                socket.set_multicast_hops_v6(HOP_LIMIT)?;
                socket.set_unicast_hops_v6(HOP_LIMIT)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_if_v6(link)?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, HELLO_PORT)).into())?;
            }
        }
        Ok(Self { socket, clock: ReceiveClock::new(Now::read()), family, link })
    }

    /// The address family it speaks.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Takes the hellos that wait, as many as there is room for in the batch; none when the socket is empty.
    ///
    /// # Errors
    /// The kernel's; the socket can be used on.
    pub fn receive<'a>(
        &mut self,
        batch: &'a mut Batch,
    ) -> io::Result<impl Iterator<Item = HelloDatagram<'a>> + use<'a>> {
        let datagrams = batch.receive(&self.socket, &mut self.clock)?;
        Ok(datagrams.filter_map(|(datagram, received)| {
            Some(HelloDatagram {
                payload: datagram.bytes,
                hop_limit: datagram.hop_limit.unwrap_or(0),
                source: datagram.source?,
                is_unicast: datagram.destination.is_some_and(|address| !address.is_multicast()),
                received,
            })
        }))
    }

    /// Sends a hello to every station of the segment.
    ///
    /// # Errors
    /// The kernel's, such as `ENETDOWN`, `ENOBUFS`, or `ENETUNREACH` while the interface has no address.
    pub fn multicast(&self, payload: &[u8]) -> io::Result<()> {
        match self.family {
            Family::V4 => self.send(payload, IpAddr::V4(ALL_HOSTS_V4)),
            Family::V6 => self.send(payload, IpAddr::V6(ALL_NODES_V6)),
        }
    }

    /// Sends a hello to one station of the segment, whose address must be of this socket's family.
    ///
    /// # Errors
    /// The kernel's, as for [`HelloSocket::multicast`].
    pub fn unicast(&self, payload: &[u8], to: IpAddr) -> io::Result<()> {
        self.send(payload, to)
    }

    fn send(&self, payload: &[u8], to: IpAddr) -> io::Result<()> {
        let to: SocketAddr = match to {
            IpAddr::V4(address) => (address, HELLO_PORT).into(),
            // Link-local addresses mean something on one interface only.
            IpAddr::V6(address) => SocketAddrV6::new(address, HELLO_PORT, 0, self.link).into(),
        };
        self.socket.send_to(payload, &to.into()).map(|_| ())
    }
}

impl AsFd for HelloSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
