// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a packet was discarded, and how often: every "no" of this crate to the wire has a name.

use thiserror::Error;

use crate::state::State;

/// Why a packet was not looked at further. Nothing else happens with it than that it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Discard {
    /// So many octets are less than any packet has.
    #[error("{0} octets are shorter than any BFD packet")]
    Truncated(usize),
    /// Another version of the protocol.
    #[error("BFD version {0} instead of 1")]
    UnknownVersion(u8),
    /// The length that it names is less than it needs, or more than came.
    #[error("its length field says {0}")]
    BadLength(u8),
    /// A multiplier of 0 would give the sender up at once.
    #[error("detect multiplier 0")]
    ZeroMultiplier,
    /// Point-to-multipoint BFD is another protocol (RFC 8562).
    #[error("the multipoint bit is set")]
    Multipoint,
    /// The sender names no session of its own.
    #[error("its own discriminator is 0")]
    ZeroDiscriminator,
    /// It must name our session, in this state.
    #[error("your discriminator is 0 in state {0}")]
    NoYourDiscriminator(State),
    /// It is authenticated, and no session of ours is.
    #[error("the packet is authenticated; BFD authentication is not used here")]
    Authenticated,
    /// Its discriminator is none of ours: it belongs to a session that we ended, or is made up.
    #[error("no session has the discriminator that it names")]
    UnknownDiscriminator,
    /// It names no session, and we have none with its sender.
    #[error("no session with its sender")]
    UnknownSender,
    /// It came to the port of the other kind of session.
    #[error("it came to the port of sessions over {} hop(s)", if *.single_hop { "one" } else { "several" })]
    WrongPort {
        /// It came to the port for one hop.
        single_hop: bool,
    },
    /// It came over more routers than the session allows (RFC 5881 section 5, RFC 5883 section 5).
    #[error("time to live {got}, at least {least} is needed")]
    Ttl {
        /// The time to live, or hop limit, that it arrived with.
        got: u8,
        /// What the session asks for.
        least: u8,
    },
    /// Our side of the session is taken out of service.
    #[error("our side is administratively down")]
    AdminDown,
}

impl Discard {
    /// Its kind, without the particulars.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Truncated(_) => Kind::Truncated,
            Self::UnknownVersion(_) => Kind::UnknownVersion,
            Self::BadLength(_) => Kind::BadLength,
            Self::ZeroMultiplier => Kind::ZeroMultiplier,
            Self::Multipoint => Kind::Multipoint,
            Self::ZeroDiscriminator => Kind::ZeroDiscriminator,
            Self::NoYourDiscriminator(_) => Kind::NoYourDiscriminator,
            Self::Authenticated => Kind::Authenticated,
            Self::UnknownDiscriminator => Kind::UnknownDiscriminator,
            Self::UnknownSender => Kind::UnknownSender,
            Self::WrongPort { .. } => Kind::WrongPort,
            Self::Ttl { .. } => Kind::Ttl,
            Self::AdminDown => Kind::AdminDown,
        }
    }
}

/// The kind of a [`Discard`]: what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each stands at the Discard of the same name")]
pub enum Kind {
    Truncated,
    UnknownVersion,
    BadLength,
    ZeroMultiplier,
    Multipoint,
    ZeroDiscriminator,
    NoYourDiscriminator,
    Authenticated,
    UnknownDiscriminator,
    UnknownSender,
    WrongPort,
    Ttl,
    AdminDown,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 13] = [
        Self::Truncated,
        Self::UnknownVersion,
        Self::BadLength,
        Self::ZeroMultiplier,
        Self::Multipoint,
        Self::ZeroDiscriminator,
        Self::NoYourDiscriminator,
        Self::Authenticated,
        Self::UnknownDiscriminator,
        Self::UnknownSender,
        Self::WrongPort,
        Self::Ttl,
        Self::AdminDown,
    ];

    /// Its name in metrics: lower case, words joined by `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::UnknownVersion => "unknown_version",
            Self::BadLength => "bad_length",
            Self::ZeroMultiplier => "zero_multiplier",
            Self::Multipoint => "multipoint",
            Self::ZeroDiscriminator => "zero_discriminator",
            Self::NoYourDiscriminator => "no_your_discriminator",
            Self::Authenticated => "authenticated",
            Self::UnknownDiscriminator => "unknown_discriminator",
            Self::UnknownSender => "unknown_sender",
            Self::WrongPort => "wrong_port",
            Self::Ttl => "ttl",
            Self::AdminDown => "admin_down",
        }
    }
}

/// How many packets were discarded, one number per kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters([u64; Kind::ALL.len()]);

impl Counters {
    pub(crate) fn record(&mut self, discard: &Discard) {
        if let Some(count) = self.0.get_mut(discard.kind() as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many of this kind were discarded.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// Every kind with its count, those that never occurred included.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_stand_in_the_order_of_declaration() {
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position, "{}", kind.as_str());
        }
    }

    #[test]
    fn each_kind_is_counted_by_itself() {
        let mut counters = Counters::default();
        counters.record(&Discard::Ttl { got: 64, least: 255 });
        counters.record(&Discard::Ttl { got: 254, least: 255 });
        counters.record(&Discard::AdminDown);
        assert_eq!(counters.get(Kind::Ttl), 2);
        assert_eq!(counters.get(Kind::AdminDown), 1);
        assert_eq!(counters.iter().map(|(_, count)| count).sum::<u64>(), 3);
    }
}
