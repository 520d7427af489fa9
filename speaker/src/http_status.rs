// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One GET over HTTP/1.1 (RFC 9112), of whose answer only the status is read: that is all that a health check asks for.
//! A client library for one line of text would be most of the speaker.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// As much of an answer as is read: `HTTP/1.1 200`.
const STATUS_LINE: u64 = 12;

/// The status that a server answers with. `host` and `path` are free of spaces and control characters.
pub(crate) async fn status_of(address: SocketAddr, host: &str, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = Vec::new();
    stream.take(STATUS_LINE).read_to_end(&mut start).await?;
    status_in(&start).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn status_in(answer: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(answer).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}
