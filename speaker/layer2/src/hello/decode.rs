// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Bytes to a hello. Nothing here trusts a length, a count or a number before it was checked.

use std::time::Duration;

use super::{
    CLAIM_LEN, Claim, Delta, ECHO_LEN, Echo, Flags, HEADER_LEN, Hello, MAGIC, MAX_CLAIMS, MAX_ECHOES,
    MAX_LEN, MIN_LEN, Slice, UpTo, VERSION,
};
use crate::{
    digest::Digest,
    identity::{ClusterId, GroupId, Incarnation, NodeId, Term},
    keys::{KeyRing, TAG_LEN},
    rejection::Rejection,
    rule::{self, Rule},
};

/// A datagram whose header was read and whose tag was not yet checked: only [`Unverified::verify`] leads to its content.
pub(super) struct Unverified<'a> {
    key_id: u16,
    cluster: ClusterId,
    /// Everything before the tag.
    signed: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl<'a> Unverified<'a> {
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, Rejection> {
        let mut header = Reader(payload);
        if header.take()? != MAGIC {
            return Err(Rejection::BadMagic);
        }
        let version = header.u8()?;
        if version != VERSION {
            return Err(Rejection::UnknownVersion(version));
        }
        if payload.len() < MIN_LEN {
            return Err(Rejection::Truncated);
        }
        if payload.len() > MAX_LEN {
            return Err(Rejection::Malformed("longer than any hello"));
        }
        let key_id = header.u16()?;
        let cluster = ClusterId(header.u64()?);
        let (signed, tag) = payload.split_last_chunk().ok_or(Rejection::Truncated)?;
        Ok(Self { key_id, cluster, signed, tag })
    }

    /// The cluster that the datagram names; anybody can write that.
    pub(super) fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(super) fn verify(self, keys: &KeyRing) -> Result<Outline<'a>, Rejection> {
        if !keys.verifies(self.key_id, self.signed, self.tag) && rule::holds(Rule::Authenticity) {
            return Err(Rejection::WrongKey);
        }
        let body = self.signed.get(HEADER_LEN..).ok_or(Rejection::Truncated)?;
        Outline::read(self.cluster, body)
    }
}

/// An authentic datagram, read up to its lists, which stay where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline<'a> {
    cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: u64,
    interval: Duration,
    pub(crate) dead: Duration,
    pub(crate) flags: Flags,
    pub(crate) owned: u32,
    pub(crate) digest: Digest,
    slice: Slice,
    /// How many claims, deltas and echoes follow.
    counts: [u8; 3],
    lists: &'a [u8],
}

/// The lists of a hello that brings no news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet<'a> {
    claims: &'a [u8],
    echoes: &'a [u8],
}

impl<'a> Outline<'a> {
    /// Reads what follows the header, already known to be authentic.
    pub(super) fn read(cluster: ClusterId, body: &'a [u8]) -> Result<Self, Rejection> {
        let mut reader = Reader(body);
        let (node, incarnation, seq) = (reader.node()?, reader.incarnation()?, reader.u64()?);
        let (interval, dead) = (reader.millis()?, reader.millis()?);
        if interval.is_zero() {
            return Err(Rejection::Malformed("interval of zero"));
        }
        if dead < interval {
            return Err(Rejection::Malformed("dead before the next hello is due"));
        }
        let flags = flags(reader.u8()?);
        let (owned, digest) = (reader.u32()?, Digest::from_bytes(reader.take()?));
        let slice =
            Slice::new(reader.u16()?, reader.u16()?).ok_or(Rejection::Malformed("slice beyond its count"))?;
        let counts = reader.take()?;
        let lists = reader.0;
        Ok(Self {
            cluster,
            node,
            incarnation,
            seq,
            interval,
            dead,
            flags,
            owned,
            digest,
            slice,
            counts,
            lists,
        })
    }

    /// The whole hello.
    pub(super) fn hello(&self) -> Result<Hello, Rejection> {
        let mut reader = Reader(self.lists);
        let [claims, deltas, echoes] = self.counts;
        let claims = reader.list(claims, "too many claims", Reader::claim)?;
        let deltas = reader.list(deltas, "too many deltas", Reader::delta)?;
        let echoes = reader.list(echoes, "too many echoes", Reader::echo)?;
        if !reader.0.is_empty() {
            return Err(Rejection::Malformed("trailing bytes"));
        }
        let Self { cluster, node, incarnation, seq, interval, dead, flags, owned, digest, slice, .. } = *self;
        Ok(Hello {
            cluster,
            node,
            incarnation,
            seq,
            interval,
            dead,
            flags,
            owned,
            digest,
            slice,
            claims,
            deltas,
            echoes,
        })
    }

    /// Its lists if there are no deltas among them and nothing is wrong with them.
    pub(crate) fn quiet(&self) -> Option<Quiet<'a>> {
        let [claims, 0, echoes] = self.counts else { return None };
        let (all_claims, all_echoes) = self.lists.split_at_checked(usize::from(claims) * CLAIM_LEN)?;
        let quiet = Quiet { claims: all_claims, echoes: all_echoes };
        let sound = claims <= MAX_CLAIMS
            && echoes <= MAX_ECHOES
            && all_echoes.len() == usize::from(echoes) * ECHO_LEN
            && quiet.echoes().count() == usize::from(echoes);
        sound.then_some(quiet)
    }
}

impl<'a> Quiet<'a> {
    pub(crate) fn claims(self) -> impl Iterator<Item = Claim> + use<'a> {
        self.claims.chunks_exact(CLAIM_LEN).filter_map(|entry| Reader(entry).claim().ok())
    }

    pub(crate) fn echoes(self) -> impl Iterator<Item = Echo> + use<'a> {
        self.echoes.chunks_exact(ECHO_LEN).filter_map(|entry| Reader(entry).echo().ok())
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn list<const N: u8, T>(
        &mut self,
        count: u8,
        too_many: &'static str,
        entry: impl Fn(&mut Self) -> Result<T, Rejection>,
    ) -> Result<UpTo<N, T>, Rejection> {
        let mut list = UpTo::with_room(count);
        for _ in 0..count {
            list.push(entry(self)?).map_err(|_| Rejection::Malformed(too_many))?;
        }
        Ok(list)
    }

    fn claim(&mut self) -> Result<Claim, Rejection> {
        Ok(Claim { group: GroupId(self.u64()?), term: Term(self.u64()?) })
    }

    fn delta(&mut self) -> Result<Delta, Rejection> {
        match self.u8()? {
            super::DELTA_CLAIM => Ok(Delta::Claim(self.claim()?)),
            super::DELTA_RESIGN => Ok(Delta::Resign(self.claim()?)),
            super::DELTA_HAND_OVER => Ok(Delta::HandOver { claim: self.claim()?, to: self.node()? }),
            kind @ (super::DELTA_STANDS | super::DELTA_ENDED) => Ok(Delta::Relayed {
                claim: self.claim()?,
                owner: self.node()?,
                stands: kind == super::DELTA_STANDS,
            }),
            _ => Err(Rejection::Malformed("unknown kind of delta")),
        }
    }

    fn echo(&mut self) -> Result<Echo, Rejection> {
        Ok(Echo { incarnation: self.incarnation()?, seq: self.u64()?, age: self.millis()? })
    }

    fn node(&mut self) -> Result<NodeId, Rejection> {
        self.take().map(NodeId)
    }

    fn incarnation(&mut self) -> Result<Incarnation, Rejection> {
        Incarnation::new(self.u64()?).ok_or(Rejection::Malformed("incarnation of zero"))
    }

    fn millis(&mut self) -> Result<Duration, Rejection> {
        Ok(Duration::from_millis(self.u16()?.into()))
    }

    fn u8(&mut self) -> Result<u8, Rejection> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Rejection> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Rejection> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Rejection> {
        self.take().map(u64::from_be_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Rejection> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Rejection::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Bits that this version does not know are ignored, so that a later one can add a hint during an upgrade.
fn flags(bits: u8) -> Flags {
    let set = |bit: u8| bits & bit != 0;
    Flags {
        draining: set(super::FLAG_DRAINING),
        listening: set(super::FLAG_LISTENING),
        leaving: set(super::FLAG_LEAVING),
        ask: set(super::FLAG_ASK),
        aside: set(super::FLAG_ASIDE),
        shaky: set(super::FLAG_SHAKY),
    }
}
