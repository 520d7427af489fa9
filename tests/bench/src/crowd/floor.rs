// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What hearing a crowd costs whoever does it: the kernel hands over each datagram with its stamp, its hop limit and its
//! destination, and one HMAC tells whether to believe it. The rest of a speaker's share is its own.

use std::hint::black_box;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use ferrolb_lab::Namespace;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::PORT;

/// As long as a speaker lets the hellos of a crowd gather.
const GATHER: Duration = Duration::from_millis(4);
const AT_ONCE: usize = 64;
const SLOT_BYTES: usize = 2048;
const BUFFER_BYTES: usize = 4 << 20;
/// Long enough for a stamp, a hop limit and a destination.
const CONTROL_BYTES: usize = 128;
const TAGS: u32 = 100_000;

/// Both parts, as time of a processor for one hello.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Floor {
    receiving: Duration,
    tag: Duration,
}

impl Floor {
    /// Receives the crowd's hellos, of so many bytes, in `namespace` for a while and forgets them; then computes tags.
    pub(super) fn measure(namespace: &Namespace, bytes: usize, time: Duration) -> Result<Self> {
        let receiver = namespace.start("floor", move || receive(time))?;
        let receiving = receiver.join().map_err(|_| anyhow!("the bare receiver panicked"))??;
        Ok(Self { receiving, tag: tag(bytes)? })
    }

    /// The share of a core at so many hellos a second: of receiving alone, and of the tags alone.
    pub(super) fn cores(&self, rate: f64) -> (f64, f64) {
        (self.receiving.as_secs_f64() * rate, self.tag.as_secs_f64() * rate)
    }
}

fn receive(time: Duration) -> Result<Duration> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    let mut headers =
        MultiHeaders::<SockaddrStorage>::preallocate(AT_ONCE, Some(Vec::with_capacity(CONTROL_BYTES)));
    let mut buffer = vec![0; AT_ONCE * SLOT_BYTES];
    let (end, before) = (Instant::now() + time, thread_time()?);
    let mut received = 0_u32;
    while Instant::now() < end {
        thread::sleep(GATHER);
        loop {
            let mut slots: Vec<_> =
                buffer.chunks_mut(SLOT_BYTES).map(|slot| [IoSliceMut::new(slot)]).collect();
            let flags = MsgFlags::MSG_DONTWAIT;
            let count = match recvmmsg(socket.as_raw_fd(), &mut headers, slots.iter_mut(), flags, None) {
                Ok(datagrams) => datagrams.count(),
                Err(Errno::EAGAIN) => 0,
                Err(error) => return Err(error.into()),
            };
            received = received.saturating_add(u32::try_from(count)?);
            if count < AT_ONCE {
                break;
            }
        }
    }
    ensure!(received > 0, "the bare receiver hears nobody");
    Ok((thread_time()?.saturating_sub(before)) / received)
}

fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// One HMAC-SHA-256 over a hello of so many bytes, its own tag left out.
fn tag(bytes: usize) -> Result<Duration> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let hello = vec![7; bytes.saturating_sub(ferrolb_layer2::keys::TAG_LEN)];
    let before = thread_time()?;
    for _ in 0..TAGS {
        black_box(hmac::sign(&key, black_box(&hello)));
    }
    Ok(thread_time()?.saturating_sub(before) / TAGS)
}
