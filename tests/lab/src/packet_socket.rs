// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whole Ethernet frames, in and out of a namespace's `eth0`.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::bind;
use socket2::{Domain, Protocol, Socket, Type};

/// Ethernet types, IEEE.
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
/// Every frame, linux/if_ether.h.
pub(crate) const ALL: u16 = 0x0003;

/// Longest frame that is looked at.
const LONGEST: usize = 2048;

/// An AF_PACKET socket on `eth0` of the namespace that the calling thread is in.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// Opens a socket for frames of one Ethernet type. `patience` is how long [`PacketSocket::receive`] waits.
    pub(crate) fn open(ether_type: u16, patience: Duration) -> Result<Self> {
        let protocol = Protocol::from(i32::from(ether_type.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))
            .context("opening a packet socket (CAP_NET_RAW)")?;
        let address = getifaddrs()?
            .filter(|interface| interface.interface_name == "eth0")
            .filter_map(|interface| interface.address)
            .find(|address| address.as_link_addr().is_some())
            .context("there is no eth0 here")?;
        // The kernel keeps the socket's protocol when the address names none.
        bind(socket.as_raw_fd(), &address).context("binding a packet socket to eth0")?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_recv_buffer_size(4 << 20)?;
        Ok(Self { socket })
    }

    /// Sends one frame.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }

    /// The next frame, or `None` if none came in time.
    pub(crate) fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; LONGEST];
        match io::Read::read(&mut &self.socket, &mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            // A machine that was paused and woken interrupts reads that have a time limit, handler or not: signal(7).
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            // The link went down: a packet socket says so once and goes on.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENETDOWN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A second handle, for a thread of its own.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()? })
    }
}
