// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The raw socket on which routers advertise themselves to hosts (RFC 4861), on one interface.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use ferrolb_bgp::discovery::Say;
use ferrolb_layer2::frame::ndp::ALL_NODES;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::Batch;
use super::links::LinkIndex;
use super::receive_clock::{Now, ReceiveClock};
use super::socket_option::set_option;

/// Every router of the link (RFC 4291, section 2.7.1).
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// RFC 4861, section 4.1.
const HOP_LIMIT: u32 = 255;
/// The only type that the kernel hands over (RFC 4861, section 4.2).
const ADVERTISEMENT: usize = 134;
/// `ICMP6_FILTER` of linux/icmpv6.h, which the libc crate does not have.
const ICMP6_FILTER: i32 = 1;

/// An advertisement as it came in: ICMPv6, its checksum seen to by the kernel.
#[derive(Debug)]
pub struct Advertised<'a> {
    /// From the type on, not yet checked in any other way.
    pub message: &'a [u8],
    /// The sender's address.
    pub source: Ipv6Addr,
    /// The hop limit on arrival; 0 if the kernel did not say.
    pub hop_limit: u8,
}

/// A non-blocking socket for the advertisements of one interface.
#[derive(Debug)]
pub struct RouterDiscoverySocket {
    socket: Socket,
    clock: ReceiveClock,
    link: LinkIndex,
}

impl RouterDiscoverySocket {
    /// Opens one on the interface `link`, named `name`.
    ///
    /// # Errors
    /// The kernel's: the interface is gone, or the right to open raw sockets is missing (`CAP_NET_RAW`).
    pub fn open(link: LinkIndex, name: &str) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
        // Each bit that is set keeps a type out.
        let mut kept_out = [u32::MAX; 8];
        if let Some(word) = kept_out.get_mut(ADVERTISEMENT / 32) {
            *word &= !(1 << (ADVERTISEMENT % 32));
        }
        set_option(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &kept_out)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.set_multicast_hops_v6(HOP_LIMIT)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_if_v6(link)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        Ok(Self { socket, clock: ReceiveClock::new(Now::read()), link })
    }

    /// For a runtime to wait on; it shares this socket.
    ///
    /// # Errors
    /// The kernel's: no file descriptor is left.
    pub fn waits(&self) -> io::Result<std::net::UdpSocket> {
        Ok(self.socket.try_clone()?.into())
    }

    /// Takes what waits, as much as there is room for in the batch.
    ///
    /// # Errors
    /// The kernel's; the socket can be used on.
    pub fn receive<'a>(
        &mut self,
        batch: &'a mut Batch,
    ) -> io::Result<impl Iterator<Item = Advertised<'a>> + use<'a>> {
        let datagrams = batch.receive(&self.socket, &mut self.clock)?;
        Ok(datagrams.filter_map(|(datagram, _)| match datagram.source? {
            IpAddr::V6(source) => {
                let hop_limit = datagram.hop_limit.unwrap_or(0);
                Some(Advertised { message: datagram.bytes, source, hop_limit })
            }
            IpAddr::V4(_) => None,
        }))
    }

    /// Sends a message to whom it is for on the link; the kernel adds the checksum.
    ///
    /// # Errors
    /// The kernel's: most often the interface has no link-local address yet.
    pub fn send(&self, say: Say, message: &[u8]) -> io::Result<()> {
        let group = match say {
            Say::Solicitation => ALL_ROUTERS,
            Say::Advertisement => ALL_NODES,
        };
        let to = SocketAddrV6::new(group, 0, 0, self.link);
        self.socket.send_to(message, &to.into()).map(|_| ())
    }
}
