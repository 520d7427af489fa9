// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Lines of a stream, none longer than a server may make us remember.

use std::io;

use futures::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is read. etcd holds no object of more than 1.5 MiB unless told to.
const LONGEST: usize = 16 << 20;

/// Reads lines one after the other into one buffer.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// The next line without its end; `None` at the end of the stream, also in the middle of a line.
    pub(crate) async fn next(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let (taken, ended) = match available.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (available.len(), false),
            };
            self.line.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.reader.consume_unpin(taken);
            if self.line.len() > LONGEST {
                let text = format!("a line has more than {} MiB", LONGEST >> 20);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            if ended {
                let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
                let text = std::str::from_utf8(line);
                return text.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_half_a_line_is_the_end() {
        let mut lines = Lines::new(futures::io::Cursor::new("one\n\ntwo\nhal"));
        assert_eq!(lines.next().await.unwrap(), Some("one"));
        assert_eq!(lines.next().await.unwrap(), Some(""));
        assert_eq!(lines.next().await.unwrap(), Some("two"));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_line_without_end_and_bytes_that_are_no_text_are_errors() {
        let endless = futures::io::BufReader::new(futures::io::repeat(b'x'));
        assert_eq!(Lines::new(endless).next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let binary = futures::io::Cursor::new([0xff, 0xfe, b'\n']);
        assert_eq!(Lines::new(binary).next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
