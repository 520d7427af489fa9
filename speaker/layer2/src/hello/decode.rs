// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Bytes to a hello. Nothing here trusts a length, a count or a number before it was checked.

use std::time::Duration;

use super::{Claim, Delta, Echo, Flags, HEADER_LEN, Hello, MAGIC, MAX_LEN, MIN_LEN, Slice, UpTo, VERSION};
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

    pub(super) fn verify(self, keys: &KeyRing) -> Result<Hello, Rejection> {
        if !keys.verifies(self.key_id, self.signed, self.tag) && rule::holds(Rule::Authenticity) {
            return Err(Rejection::WrongKey);
        }
        let body = self.signed.get(HEADER_LEN..).ok_or(Rejection::Truncated)?;
        content(self.cluster, body)
    }
}

/// Reads what follows the header, already known to be authentic.
pub(super) fn content(cluster: ClusterId, body: &[u8]) -> Result<Hello, Rejection> {
    Reader(body).hello(cluster)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn hello(mut self, cluster: ClusterId) -> Result<Hello, Rejection> {
        let node = self.node()?;
        let incarnation = self.incarnation()?;
        let seq = self.u64()?;
        let interval = self.millis()?;
        let dead = self.millis()?;
        if interval.is_zero() {
            return Err(Rejection::Malformed("interval of zero"));
        }
        if dead < interval {
            return Err(Rejection::Malformed("dead before the next hello is due"));
        }
        let flags = flags(self.u8()?);
        let owned = self.u32()?;
        let digest = Digest::from_bytes(self.take()?);
        let slice =
            Slice::new(self.u16()?, self.u16()?).ok_or(Rejection::Malformed("slice beyond its count"))?;
        let [claims, deltas, echoes] = self.take()?;
        let claims = self.list(claims, "too many claims", Self::claim)?;
        let deltas = self.list(deltas, "too many deltas", Self::delta)?;
        let echoes = self.list(echoes, "too many echoes", Self::echo)?;
        if !self.0.is_empty() {
            return Err(Rejection::Malformed("trailing bytes"));
        }
        let hello = Hello {
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
        };
        Ok(hello)
    }

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
        Ok(Echo {
            node: self.node()?,
            incarnation: self.incarnation()?,
            seq: self.u64()?,
            age: self.millis()?,
        })
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
