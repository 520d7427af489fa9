// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The hello: one authenticated datagram per node and interval that says "I live, and this is what I own".
//!
//! Layout, all integers big-endian, at most [`MAX_LEN`] bytes:
//!
//! ```text
//! magic 4 | version 1 | key id 2 | cluster 8                                    header, readable before the tag is checked
//! node 16 | incarnation 8 | seq 8 | interval ms 2 | dead ms 2 | flags 1 | owned 4 | digest 16
//! slice index 2, of 2 | counts of claims 1, deltas 1, echoes 1
//! claims × (group 8, term 8) | deltas × (tag 1, group 8, term 8 [, node 16]) | echoes × (incarnation 8, seq 8, age ms 2)
//! HMAC-SHA-256 over everything before it, truncated to 16
//! ```

mod bounded;
mod decode;
mod encode;

use std::time::Duration;

pub use bounded::UpTo;
pub(crate) use decode::{Outline, Quiet};

use crate::{
    digest::Digest,
    identity::{ClusterId, GroupId, Incarnation, NodeId, Term},
    keys::{KeyRing, TAG_LEN},
    rejection::Rejection,
};

/// First bytes of every hello.
const MAGIC: [u8; 4] = *b"FLBh";
/// The version that this build speaks.
const VERSION: u8 = 2;
/// Magic, version, key id, cluster.
const HEADER_LEN: usize = 4 + 1 + 2 + 8;
/// Everything between header and lists.
const FIXED_LEN: usize = 16 + 8 + 8 + 2 + 2 + 1 + 4 + 16 + 2 + 2 + 1 + 1 + 1;
const CLAIM_LEN: usize = 8 + 8;
const DELTA_MAX_LEN: usize = 1 + CLAIM_LEN + 16;
const ECHO_LEN: usize = 8 + 8 + 2;

const DELTA_CLAIM: u8 = 1;
const DELTA_RESIGN: u8 = 2;
const DELTA_HAND_OVER: u8 = 3;
const DELTA_STANDS: u8 = 4;
const DELTA_ENDED: u8 = 5;

const FLAG_DRAINING: u8 = 1;
const FLAG_LISTENING: u8 = 1 << 1;
const FLAG_LEAVING: u8 = 1 << 2;
const FLAG_ASK: u8 = 1 << 3;
const FLAG_ASIDE: u8 = 1 << 5;
const FLAG_SHAKY: u8 = 1 << 4;

/// Most claims in one hello; a node that owns more sends them slice by slice.
pub const MAX_CLAIMS: u8 = 48;
/// Most changes of ownership in one hello.
pub const MAX_DELTAS: u8 = 8;
/// Most echoes in one hello.
pub const MAX_ECHOES: u8 = 8;

/// Length in bytes of a hello whose lists are empty.
pub const MIN_LEN: usize = HEADER_LEN + FIXED_LEN + TAG_LEN;
/// Length in bytes of the longest hello.
pub const MAX_LEN: usize = MIN_LEN
    + MAX_CLAIMS as usize * CLAIM_LEN
    + MAX_DELTAS as usize * DELTA_MAX_LEN
    + MAX_ECHOES as usize * ECHO_LEN;
// Fits an Ethernet MTU of 1,500 with an IPv6 and a UDP header, and room for a tunnel's.
const _: () = assert!(MAX_LEN <= 1400);

/// What a node says of itself on one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The installation it belongs to.
    pub cluster: ClusterId,
    /// Who speaks.
    pub node: NodeId,
    /// Which run of its process.
    pub incarnation: Incarnation,
    /// Counts up by at least one per hello of an incarnation.
    pub seq: u64,
    /// Time between two hellos; whole milliseconds from 1 to 65,535 on the wire, others are brought into that range.
    pub interval: Duration,
    /// After so much silence the sender asks to be taken for dead; range as `interval`, and never below it.
    pub dead: Duration,
    /// State of the sender.
    pub flags: Flags,
    /// How many groups it owns.
    pub owned: u32,
    /// Digest of all claims it holds.
    pub digest: Digest,
    /// Which part of its list of claims `claims` is.
    pub slice: Slice,
    /// That part.
    pub claims: UpTo<MAX_CLAIMS, Claim>,
    /// What changed just now, repeated a few times in case a hello is lost.
    pub deltas: UpTo<MAX_DELTAS, Delta>,
    /// Which hellos of others it received.
    pub echoes: UpTo<MAX_ECHOES, Echo>,
}

/// A node's taking of a group: it holds until a claim with a higher term is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// What is claimed.
    pub group: GroupId,
    /// Which claim is newer.
    pub term: Term,
}

/// One change of ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// The sender owns the group from now on.
    Claim(Claim),
    /// The sender gave up what it held under this claim.
    Resign(Claim),
    /// The sender, still the owner under `claim`, asks `to` to claim the group.
    HandOver {
        /// What the sender holds.
        claim: Claim,
        /// Who should take it.
        to: NodeId,
    },
    /// The sender passes on what it heard from `owner`, for those who may not hear that node themselves.
    Relayed {
        /// The claim that it heard of.
        claim: Claim,
        /// Whose claim it is.
        owner: NodeId,
        /// Whether the claim stands: somebody holds a lower one. Otherwise it was given up, and nobody took what it held.
        stands: bool,
    },
}

/// The sender heard a process of another node: proof to that process that its hellos arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Who was heard. Its number is random and so long that it names the node, too.
    pub incarnation: Incarnation,
    /// The highest sequence number heard.
    pub seq: u64,
    /// How long before sending; rounded up to whole milliseconds on the wire, where 65,535 means "at least so long".
    pub age: Duration,
}

/// State of a hello's sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// It gives away what it owns and takes nothing.
    pub draining: bool,
    /// It listens before it acts, after its start or because it stood still: it claims nothing yet.
    pub listening: bool,
    /// Its last hello: the process exits.
    pub leaving: bool,
    /// "Are you alive?": answer at once, to the sender alone.
    pub ask: bool,
    /// Another process acts for its node; said to that one alone.
    pub aside: bool,
    /// It keeps falling silent: others claim first.
    pub shaky: bool,
}

/// Part `index` of `of` parts, counted from 0: always `index < of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    index: u16,
    of: u16,
}

impl Slice {
    /// The only part of one.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index` of `of`; `None` unless `index < of`.
    pub fn new(index: u16, of: u16) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Which part, from 0.
    pub fn index(self) -> u16 {
        self.index
    }

    /// How many parts there are, at least 1.
    pub fn of(self) -> u16 {
        self.of
    }
}

impl Hello {
    /// The datagram, signed with the active key.
    pub fn encode(&self, keys: &KeyRing) -> Vec<u8> {
        encode::encode(self, keys)
    }

    /// Reads a datagram: first what costs nothing (length, magic, version), then its authenticity, then its content.
    ///
    /// # Errors
    /// The first rule it breaks. Whose cluster or node it is does not matter here: see [`Recipient::receive`].
    pub fn decode(payload: &[u8], keys: &KeyRing) -> Result<Self, Rejection> {
        decode::Unverified::read(payload)?.verify(keys)?.hello()
    }
}

/// Who receives hellos: what it needs to know of itself to tell hellos meant for it from others.
#[derive(Clone, Copy, Debug)]
pub struct Recipient {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its node.
    pub node: NodeId,
    /// The run of its process.
    pub incarnation: Incarnation,
}

impl Recipient {
    /// Reads a datagram that arrived with this hop limit (IPv4: time to live) as a hello of a peer.
    ///
    /// # Errors
    /// Those of [`Hello::decode`], and [`Rejection::HopLimit`] unless it was sent on this link (RFC 5082),
    /// [`Rejection::OtherCluster`], [`Rejection::Reflected`] for the recipient's own hello, [`Rejection::OwnNode`] for a
    /// hello of its node but another incarnation. Replays are for whoever remembers earlier hellos to notice.
    pub fn receive(&self, payload: &[u8], hop_limit: u8, keys: &KeyRing) -> Result<Hello, Rejection> {
        self.read(&self.authenticate(payload, hop_limit, keys)?)
    }

    /// The first half of [`Recipient::receive`]: all of its checks that need no lists but that of whose hello it is.
    pub(crate) fn authenticate<'a>(
        &self,
        payload: &'a [u8],
        hop_limit: u8,
        keys: &KeyRing,
    ) -> Result<Outline<'a>, Rejection> {
        if hop_limit != 255 {
            return Err(Rejection::HopLimit(hop_limit));
        }
        let unverified = decode::Unverified::read(payload)?;
        // Before the tag: clusters that share a segment should be told apart by name, not by "wrong key".
        if unverified.cluster() != self.cluster {
            return Err(Rejection::OtherCluster);
        }
        unverified.verify(keys)
    }

    /// The second half.
    pub(crate) fn read(&self, outline: &Outline<'_>) -> Result<Hello, Rejection> {
        let hello = outline.hello()?;
        match (hello.node == self.node, hello.incarnation == self.incarnation) {
            (false, _) => Ok(hello),
            (true, true) => Err(Rejection::Reflected),
            (true, false) => Err(Rejection::OwnNode),
        }
    }
}

#[cfg(test)]
mod tests;
