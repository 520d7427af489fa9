// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reading many datagrams with one system call (recvmmsg(2)): among a thousand nodes forty hellos wait at every look.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use socket2::Socket;

use super::receive_clock::{Now, ReceiveClock};

/// Datagrams read at once.
const SLOTS: usize = 64;
/// Longer than any hello; of a longer datagram the rest is cut off.
const SLOT_BYTES: usize = 2048;
/// Room for what the kernel says of one datagram: a stamp, a hop limit, and where it was sent to.
const CONTROL_BYTES: usize = 128;
/// A sockaddr_in6, the longer one of the two that come.
const ADDRESS_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// Room for some datagrams, and for what the kernel says of each.
#[derive(Debug)]
pub struct Batch {
    slots: Vec<Slot>,
    /// How many slots the last reading filled.
    filled: usize,
}

/// Control messages are read and written where a header may stand.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

#[derive(Debug)]
struct Slot {
    bytes: Vec<u8>,
    control: Control,
    address: [u8; ADDRESS_BYTES],
    length: usize,
    control_length: usize,
    address_length: usize,
}

/// A datagram and what the kernel says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) source: Option<IpAddr>,
    pub(super) destination: Option<IpAddr>,
    /// The number of the interface that it came in by.
    pub(super) interface: Option<NonZeroU32>,
    pub(super) hop_limit: Option<u8>,
    /// When it arrived, on the wall clock.
    pub(super) stamp: Option<SystemTime>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: std::iter::repeat_with(Slot::new).take(SLOTS).collect(), filled: 0 }
    }

    /// Whether the last reading may have left datagrams in the socket.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.filled >= self.slots.len()
    }

    /// Reads what waits in the socket, as far as there is room: each with when it arrived, as `clock` of that socket has it.
    pub(super) fn receive<'a>(
        &'a mut self,
        socket: &Socket,
        clock: &mut ReceiveClock,
    ) -> io::Result<impl Iterator<Item = (Told<'a>, Instant)> + use<'a>> {
        let asked = Now::read();
        self.fill(socket)?;
        let (now, before) = (Now::read(), *clock);
        if !self.is_full() {
            clock.seen_empty(asked);
        }
        let told = self.slots.iter().take(self.filled).map(Slot::told);
        Ok(told.map(move |told| (told, before.received(now, told.stamp))))
    }

    /// Reads what waits in the socket, as far as there is room, in place of what was read before.
    fn fill(&mut self, socket: &Socket) -> io::Result<()> {
        self.filled = 0;
        let mut vectors: Vec<libc::iovec> = self.slots.iter_mut().map(Slot::vector).collect();
        let slots = self.slots.iter_mut().zip(&mut vectors);
        let mut headers: Vec<libc::mmsghdr> = slots.map(|(slot, vector)| slot.header(vector)).collect();
        let count = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
        let received = loop {
            #[expect(unsafe_code, reason = "nix's wrapper keeps pointers that may not leave the thread")]
            // SAFETY: `count` headers point to buffers of the lengths they name: the vectors and the slots, which live and
            // stay where they are until the call is over. Nothing is awaited, so there is no time limit to point to.
            let received = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    count,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
            match Errno::result(received) {
                Ok(received) => break received,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        };
        self.filled = usize::try_from(received).unwrap_or(0).min(headers.len());
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(self.filled) {
            slot.note(header);
        }
        Ok(())
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            bytes: vec![0; SLOT_BYTES],
            control: Control([0; CONTROL_BYTES]),
            address: [0; ADDRESS_BYTES],
            length: 0,
            control_length: 0,
            address_length: 0,
        }
    }

    fn vector(&mut self) -> libc::iovec {
        libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() }
    }

    fn header(&mut self, vector: &mut libc::iovec) -> libc::mmsghdr {
        #[expect(
            unsafe_code,
            reason = "msghdr has private padding on some systems, so it cannot be written out"
        )]
        // SAFETY: mmsghdr is plain data: null pointers and lengths of zero are valid values of its members.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = self.address.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
        header.msg_hdr.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = CONTROL_BYTES;
        header
    }

    /// Takes over the lengths that the kernel wrote.
    fn note(&mut self, header: &libc::mmsghdr) {
        self.length = usize::try_from(header.msg_len).unwrap_or(0);
        self.control_length = header.msg_hdr.msg_controllen;
        self.address_length = usize::try_from(header.msg_hdr.msg_namelen).unwrap_or(0);
    }

    fn told(&self) -> Told<'_> {
        let address = self.address.get(..self.address_length).unwrap_or(&self.address);
        let control = self.control.0.get(..self.control_length).unwrap_or(&self.control.0);
        let mut told = Told {
            bytes: self.bytes.get(..self.length).unwrap_or(&self.bytes),
            source: source(address),
            destination: None,
            interface: None,
            hop_limit: None,
            stamp: None,
        };
        for (level, kind, data) in Controls(control) {
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => told.stamp = wall_time(data),
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    told.hop_limit = first(data).and_then(|hops| u8::try_from(i32::from_ne_bytes(hops)).ok());
                }
                // in_pktinfo: the interface, the address of ours, then the destination in the header.
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    told.interface = number(data);
                    told.destination = data.get(8..).and_then(first::<4>).map(IpAddr::from);
                }
                // in6_pktinfo: the destination, then the interface.
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    told.interface = data.get(16..).and_then(number);
                    told.destination = first::<16>(data).map(IpAddr::from);
                }
                _ => {}
            }
        }
        told
    }
}

/// The control messages in a buffer: level, kind, content (cmsg(3)).
struct Controls<'a>(&'a [u8]);

impl<'a> Iterator for Controls<'a> {
    type Item = (libc::c_int, libc::c_int, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        const WORD: usize = size_of::<usize>();
        const HEADER: usize = WORD + 2 * size_of::<libc::c_int>();
        let length = usize::from_ne_bytes(first(self.0)?);
        let level = libc::c_int::from_ne_bytes(first(self.0.get(WORD..)?)?);
        let kind = libc::c_int::from_ne_bytes(first(self.0.get(WORD + size_of::<libc::c_int>()..)?)?);
        let data = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        Some((level, kind, data))
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

fn number(bytes: &[u8]) -> Option<NonZeroU32> {
    first(bytes).and_then(|octets| NonZeroU32::new(u32::from_ne_bytes(octets)))
}

/// The address in a sockaddr_in or sockaddr_in6: family, port, then the address, in IPv6 after the flow label.
fn source(address: &[u8]) -> Option<IpAddr> {
    match libc::c_int::from(u16::from_ne_bytes(first(address)?)) {
        libc::AF_INET => Some(IpAddr::from(first::<4>(address.get(4..)?)?)),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(first::<16>(address.get(8..)?)?))),
        _ => None,
    }
}

/// What a timespec says, as seconds and nanoseconds since 1970.
fn wall_time(stamp: &[u8]) -> Option<SystemTime> {
    const SECONDS: usize = size_of::<libc::time_t>();
    let seconds = libc::time_t::from_ne_bytes(first(stamp)?);
    let nanoseconds = libc::c_long::from_ne_bytes(first(stamp.get(SECONDS..)?)?);
    let (seconds, nanoseconds) = (u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(length: usize, level: libc::c_int, kind: libc::c_int, data: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    #[test]
    fn control_messages_are_read_one_after_another() {
        let mut bytes = control(20, 1, 2, &[7, 0, 0, 0]);
        bytes.extend(control(24, 3, 4, &[1, 2, 3, 4, 5, 6, 7, 8]));
        let read: Vec<_> = Controls(&bytes).collect();
        assert_eq!(read, [(1, 2, &[7, 0, 0, 0][..]), (3, 4, &[1, 2, 3, 4, 5, 6, 7, 8])]);
    }

    #[test]
    fn no_length_leads_beyond_the_buffer_or_in_a_circle() {
        for length in [0, 1, 15, 16, 17, 63, 64, 65, usize::MAX] {
            let bytes = control(length, 1, 2, &[0; 48]);
            assert!(Controls(&bytes).count() <= 4, "{length}");
        }
        for cut in 0..16 {
            assert_eq!(Controls(&vec![0xff; cut]).count(), 0);
        }
    }

    #[test]
    fn addresses_of_both_families_are_read_and_others_are_not() {
        let mut v4 = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        v4.extend([0x1f, 0x0c, 192, 0, 2, 1, 0, 0]);
        assert_eq!(source(&v4), Some(IpAddr::from([192, 0, 2, 1])));
        let mut v6 = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        v6.extend([0x1f, 0x0c, 0, 0, 0, 0]);
        v6.extend("fe80::1".parse::<Ipv6Addr>().expect("an address").octets());
        assert_eq!(source(&v6), "fe80::1".parse().ok());
        assert_eq!(source(&v6[..20]), None);
        assert_eq!(source(&[0; 16]), None);
    }
}
