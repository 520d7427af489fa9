// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reading one frame with what the kernel tells about it: the time of arrival.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::Socket;

use super::receive_clock::{Now, ReceiveClock};

/// What came with a datagram; its bytes are in the caller's buffer.
pub(super) struct Datagram {
    pub(super) length: usize,
    pub(super) received: Instant,
}

/// The receiving half of one socket.
#[derive(Debug)]
pub(super) struct Receiver {
    clock: ReceiveClock,
    control: Vec<u8>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { clock: ReceiveClock::new(Now::read()), control: nix::cmsg_space!(libc::timespec) }
    }

    /// Takes the next datagram; none when the socket is empty. A datagram longer than the buffer is cut.
    pub(super) fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
        let asked = Now::read();
        let mut slices = [IoSliceMut::new(buffer)];
        let message = loop {
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), flags)
            {
                Ok(message) => break message,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.clock.seen_empty(asked);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        };
        let mut stamp = None;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmTimestampns(time) = control {
                stamp = wall_time(time);
            }
        }
        let received = self.clock.received(Now::read(), stamp);
        Ok(Some(Datagram { length: message.bytes, received }))
    }
}

fn wall_time(stamp: TimeSpec) -> Option<SystemTime> {
    let seconds = u64::try_from(stamp.tv_sec()).ok()?;
    let nanoseconds = u32::try_from(stamp.tv_nsec()).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

/// Asks the kernel to stamp every datagram with its time of arrival.
pub(super) fn stamp(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

/// Gives the socket a receive buffer of `bytes`, beyond the system's limit where we may (`CAP_NET_ADMIN`).
pub(super) fn enlarge_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &bytes) {
        Err(Errno::EPERM) => socket.set_recv_buffer_size(bytes),
        result => Ok(result?),
    }
}
