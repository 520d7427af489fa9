// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Socket options that neither socket2 nor nix has.

use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;

/// setsockopt(2) with a value of plain data.
pub(super) fn set_option<T: Plain>(socket: &Socket, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    #[expect(unsafe_code, reason = "neither socket2 nor nix has these options")]
    // SAFETY: the pointer is to a live value of that length, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Types without padding, which the kernel may read byte by byte.
pub(super) trait Plain {}
impl Plain for i32 {}
impl Plain for [u32; 8] {}
