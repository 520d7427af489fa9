// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! UPDATE: routes that come and go (RFC 4271, section 4.3; RFC 4760).

pub(crate) mod encode;
mod fault;
mod path;
mod raw;
mod read;

use std::net::Ipv4Addr;

pub use fault::{AttributeFault, Handling};
pub use path::AsPath;

use crate::{
    attributes::{NextHop, Origin},
    community::{Community, ExtendedCommunity, LargeCommunity},
    family::Family,
    fault::Fault,
    negotiated::Negotiated,
    prefixes::Prefixes,
};
use ipnet::IpNet;

/// The body of an UPDATE that was not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateBody<'a>(&'a [u8]);

impl<'a> UpdateBody<'a> {
    /// Whatever follows the header.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// Whatever follows the header.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Reads it as the session has agreed on. The result borrows from the message: nothing is copied but the fault's data.
    ///
    /// # Errors
    /// Where the routes in it cannot be told apart: the session ends (RFC 7606, section 3). Other errors are told by
    /// [`Update::fault`] and [`Update::discarded`].
    pub fn read(self, session: &Negotiated) -> Result<Update<'a>, Fault> {
        read::read(self.0, session)
    }
}

/// An UPDATE whose routes are all told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    withdrawn: Prefixes<'a>,
    announced: Prefixes<'a>,
    unreachable: Option<Prefixes<'a>>,
    reachable: Option<Reachable<'a>>,
    attributes: PathAttributes<'a>,
    end_of_rib: Option<Family>,
    fault: Option<AttributeFault>,
    discarded: Vec<AttributeFault>,
}

/// What MP_REACH_NLRI says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reachable<'a> {
    /// Where to send traffic for them.
    pub next_hop: NextHop,
    /// The routes.
    pub prefixes: Prefixes<'a>,
}

/// The attributes of an UPDATE that were right; each `None` or empty if it was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathAttributes<'a> {
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// AS_PATH, with numbers of as many octets as were agreed on.
    pub as_path: Option<AsPath<'a>>,
    /// AS4_PATH, from a peer with numbers of two octets.
    pub as4_path: Option<AsPath<'a>>,
    /// NEXT_HOP, of IPv4 routes outside MP_REACH_NLRI.
    pub next_hop: Option<Ipv4Addr>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF, from peers of our autonomous system only.
    pub local_pref: Option<u32>,
    communities: &'a [[u8; 4]],
    extended_communities: &'a [[u8; 8]],
    large_communities: &'a [[u8; 12]],
}

impl<'a> PathAttributes<'a> {
    /// Standard communities, as they came.
    pub fn communities(&self) -> impl Iterator<Item = Community> + use<'a> {
        self.communities.iter().map(|octets| Community(u32::from_be_bytes(*octets)))
    }

    /// Extended communities, as they came.
    pub fn extended_communities(&self) -> impl Iterator<Item = ExtendedCommunity> + use<'a> {
        self.extended_communities.iter().map(|octets| ExtendedCommunity(*octets))
    }

    /// Large communities, as they came.
    pub fn large_communities(&self) -> impl Iterator<Item = LargeCommunity> + use<'a> {
        self.large_communities.iter().map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| LargeCommunity {
            global: u32::from_be_bytes([a, b, c, d]),
            data1: u32::from_be_bytes([e, f, g, h]),
            data2: u32::from_be_bytes([i, j, k, l]),
        })
    }
}

impl<'a> Update<'a> {
    /// Routes that are announced; none if a wrong attribute makes them count as withdrawn.
    pub fn announced(&self) -> impl Iterator<Item = IpNet> + use<'a> {
        let believed = if self.fault.is_none() { self.carried() } else { [None, None] };
        believed.into_iter().flatten().flat_map(|prefixes| prefixes.iter())
    }

    /// Routes that are withdrawn, those among them that only count as withdrawn (RFC 7606, section 2).
    pub fn withdrawn(&self) -> impl Iterator<Item = IpNet> + use<'a> {
        let disbelieved = if self.fault.is_some() { self.carried() } else { [None, None] };
        let said = [Some(self.withdrawn), self.unreachable];
        said.into_iter().chain(disbelieved).flatten().flat_map(|prefixes| prefixes.iter())
    }

    fn carried(&self) -> [Option<Prefixes<'a>>; 2] {
        [Some(self.announced), self.reachable.map(|reachable| reachable.prefixes)]
    }

    /// What MP_REACH_NLRI says, right or wrong attributes beside it; `None` also for families that this crate does not speak.
    pub fn reachable(&self) -> Option<Reachable<'a>> {
        self.reachable
    }

    /// The attributes that were right.
    pub fn attributes(&self) -> &PathAttributes<'a> {
        &self.attributes
    }

    /// The peer has sent all its routes of this family once (RFC 4724, section 2).
    pub fn end_of_rib(&self) -> Option<Family> {
        self.end_of_rib
    }

    /// The wrong attribute because of which the announced routes count as withdrawn; the first if there are several.
    pub fn fault(&self) -> Option<AttributeFault> {
        self.fault
    }

    /// Wrong attributes that were left out, with the rest of the message in force. One of each type at most.
    pub fn discarded(&self) -> &[AttributeFault] {
        &self.discarded
    }
}

#[cfg(test)]
mod tests;
