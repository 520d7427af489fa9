// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a packet was refused, and how often: every "no" of this crate to the wire has a name.

use thiserror::Error;

/// Why a packet was not believed. Nothing else happens with a refused packet than that it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// It ends before its content does.
    #[error("the packet is cut short")]
    Truncated,
    /// It is not a hello of ours at all.
    #[error("the packet does not begin like a hello")]
    BadMagic,
    /// A hello of a version that this build does not speak.
    #[error("unknown hello version {0}")]
    UnknownVersion(u8),
    /// No key of ours made its authentication tag.
    #[error("the hello is not authenticated by a key of ours")]
    WrongKey,
    /// A hello of another cluster on the same segment.
    #[error("the hello belongs to another cluster")]
    OtherCluster,
    /// Authentic or plain, its content breaks a rule; the text says which.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// A checksum does not match the content.
    #[error("wrong checksum")]
    BadChecksum,
    /// It came over a router: link-local traffic is sent with hop limit 255, and every router lowers it (RFC 5082).
    #[error("hop limit {0} instead of 255: not sent on this link")]
    HopLimit(u8),
    /// Its sequence number was seen before within the same incarnation.
    #[error("replayed: its sequence number is not above the last one")]
    Replayed,
    /// A new incarnation that has not yet echoed a recent hello of ours, and so may be a recording.
    #[error("a new incarnation that has not yet proved to be live")]
    Unbelieved,
    /// Our own hello came back to us (a loop, or multicast loopback).
    #[error("our own hello came back")]
    Reflected,
    /// Another station speaks in our node's name.
    #[error("another station uses our node identity")]
    OwnNode,
}

impl Rejection {
    /// Its kind, without the particulars.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Truncated => Kind::Truncated,
            Self::BadMagic => Kind::BadMagic,
            Self::UnknownVersion(_) => Kind::UnknownVersion,
            Self::WrongKey => Kind::WrongKey,
            Self::OtherCluster => Kind::OtherCluster,
            Self::Malformed(_) => Kind::Malformed,
            Self::BadChecksum => Kind::BadChecksum,
            Self::HopLimit(_) => Kind::HopLimit,
            Self::Replayed => Kind::Replayed,
            Self::Unbelieved => Kind::Unbelieved,
            Self::Reflected => Kind::Reflected,
            Self::OwnNode => Kind::OwnNode,
        }
    }
}

/// The kind of a [`Rejection`]: what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each stands at the Rejection of the same name")]
pub enum Kind {
    Truncated,
    BadMagic,
    UnknownVersion,
    WrongKey,
    OtherCluster,
    Malformed,
    BadChecksum,
    HopLimit,
    Replayed,
    Unbelieved,
    Reflected,
    OwnNode,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 12] = [
        Self::Truncated,
        Self::BadMagic,
        Self::UnknownVersion,
        Self::WrongKey,
        Self::OtherCluster,
        Self::Malformed,
        Self::BadChecksum,
        Self::HopLimit,
        Self::Replayed,
        Self::Unbelieved,
        Self::Reflected,
        Self::OwnNode,
    ];

    /// Its name in metrics: lower case, words joined by `_`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadMagic => "bad_magic",
            Self::UnknownVersion => "unknown_version",
            Self::WrongKey => "wrong_key",
            Self::OtherCluster => "other_cluster",
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad_checksum",
            Self::HopLimit => "hop_limit",
            Self::Replayed => "replayed",
            Self::Unbelieved => "unbelieved",
            Self::Reflected => "reflected",
            Self::OwnNode => "own_node",
        }
    }
}

/// How many packets were refused, one number per kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters([u64; Kind::ALL.len()]);

impl Counters {
    /// Counts one refused packet.
    pub fn record(&mut self, rejection: &Rejection) {
        if let Some(count) = self.0.get_mut(rejection.kind() as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many of this kind were refused.
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
        counters.record(&Rejection::HopLimit(64));
        counters.record(&Rejection::HopLimit(254));
        counters.record(&Rejection::OwnNode);
        assert_eq!(counters.get(Kind::HopLimit), 2);
        assert_eq!(counters.get(Kind::OwnNode), 1);
        assert_eq!(counters.iter().map(|(_, count)| count).sum::<u64>(), 3);
    }
}
