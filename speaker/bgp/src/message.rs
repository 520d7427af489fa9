// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The five messages (RFC 4271, section 4), and the header before each.

mod kind;

pub use kind::Kind;

pub use crate::length::{EXTENDED_LEN, HEADER_LEN, STANDARD_LEN};
use crate::{
    fault::Fault, notification::Notification, open::Open, reader::Reader, refresh::RouteRefresh,
    update::UpdateBody, writer::set_u16,
};

const MARKER: [u8; 16] = [0xff; 16];

/// One message of the stream: its header is right, its body was not read yet. Only [`Frame::first_of`] and
/// [`Framer`](crate::Framer) make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    kind: Kind,
    /// All of it, header included.
    message: &'a [u8],
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first message of what was received so far, of at most `limit` octets; `None` until it is there in full.
    ///
    /// # Errors
    /// [`Fault::Marker`], [`Fault::Length`], [`Fault::Type`] (RFC 4271, section 6.1), each as soon as it shows.
    pub fn first_of(received: &'a [u8], limit: usize) -> Result<Option<Self>, Fault> {
        if received.iter().zip(MARKER).any(|(octet, expected)| *octet != expected) {
            return Err(Fault::Marker);
        }
        let mut header = Reader::new(received);
        let fields = header.bytes(MARKER.len()).and_then(|_| Some((header.u16()?, header.u8()?)));
        let Some((length, kind)) = fields else { return Ok(None) };
        let whole = usize::from(length);
        if !(HEADER_LEN..=limit).contains(&whole) {
            return Err(Fault::Length { kind: "BGP", length });
        }
        let kind = Kind::from_code(kind).ok_or(Fault::Type(kind))?;
        if !kind.lengths().contains(&whole) {
            return Err(Fault::Length { kind: kind.name(), length });
        }
        let body = header.bytes(whole - HEADER_LEN);
        Ok(body.zip(received.get(..whole)).map(|(body, message)| Self { kind, message, body }))
    }

    /// Its type.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// All of it, header included.
    pub fn message(self) -> &'a [u8] {
        self.message
    }
}

/// A message. What an UPDATE says depends on what the session negotiated, so that it is read in a second step:
/// [`UpdateBody::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The first of each side: who it is and what it can do.
    Open(Open),
    /// Routes come and go.
    Update(UpdateBody<'a>),
    /// The last of a session: why it ends.
    Notification(Notification),
    /// Nothing new, still there; and the answer to an OPEN that is accepted.
    Keepalive,
    /// Send your routes again; or, that begins or ends now.
    RouteRefresh(RouteRefresh),
}

impl<'a> Message<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// What the session does not survive; [`Fault::notification`] is what to tell the peer.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Fault> {
        let body = frame.body;
        Ok(match frame.kind {
            Kind::Open => Self::Open(Open::decode(body)?),
            Kind::Update => Self::Update(UpdateBody::new(body)),
            Kind::Notification => {
                let too_short = || Fault::Length { kind: frame.kind.name(), length: HEADER_LEN as u16 };
                Self::Notification(Notification::decode(body).ok_or_else(too_short)?)
            }
            Kind::Keepalive => Self::Keepalive,
            Kind::RouteRefresh => Self::RouteRefresh(RouteRefresh::decode(frame.message, body)?),
        })
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Open(_) => Kind::Open,
            Self::Update(_) => Kind::Update,
            Self::Notification(_) => Kind::Notification,
            Self::Keepalive => Kind::Keepalive,
            Self::RouteRefresh(_) => Kind::RouteRefresh,
        }
    }

    /// Appends the whole message, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write(out, self.kind(), |out| match self {
            Self::Open(open) => open.encode(out),
            Self::Update(update) => out.extend(update.bytes()),
            Self::Notification(notification) => notification.encode(out),
            Self::Keepalive => {}
            Self::RouteRefresh(refresh) => refresh.encode(out),
        });
    }

    /// The whole message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Appends a message of this type with the body that `body` writes.
pub(crate) fn write(out: &mut Vec<u8>, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(MARKER);
    out.extend([0, 0, kind.code()]);
    body(out);
    let length = out.len() - start;
    set_u16(out, start + MARKER.len(), length);
}

#[cfg(test)]
mod tests;
