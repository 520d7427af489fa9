// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Loopback ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Above what the kernel gives to outgoing connections by default (`ip_local_port_range`), so that none of those takes the port between
/// this look and the server's start.
const PORTS: std::ops::RangeInclusive<u16> = 61_000..=65_500;

/// How many ports are tried.
const TRIES: usize = 200;

/// Three ports on which nobody listens now.
///
/// # Errors
/// Two hundred were tried and taken.
pub(crate) fn free_three() -> Result<[u16; 3]> {
    // All are held until the last is found, so that none is found twice.
    let mut tries =
        std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, fastrand::u16(PORTS))))
            .take(TRIES)
            .flatten();
    let mut next = || tries.next().context("no free port from 61000 to 65500 was found");
    let held = [next()?, next()?, next()?];
    let [first, second, third] = &held;
    let port = |listener: &TcpListener| -> Result<u16> { Ok(listener.local_addr()?.port()) };
    Ok([port(first)?, port(second)?, port(third)?])
}
