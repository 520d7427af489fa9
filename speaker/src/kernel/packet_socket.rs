// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A raw socket (packet(7)) for one kind of frame on one interface.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use ferrolb_layer2::frame::carried;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockFilter, Socket, Type};

use super::filter;
use super::links::LinkIndex;
use super::receive::{self, Receiver};

/// Holds about 1,300 ARP frames. A longer queue would, under a flood, only fill with requests too old to answer.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// What a packet socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// ARP requests and replies (RFC 826).
    Arp,
    /// Neighbour Solicitations and Advertisements (RFC 4861).
    NeighborDiscovery,
    /// Hellos that are carried past a filter.
    CarriedHellos,
    /// What TCP ports answer to the witness, over IPv4.
    TcpAnswersV4,
    /// The same over IPv6.
    TcpAnswersV6,
}

impl FrameKind {
    const fn ethertype(self) -> u16 {
        match self {
            Self::Arp => libc::ETH_P_ARP as u16,
            Self::CarriedHellos => carried::ETHERTYPE,
            Self::TcpAnswersV4 => libc::ETH_P_IP as u16,
            Self::NeighborDiscovery | Self::TcpAnswersV6 => libc::ETH_P_IPV6 as u16,
        }
    }

    fn filter(self) -> Vec<SockFilter> {
        match self {
            Self::Arp => filter::arp(),
            Self::CarriedHellos => filter::carried_hellos(),
            Self::NeighborDiscovery => filter::neighbour_discovery(),
            Self::TcpAnswersV4 => filter::tcp_answers_v4(),
            Self::TcpAnswersV6 => filter::tcp_answers_v6(),
        }
    }
}

/// A frame as it came off the wire.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The whole Ethernet frame.
    pub bytes: &'a [u8],
    /// When the kernel took it from the wire.
    pub received: Instant,
}

/// A non-blocking raw socket that sees one kind of frame on one interface, and nothing that the node itself sends.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
    receiver: Receiver,
}

impl PacketSocket {
    /// Opens a socket on the interface `link`.
    ///
    /// The filter is in place before the socket is bound, so that no other frame ever enters its queue.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`; `ENODEV` or `ENXIO` when the interface is gone.
    pub fn open(link: LinkIndex, kind: FrameKind) -> io::Result<Self> {
        // Protocol 0 receives nothing until bind() names one.
        let socket =
            Socket::new_raw(Domain::PACKET, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(0)))?;
        socket.attach_filter(&kind.filter())?;
        receive::enlarge_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        receive::stamp(&socket)?;
        socket.bind(&link_address(kind.ethertype(), link)?)?;
        Ok(Self { socket, receiver: Receiver::new() })
    }

    /// Takes the next frame; none when the socket is empty.
    ///
    /// # Errors
    /// The kernel's, such as `ENETDOWN` once after the interface went down; the socket can be used on.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<Option<Frame<'a>>> {
        let Some(datagram) = self.receiver.receive(&self.socket, buffer)? else {
            return Ok(None);
        };
        Ok(Some(Frame {
            bytes: buffer.get(..datagram.length).unwrap_or_default(),
            received: datagram.received,
        }))
    }

    /// Sends a whole Ethernet frame.
    ///
    /// # Errors
    /// The kernel's: `ENETDOWN`, `ENOBUFS`, or `EWOULDBLOCK` when the interface's queue is full.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(|_| ())
    }

    /// How many frames the kernel has dropped since the last call because nobody read them in time.
    ///
    /// # Errors
    /// The kernel's; none is known for an open packet socket.
    pub fn take_drops(&self) -> io::Result<u32> {
        statistics(&self.socket).map(|statistics| statistics.tp_drops)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The address that binds a packet socket to a protocol and an interface.
fn link_address(ethertype: u16, link: LinkIndex) -> io::Result<SockAddr> {
    let index = i32::try_from(link).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut storage = SockAddrStorage::zeroed();
    #[expect(unsafe_code, reason = "no safe wrapper builds a sockaddr_ll with a protocol and an interface")]
    // SAFETY: sockaddr_ll is plain data that fits in sockaddr_storage, and all zeroes is a valid value of it.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = index;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "no safe wrapper builds a sockaddr_ll with a protocol and an interface")]
    // SAFETY: the storage holds a sockaddr_ll of that length, written above.
    Ok(unsafe { SockAddr::new(storage, length) })
}

/// Reads and resets the kernel's counters of a packet socket.
fn statistics(socket: &Socket) -> io::Result<libc::tpacket_stats> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "PACKET_STATISTICS has no safe wrapper")]
    // SAFETY: the pointers are to live locals, and `length` is the size of the buffer behind the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(statistics) } else { Err(io::Error::last_os_error()) }
}
