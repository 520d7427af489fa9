// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Types of messages.

use std::ops::RangeInclusive;

use crate::length::{EXTENDED_LEN, HEADER_LEN, STANDARD_LEN};

/// Type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// RFC 4271, section 4.2.
    Open,
    /// RFC 4271, section 4.3.
    Update,
    /// RFC 4271, section 4.5.
    Notification,
    /// RFC 4271, section 4.4.
    Keepalive,
    /// RFC 2918, section 3.
    RouteRefresh,
}

impl Kind {
    /// Every type, in the order of their codes.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Update, Self::Notification, Self::Keepalive, Self::RouteRefresh];

    /// `None` is a type that nobody uses.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The octet in the header.
    pub fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Update => "UPDATE",
            Self::Notification => "NOTIFICATION",
            Self::Keepalive => "KEEPALIVE",
            Self::RouteRefresh => "ROUTE-REFRESH",
        }
    }

    /// How long, header included, a message of this type may be (RFC 4271, section 6.1; RFC 8654, section 4). Of ROUTE-REFRESH
    /// the error for a wrong length is another one (RFC 7313, section 5): only what cannot be read at all is refused here.
    pub(super) fn lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Open => HEADER_LEN + 10..=STANDARD_LEN,
            Self::Update => HEADER_LEN + 4..=EXTENDED_LEN,
            Self::Notification => HEADER_LEN + 2..=EXTENDED_LEN,
            Self::Keepalive => HEADER_LEN..=HEADER_LEN,
            Self::RouteRefresh => HEADER_LEN + 4..=EXTENDED_LEN,
        }
    }
}
