// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BGP: routes by the ten thousand, sessions by the hundred, and how soon a router knows of an address. The router is BIRD, whoever
//! speaks to it.

pub(crate) mod announce;
pub(crate) mod peers;
mod receiver;
pub(crate) mod routes;
mod sender;
pub(crate) mod services;

use std::net::Ipv4Addr;

/// Where the prefixes begin; all are hosts of 198.18.0.0/15 (RFC 2544).
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// As many as that network has.
const MOST: i64 = 1 << 17;
/// The autonomous system of whoever is measured.
const NODE_AS: u32 = 65_001;
/// The router's.
const ROUTER_AS: u32 = 65_002;

/// The addresses that are announced, one a prefix.
fn addresses(count: usize) -> impl Iterator<Item = Ipv4Addr> {
    (FIRST..).take(count).map(Ipv4Addr::from)
}

/// The router's address in session `number`; they are stations of one network.
fn router_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number.saturating_add(2))
}

/// What all routes carry: a community that changes where attributes change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    First,
    Second,
}

impl Colour {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The local part of the community.
    fn number(self) -> u16 {
        match self {
            Self::First => 7,
            Self::Second => 8,
        }
    }
}
