// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Router advertisements (RFC 4861) for daemons that send none themselves.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use super::Wire;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Type 134, no options; a hop limit of 64 for hosts, and a lifetime of 1800 s.
const MESSAGE: [u8; 16] = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
const EVERY: Duration = Duration::from_millis(500);

/// Advertises the router at the end of a wire, until it is dropped.
#[derive(Debug)]
pub struct Advertiser {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Advertiser {
    /// Starts it.
    ///
    /// # Errors
    /// The right to send raw packets is missing.
    pub fn start(wire: &Wire) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = wire.router.start("advertiser", move || {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
            socket.set_multicast_hops_v6(255)?;
            let link = nix::net::if_::if_nametoindex("eth0").context("the router's end")?;
            let all = SocketAddrV6::new(ALL_NODES, 0, 0, link).into();
            while !told.load(Ordering::Relaxed) {
                socket.send_to(&MESSAGE, &all)?;
                thread::sleep(EVERY);
            }
            Ok(())
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Advertiser {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it failed with shows in the test: nothing is found.
            let _ended = thread.join();
        }
    }
}
