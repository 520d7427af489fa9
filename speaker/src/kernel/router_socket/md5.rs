// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Signed segments (RFC 2385): the kernel drops what is signed with another key, without a word to anybody.

use std::fmt;
use std::io;
use std::net::IpAddr;

use nix::errno::Errno;
use socket2::{Domain, Socket};
use thiserror::Error;

use super::super::socket_option::{Plain, set_option};

/// Most octets of a password.
pub const MAX_PASSWORD: usize = libc::TCP_MD5SIG_MAXKEYLEN;

/// A password as the kernel takes it: 1 to 80 octets. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a TCP MD5 password has 1 to {MAX_PASSWORD} octets, this one has {0}")]
pub struct BadPassword(usize);

impl Password {
    /// # Errors
    /// It is empty or too long: it would be refused, or cut, which is another password.
    pub fn new(octets: &[u8]) -> Result<Self, BadPassword> {
        if (1..=MAX_PASSWORD).contains(&octets.len()) {
            Ok(Self(octets.to_vec()))
        } else {
            Err(BadPassword(octets.len()))
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// `struct tcp_md5sig` of linux/tcp.h, which the libc crate does not have.
#[repr(C)]
pub(super) struct Key {
    address: [u8; 128],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: i32,
    key: [u8; MAX_PASSWORD],
}

const _: () = assert!(size_of::<Key>() == 216);

impl Plain for Key {}

/// `TCP_MD5SIG_FLAG_PREFIX`: the key is for all addresses with this prefix; here one of full length.
const FLAG_PREFIX: u8 = 1;

/// The key that `socket` shares with `peer` from now on; `None` removes it.
pub(super) fn set(socket: &Socket, peer: IpAddr, password: Option<&Password>) -> io::Result<()> {
    let address = match peer {
        // On a socket of both families an IPv4 peer is known by its mapped address.
        IpAddr::V4(v4) if socket.domain()? == Domain::IPV6 => v4.to_ipv6_mapped().into(),
        other => other,
    };
    let key = Key::new(address, password);
    match set_option(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG_EXT, &key) {
        // There was none to remove.
        Err(error) if password.is_none() && error.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(()),
        done => done,
    }
}

impl Key {
    fn new(peer: IpAddr, password: Option<&Password>) -> Self {
        let (family, at, octets, prefix_len): (_, usize, Vec<u8>, u8) = match peer {
            // Behind family and port in `sockaddr_in`; behind the flow label too in `sockaddr_in6`.
            IpAddr::V4(v4) => (libc::AF_INET, 4, v4.octets().into(), 32),
            IpAddr::V6(v6) => (libc::AF_INET6, 8, v6.octets().into(), 128),
        };
        let mut address = [0; 128];
        write(&mut address, 0, &(family as libc::sa_family_t).to_ne_bytes());
        write(&mut address, at, &octets);
        let octets = password.map_or(&[][..], |password| &password.0);
        let mut key = [0; MAX_PASSWORD];
        write(&mut key, 0, octets);
        // At most 80.
        let key_len = octets.len() as u16;
        Self { address, flags: FLAG_PREFIX, prefix_len, key_len, interface: 0, key }
    }
}

fn write(to: &mut [u8], at: usize, octets: &[u8]) {
    for (place, octet) in to.iter_mut().skip(at).zip(octets) {
        *place = *octet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_the_kernel_and_is_not_shown() {
        assert_eq!(Password::new(b""), Err(BadPassword(0)));
        assert_eq!(Password::new(&[b'x'; 81]), Err(BadPassword(81)));
        let longest = Password::new(&[b'x'; 80]).unwrap();
        assert_eq!(format!("{longest:?}"), "Password(…)");
    }
}
