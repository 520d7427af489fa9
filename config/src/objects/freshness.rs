// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How far a view can be trusted.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::compat;

/// The kinds that speak of routers alone.
const OF_ROUTERS: [&str; 10] = [
    "BGPPeer",
    "BGPAdvertisement",
    "BFDProfile",
    "Community",
    "Secret",
    compat::BGP_PEER,
    compat::BGP_ADVERTISEMENT,
    compat::BFD_PROFILE,
    compat::COMMUNITY,
    compat::SECRET,
];

/// How far a view can be trusted. The default, which a folder always has: current and whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Since when the source has been out of reach for at least one kind: the view is the last one known, maybe from
    /// another life of the process. `None`: it follows the source.
    pub stale_since: Option<Timestamp>,
    /// Kinds of which nothing could be read yet, as `kind:` spells them. That the view holds none of them says
    /// nothing, so nobody may give or take an address because of it.
    pub unknown: BTreeSet<&'static str>,
}

impl Freshness {
    /// The kind of this name, if it speaks of routers alone: the others go on without it.
    pub fn of_routers(kind: &str) -> Option<&'static str> {
        OF_ROUTERS.into_iter().find(|it| *it == kind)
    }

    /// Those of the unknown kinds that say who has an address or carries it; the others speak of routers alone.
    pub fn unknown_of_addresses(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.unknown.iter().copied().filter(|kind| Self::of_routers(kind).is_none())
    }

    /// Whether the view holds every kind that says what routers are told. A session that begins without would make a router
    /// forget routes that are wanted.
    pub fn knows_routers(&self) -> bool {
        !self.unknown.iter().any(|kind| Self::of_routers(kind).is_some())
    }

    /// Whether the view is current and holds every kind.
    pub fn is_whole(&self) -> bool {
        self.stale_since.is_none() && self.unknown.is_empty()
    }
}
