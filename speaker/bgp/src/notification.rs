// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! NOTIFICATION: why a session ends (RFC 4271, section 4.5), with the reason in words (RFC 9003) and whether stale routes shall go
//! too (RFC 8538).

mod code;

use std::fmt;

pub use code::Code;

use crate::{
    length::{HEADER_LEN, STANDARD_LEN},
    reader::Reader,
};

/// Most octets of data in one: it always fits a message of 4,096.
pub const MAX_DATA: usize = STANDARD_LEN - HEADER_LEN - 2;
/// Most octets of a text (RFC 9003, section 2).
pub const MAX_TEXT: usize = 255;

/// The last message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    code: Code,
    data: Vec<u8>,
}

impl Notification {
    /// Without data.
    pub fn new(code: Code) -> Self {
        Self { code, data: Vec::new() }
    }

    /// With data, cut at [`MAX_DATA`] octets.
    pub fn with_data(code: Code, data: &[u8]) -> Self {
        Self { code, data: data.get(..MAX_DATA).unwrap_or(data).to_vec() }
    }

    /// Cease, administrative shutdown: the session ends because this side is taken down, for the reason in `text`. A text of more
    /// than [`MAX_TEXT`] octets is cut between two characters (RFC 9003, section 2).
    pub fn shutdown(text: &str) -> Self {
        Self::with_text(Code::ADMINISTRATIVE_SHUTDOWN, text)
    }

    /// Cease, administrative reset: the session ends and will be set up again. Text as in [`Notification::shutdown`].
    pub fn reset(text: &str) -> Self {
        Self::with_text(Code::ADMINISTRATIVE_RESET, text)
    }

    fn with_text(code: Code, text: &str) -> Self {
        let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
        let mut data = Vec::with_capacity(1 + text.len());
        crate::writer::counted8(&mut data, |out| out.extend(text.as_bytes()));
        Self { code, data }
    }

    /// The same reason as a Cease/Hard Reset, for a peer that also said the N bit: it drops our routes at once instead of keeping
    /// them stale (RFC 8538, section 3.1).
    #[must_use]
    pub fn hard(&self) -> Self {
        let mut data = vec![self.code.code, self.code.subcode];
        data.extend(&self.data);
        Self::with_data(Code::HARD_RESET, &data)
    }

    /// What a hard reset is for; `None` if it is none, or does not say.
    pub fn inner(&self) -> Option<Self> {
        match (self.code, self.data.as_slice()) {
            (Code::HARD_RESET, &[code, subcode, ref data @ ..]) => {
                Some(Self::with_data(Code { code, subcode }, data))
            }
            _ => None,
        }
    }

    /// Which kind of end.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it says beyond its code; at most [`MAX_DATA`] octets.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The reason that somebody typed in at the other side, in a hard reset too. A peer may put anything there: what is not UTF-8 is
    /// replaced, as are control characters, so that it can be shown on a terminal.
    pub fn text(&self) -> Option<String> {
        let inner = self.inner();
        let said = inner.as_ref().unwrap_or(self);
        if !matches!(said.code, Code::ADMINISTRATIVE_SHUTDOWN | Code::ADMINISTRATIVE_RESET) {
            return None;
        }
        let text = String::from_utf8_lossy(Reader::new(&said.data).counted8()?);
        let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        (!text.is_empty()).then(|| text.chars().map(shown).collect())
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut body = Reader::new(body);
        let code = Code { code: body.u8()?, subcode: body.u8()? };
        Some(Self::with_data(code, body.rest()))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend([self.code.code, self.code.subcode]);
        out.extend(&self.data);
    }
}

/// As people read it: `Cease/Administrative Shutdown: "maintenance"`.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(inner) = self.inner() {
            write!(f, " ({})", inner.code)?;
        }
        match self.text() {
            Some(text) => write!(f, ": {text:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(notification: &Notification) -> Vec<u8> {
        let mut out = Vec::new();
        notification.encode(&mut out);
        out
    }

    #[test]
    fn a_shutdown_with_its_reason_both_ways() {
        // RFC 9003, section 2: length, then text.
        let expected = [6, 2, 5, b'd', b'r', b'a', b'i', b'n'];
        let sent = Notification::shutdown("drain");
        assert_eq!(bytes(&sent), expected);
        assert_eq!(Notification::decode(&expected), Some(sent.clone()));
        assert_eq!(sent.to_string(), "Cease/Administrative Shutdown: \"drain\"");
    }

    #[test]
    fn a_hard_reset_carries_the_reason_inside() {
        // RFC 8538, section 3.1: code and subcode of the reason, then its data.
        let sent = Notification::reset("new key").hard();
        assert_eq!(bytes(&sent), [&[6, 9, 6, 4, 7], b"new key".as_slice()].concat());
        let heard = Notification::decode(&bytes(&sent)).unwrap();
        assert_eq!(heard.inner(), Some(Notification::reset("new key")));
        assert_eq!(heard.text().as_deref(), Some("new key"));
        assert_eq!(heard.to_string(), "Cease/Hard Reset (Cease/Administrative Reset): \"new key\"");
        assert_eq!(Notification::new(Code::HARD_RESET).inner(), None);
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let text = "ü".repeat(200);
        let sent = Notification::shutdown(&text);
        assert_eq!(sent.data().len(), 255);
        assert_eq!(sent.text(), Some("ü".repeat(127)));
    }

    #[test]
    fn what_a_peer_puts_for_a_text_can_be_shown() {
        let heard = |data: &[u8]| Notification::with_data(Code::ADMINISTRATIVE_SHUTDOWN, data).text();
        assert_eq!(heard(&[4, 0x1b, b'[', b'H', 0xff]).as_deref(), Some("\u{fffd}[H\u{fffd}"));
        assert_eq!(heard(&[9, b'x']), None, "longer than the message");
        assert_eq!(heard(&[0]), None);
        assert_eq!(heard(&[]), None);
        assert_eq!(Notification::with_data(Code::HOLD_TIMER_EXPIRED, &[1, b'x']).text(), None);
    }

    #[test]
    fn no_data_makes_it_longer_than_a_message() {
        let long = Notification::with_data(Code::CEASE, &[7; 70_000]);
        assert_eq!(long.data().len(), MAX_DATA);
        assert_eq!(long.hard().data().len(), MAX_DATA);
    }

    #[test]
    fn codes_have_names_and_unknown_ones_numbers() {
        let name = |code, subcode| Code { code, subcode }.to_string();
        assert_eq!(name(4, 0), "Hold Timer Expired");
        assert_eq!(name(8, 0), "Send Hold Timer Expired");
        assert_eq!(name(2, 6), "OPEN Message Error/Unacceptable Hold Time");
        assert_eq!(name(6, 99), "Cease/99");
        assert_eq!(name(77, 1), "77/1");
        assert_eq!(name(6, 0), "Cease");
    }
}
