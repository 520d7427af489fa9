// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a message ends the session: every "no" of this crate to a peer has a name, and the NOTIFICATION that says it.

use thiserror::Error;

use crate::{
    family::Family,
    notification::{Code, Notification},
};

/// What a peer sent that its session cannot survive. Errors that it does survive (RFC 7606) are
/// [`AttributeFault`](crate::AttributeFault)s.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The stream is not one of BGP messages, or lost its place.
    #[error(
        "a message does not begin with sixteen octets of ones: the peer does not speak BGP, or the stream is broken"
    )]
    Marker,
    /// Too short, or longer than was agreed on, for its type.
    #[error("a {kind} message of {length} octets")]
    Length {
        /// The type as people call it.
        kind: &'static str,
        /// What its header says.
        length: u16,
    },
    /// No message of that type exists.
    #[error("a message of the unknown type {0}")]
    Type(u8),
    /// An OPEN of another protocol version.
    #[error("the peer speaks BGP version {0}; this is version 4")]
    Version(u8),
    /// An OPEN that names the autonomous system 0.
    #[error("the peer says that its autonomous system is 0")]
    AsZero,
    /// An OPEN with the identifier 0.0.0.0.
    #[error("the peer says that its router id is 0.0.0.0")]
    RouterIdZero,
    /// An OPEN with an optional parameter that is not a list of capabilities.
    #[error("the peer's OPEN has an optional parameter of the unknown type {0}")]
    OptionalParameter(u8),
    /// An OPEN with a hold time that the protocol does not allow.
    #[error("the peer wants a hold time of {0} s; 0 and 3 or more are allowed")]
    HoldTime(u16),
    /// An OPEN whose lengths contradict each other.
    #[error("the peer's OPEN cannot be read: {0}")]
    Open(&'static str),
    /// An UPDATE whose lengths contradict each other, so that its routes cannot be told.
    #[error("an UPDATE cannot be read: {0}")]
    AttributeList(&'static str),
    /// An UPDATE with a prefix that cannot be read, so that the routes after it cannot be told either.
    #[error("an UPDATE has a prefix of {0} that cannot be read")]
    Prefix(Family),
    /// A multiprotocol attribute whose head cannot be read, so that its routes cannot be told.
    #[error("an UPDATE has an {what} attribute that cannot be read")]
    Multiprotocol {
        /// Its name.
        what: &'static str,
        /// The attribute, for the NOTIFICATION.
        attribute: Vec<u8>,
    },
    /// A wrong attribute in an UPDATE that announces nothing which could be taken for withdrawn instead (RFC 7606, section 5.2).
    #[error("an UPDATE without routes has a wrong attribute: {0}")]
    NothingToWithdraw(&'static str),
    /// A ROUTE-REFRESH of a wrong length, which begins or ends a refresh.
    #[error("a ROUTE-REFRESH message of {} octets", .0.len())]
    Refresh(Vec<u8>),
}

impl Fault {
    /// What to tell the peer before the session ends.
    pub fn notification(&self) -> Notification {
        match self {
            Self::Marker => Notification::new(Code::CONNECTION_NOT_SYNCHRONIZED),
            // RFC 4271, section 6.1: the data is the field that is wrong.
            Self::Length { length, .. } => {
                Notification::with_data(Code::BAD_MESSAGE_LENGTH, &length.to_be_bytes())
            }
            Self::Type(kind) => Notification::with_data(Code::BAD_MESSAGE_TYPE, &[*kind]),
            // Section 6.2: the largest version below the peer's that is spoken here.
            Self::Version(_) => Notification::with_data(Code::UNSUPPORTED_VERSION, &[0, 4]),
            Self::AsZero => Notification::new(Code::BAD_PEER_AS),
            Self::RouterIdZero => Notification::new(Code::BAD_BGP_IDENTIFIER),
            Self::OptionalParameter(_) => Notification::new(Code::UNSUPPORTED_OPTIONAL_PARAMETER),
            Self::HoldTime(_) => Notification::new(Code::UNACCEPTABLE_HOLD_TIME),
            Self::Open(_) => Notification::new(Code::OPEN_MESSAGE_ERROR),
            Self::AttributeList(_) | Self::NothingToWithdraw(_) => {
                Notification::new(Code::MALFORMED_ATTRIBUTE_LIST)
            }
            Self::Prefix(_) => Notification::new(Code::INVALID_NETWORK_FIELD),
            // Section 6.3: the data is the attribute.
            Self::Multiprotocol { attribute, .. } => {
                Notification::with_data(Code::OPTIONAL_ATTRIBUTE_ERROR, attribute)
            }
            // RFC 7313, section 5: the data is the whole message.
            Self::Refresh(message) => Notification::with_data(Code::ROUTE_REFRESH_LENGTH, message),
        }
    }
}
