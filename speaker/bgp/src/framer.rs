// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Messages out of a stream: a buffer of fixed size, whatever the peer sends.

use crate::{
    fault::Fault,
    length::{EXTENDED_LEN, STANDARD_LEN},
    message::Frame,
};

/// Holds what was received and not yet taken: one message of the agreed length at most, and never allocates otherwise.
///
/// ```
/// use ferrolb_bgp::{Framer, Message};
///
/// let mut framer = Framer::new();
/// let received = Message::Keepalive.to_bytes();
/// framer.room()[..received.len()].copy_from_slice(&received); // a socket reads into it
/// framer.filled(received.len());
/// while let Some(frame) = framer.next_frame()? {
///     assert_eq!(Message::decode(frame)?, Message::Keepalive);
/// }
/// # Ok::<(), ferrolb_bgp::Fault>(())
/// ```
#[derive(Clone, Debug)]
pub struct Framer {
    /// As long as the longest message that may come.
    buffer: Vec<u8>,
    /// What is before was taken.
    start: usize,
    /// What is from here on was not received.
    end: usize,
}

impl Framer {
    /// For messages of up to 4,096 octets.
    pub fn new() -> Self {
        Self { buffer: vec![0; STANDARD_LEN], start: 0, end: 0 }
    }

    /// Takes messages of up to 65,535 octets from now on: both sides said that they can (RFC 8654).
    pub fn allow_extended(&mut self) {
        self.buffer.resize(EXTENDED_LEN, 0);
    }

    /// Where to read into; follow with [`Framer::filled`]. Never empty once [`Framer::next_frame`] returned `None`.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `count` octets of [`Framer::room`] were received.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// The next message; `None` until more is received.
    ///
    /// # Errors
    /// Those of [`Frame::first_of`]. The place in the stream is lost then: the error stays.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Fault> {
        let received = self.buffer.get(self.start..self.end).unwrap_or_default();
        let frame = Frame::first_of(received, self.buffer.len())?;
        if let Some(frame) = frame {
            self.start += frame.message().len();
        }
        Ok(frame)
    }
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::{Kind, Message},
        notification::{Code, Notification},
        update::UpdateBody,
    };

    fn feed(framer: &mut Framer, bytes: &[u8]) -> usize {
        let room = framer.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        framer.filled(count);
        count
    }

    #[test]
    fn messages_come_out_whole_however_the_stream_is_cut() {
        let body = vec![0; 4_000];
        let messages = [
            Message::Keepalive,
            Message::Update(UpdateBody::new(&body)),
            Message::Notification(Notification::new(Code::CEASE)),
            Message::Update(UpdateBody::new(&[0; 4])),
            Message::Keepalive,
        ];
        let stream: Vec<u8> = messages.iter().flat_map(Message::to_bytes).collect();
        for step in [1, 7, 19, 1_000, 4_096, 10_000] {
            let (mut framer, mut heard) = (Framer::new(), Vec::new());
            for part in stream.chunks(step) {
                let mut part = part;
                while !part.is_empty() {
                    let taken = feed(&mut framer, part);
                    assert!(taken > 0, "there is always room");
                    part = &part[taken..];
                    while let Some(frame) = framer.next_frame().unwrap() {
                        heard.push(frame.message().to_vec());
                    }
                }
            }
            assert_eq!(heard.concat(), stream, "in parts of {step}");
            assert_eq!(heard.len(), messages.len());
        }
    }

    #[test]
    fn a_message_of_the_greatest_length_fits_and_the_buffer_does_not_grow() {
        let body = vec![0; EXTENDED_LEN - 19];
        let long = Message::Update(UpdateBody::new(&body)).to_bytes();
        let mut framer = Framer::new();
        feed(&mut framer, &long);
        assert!(matches!(framer.next_frame(), Err(Fault::Length { length: 65_535, .. })));

        let mut framer = Framer::new();
        framer.allow_extended();
        assert_eq!(feed(&mut framer, &long), EXTENDED_LEN);
        assert_eq!(framer.next_frame().unwrap().unwrap().kind(), Kind::Update);
        assert_eq!(framer.room().len(), EXTENDED_LEN);
    }

    #[test]
    fn a_broken_stream_stays_broken() {
        let mut framer = Framer::new();
        feed(&mut framer, b"SSH-2.0-OpenSSH_9.2p1\r\n");
        assert_eq!(framer.next_frame(), Err(Fault::Marker));
        feed(&mut framer, &Message::Keepalive.to_bytes());
        assert_eq!(framer.next_frame(), Err(Fault::Marker));
    }
}
