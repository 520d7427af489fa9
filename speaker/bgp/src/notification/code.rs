// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Codes and subcodes of NOTIFICATION, as IANA lists them.

use std::fmt;

/// Code and subcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// What kind of error.
    pub code: u8,
    /// Which of that kind; 0 is none in particular.
    pub subcode: u8,
}

impl Code {
    /// The marker is not all ones (RFC 4271, section 6.1).
    pub const CONNECTION_NOT_SYNCHRONIZED: Self = Self { code: 1, subcode: 1 };
    /// A length that no message of that type has (RFC 4271, section 6.1).
    pub const BAD_MESSAGE_LENGTH: Self = Self { code: 1, subcode: 2 };
    /// A type that is not known (RFC 4271, section 6.1).
    pub const BAD_MESSAGE_TYPE: Self = Self { code: 1, subcode: 3 };
    /// An OPEN that cannot be read (RFC 4271, section 6.2).
    pub const OPEN_MESSAGE_ERROR: Self = Self { code: 2, subcode: 0 };
    /// Not version 4 (RFC 4271, section 6.2).
    pub const UNSUPPORTED_VERSION: Self = Self { code: 2, subcode: 1 };
    /// Not the autonomous system that is configured for the peer (RFC 4271, section 6.2), or 0 (RFC 7607).
    pub const BAD_PEER_AS: Self = Self { code: 2, subcode: 2 };
    /// Identifier of zero, or our own within one autonomous system (RFC 6286, section 2.2).
    pub const BAD_BGP_IDENTIFIER: Self = Self { code: 2, subcode: 3 };
    /// An optional parameter that is not known (RFC 4271, section 6.2).
    pub const UNSUPPORTED_OPTIONAL_PARAMETER: Self = Self { code: 2, subcode: 4 };
    /// A hold time of 1 or 2 seconds, or one that is refused (RFC 4271, section 6.2).
    pub const UNACCEPTABLE_HOLD_TIME: Self = Self { code: 2, subcode: 6 };
    /// The peer lacks a capability that is required (RFC 5492, section 5).
    pub const UNSUPPORTED_CAPABILITY: Self = Self { code: 2, subcode: 7 };
    /// Lengths within an UPDATE that contradict each other, or the same multiprotocol attribute twice (RFC 7606, section 3).
    pub const MALFORMED_ATTRIBUTE_LIST: Self = Self { code: 3, subcode: 1 };
    /// A multiprotocol attribute whose routes cannot be told (RFC 4760, section 7).
    pub const OPTIONAL_ATTRIBUTE_ERROR: Self = Self { code: 3, subcode: 9 };
    /// A prefix that cannot be read (RFC 4271, section 6.3).
    pub const INVALID_NETWORK_FIELD: Self = Self { code: 3, subcode: 10 };
    /// Nothing heard for the hold time (RFC 4271, section 6.5).
    pub const HOLD_TIMER_EXPIRED: Self = Self { code: 4, subcode: 0 };
    /// A message that does not belong into OpenSent (RFC 6608).
    pub const UNEXPECTED_IN_OPEN_SENT: Self = Self { code: 5, subcode: 1 };
    /// A message that does not belong into OpenConfirm (RFC 6608).
    pub const UNEXPECTED_IN_OPEN_CONFIRM: Self = Self { code: 5, subcode: 2 };
    /// A message that does not belong into Established (RFC 6608).
    pub const UNEXPECTED_IN_ESTABLISHED: Self = Self { code: 5, subcode: 3 };
    /// The session ends, for no reason that has a number (RFC 4486).
    pub const CEASE: Self = Self { code: 6, subcode: 0 };
    /// More routes than are allowed (RFC 4486).
    pub const MAXIMUM_PREFIXES: Self = Self { code: 6, subcode: 1 };
    /// This side is taken down (RFC 4486), with a text (RFC 9003).
    pub const ADMINISTRATIVE_SHUTDOWN: Self = Self { code: 6, subcode: 2 };
    /// The peer was removed from the configuration (RFC 4486).
    pub const PEER_DECONFIGURED: Self = Self { code: 6, subcode: 3 };
    /// The session will be set up again (RFC 4486), with a text (RFC 9003).
    pub const ADMINISTRATIVE_RESET: Self = Self { code: 6, subcode: 4 };
    /// The peer is not wanted at this moment (RFC 4486).
    pub const CONNECTION_REJECTED: Self = Self { code: 6, subcode: 5 };
    /// The configuration of the session changed (RFC 4486).
    pub const OTHER_CONFIGURATION_CHANGE: Self = Self { code: 6, subcode: 6 };
    /// The other connection to the same peer is kept (RFC 4486).
    pub const CONNECTION_COLLISION: Self = Self { code: 6, subcode: 7 };
    /// No room for more (RFC 4486).
    pub const OUT_OF_RESOURCES: Self = Self { code: 6, subcode: 8 };
    /// Stale routes shall go as well (RFC 8538).
    pub const HARD_RESET: Self = Self { code: 6, subcode: 9 };
    /// BFD says that the path is dead (RFC 9384).
    pub const BFD_DOWN: Self = Self { code: 6, subcode: 10 };
    /// A ROUTE-REFRESH of a wrong length (RFC 7313, section 5).
    pub const ROUTE_REFRESH_LENGTH: Self = Self { code: 7, subcode: 1 };
    /// The peer took nothing for the send hold time (RFC 9687).
    pub const SEND_HOLD_TIMER_EXPIRED: Self = Self { code: 8, subcode: 0 };

    /// Whether it is a Cease, of whichever subcode.
    pub fn is_cease(self) -> bool {
        self.code == Self::CEASE.code
    }

    fn kind(self) -> Option<&'static str> {
        Some(match self.code {
            1 => "Message Header Error",
            2 => "OPEN Message Error",
            3 => "UPDATE Message Error",
            4 => "Hold Timer Expired",
            5 => "Finite State Machine Error",
            6 => "Cease",
            7 => "ROUTE-REFRESH Message Error",
            8 => "Send Hold Timer Expired",
            _ => return None,
        })
    }

    fn particular(self) -> Option<&'static str> {
        Some(match (self.code, self.subcode) {
            (1, 1) => "Connection Not Synchronized",
            (1, 2) => "Bad Message Length",
            (1, 3) => "Bad Message Type",
            (2, 1) => "Unsupported Version Number",
            (2, 2) => "Bad Peer AS",
            (2, 3) => "Bad BGP Identifier",
            (2, 4) => "Unsupported Optional Parameter",
            (2, 6) => "Unacceptable Hold Time",
            (2, 7) => "Unsupported Capability",
            (2, 11) => "Role Mismatch",
            (3, 1) => "Malformed Attribute List",
            (3, 2) => "Unrecognized Well-known Attribute",
            (3, 3) => "Missing Well-known Attribute",
            (3, 4) => "Attribute Flags Error",
            (3, 5) => "Attribute Length Error",
            (3, 6) => "Invalid ORIGIN Attribute",
            (3, 8) => "Invalid NEXT_HOP Attribute",
            (3, 9) => "Optional Attribute Error",
            (3, 10) => "Invalid Network Field",
            (3, 11) => "Malformed AS_PATH",
            (5, 1) => "Unexpected Message in OpenSent",
            (5, 2) => "Unexpected Message in OpenConfirm",
            (5, 3) => "Unexpected Message in Established",
            (6, 1) => "Maximum Number of Prefixes Reached",
            (6, 2) => "Administrative Shutdown",
            (6, 3) => "Peer De-configured",
            (6, 4) => "Administrative Reset",
            (6, 5) => "Connection Rejected",
            (6, 6) => "Other Configuration Change",
            (6, 7) => "Connection Collision Resolution",
            (6, 8) => "Out of Resources",
            (6, 9) => "Hard Reset",
            (6, 10) => "BFD Down",
            (7, 1) => "Invalid Message Length",
            _ => return None,
        })
    }
}

/// The names of IANA's registry; numbers where it has none.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind(), self.particular()) {
            (Some(kind), Some(particular)) => write!(f, "{kind}/{particular}"),
            (Some(kind), None) if self.subcode == 0 => f.write_str(kind),
            (Some(kind), None) => write!(f, "{kind}/{}", self.subcode),
            (None, _) => write!(f, "{}/{}", self.code, self.subcode),
        }
    }
}
