// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where a session runs, and which packets may belong to it.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use crate::discard::Discard;

/// The two ends of a session and what may lie between them. At most one session has the same ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Both are on one link (RFC 5881).
    SingleHop {
        /// The neighbour's address.
        peer: IpAddr,
        /// Index of the interface on that link. Without it a packet may arrive by any; a link-local neighbour needs it.
        interface: Option<NonZeroU32>,
    },
    /// Routers lie between them (RFC 5883).
    MultiHop {
        /// The neighbour's address.
        peer: IpAddr,
        /// Our address that it knows.
        local: IpAddr,
        /// The least time to live, or hop limit, that packets may arrive with: 254 allows one router.
        minimum_ttl: u8,
    },
}

/// Over how many hops a packet may have come: each has its own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// It came to port 3784.
    Single,
    /// It came to port 4784.
    Multi,
}

/// What identifies the sender of a packet that names no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ends {
    Single(IpAddr, Option<NonZeroU32>),
    Multi(IpAddr, IpAddr),
}

impl Path {
    /// The neighbour's address.
    pub fn peer(&self) -> IpAddr {
        match self {
            Self::SingleHop { peer, .. } | Self::MultiHop { peer, .. } => peer.to_canonical(),
        }
    }

    /// `None` if a link-local address goes without its interface.
    pub(crate) fn ends(&self) -> Option<Ends> {
        match *self {
            Self::SingleHop { peer, interface } => {
                let unscoped = matches!(peer, IpAddr::V6(v6) if v6.is_unicast_link_local());
                (!unscoped || interface.is_some()).then(|| Ends::Single(peer.to_canonical(), interface))
            }
            Self::MultiHop { peer, local, .. } => {
                let link_local =
                    |address| matches!(address, IpAddr::V6(v6) if Ipv6Addr::is_unicast_link_local(&v6));
                (!link_local(peer) && !link_local(local))
                    .then(|| Ends::Multi(peer.to_canonical(), local.to_canonical()))
            }
        }
    }

    /// Whether a packet with this time to live, that came to the port of `hops`, may belong to the session.
    pub(crate) fn admits(&self, hops: Hops, ttl: u8) -> Result<(), Discard> {
        let least = match (self, hops) {
            (Self::SingleHop { .. }, Hops::Single) => u8::MAX,
            (Self::MultiHop { minimum_ttl, .. }, Hops::Multi) => *minimum_ttl,
            _ => return Err(Discard::WrongPort { single_hop: hops == Hops::Single }),
        };
        if ttl < least { Err(Discard::Ttl { got: ttl, least }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn over_one_hop_only_a_time_to_live_of_255_will_do() {
        let path = Path::SingleHop { peer: address("192.0.2.1"), interface: None };
        assert_eq!(path.admits(Hops::Single, 255), Ok(()));
        assert_eq!(path.admits(Hops::Single, 254), Err(Discard::Ttl { got: 254, least: 255 }));
        assert_eq!(path.admits(Hops::Multi, 255), Err(Discard::WrongPort { single_hop: false }));
    }

    #[test]
    fn over_several_hops_the_session_says_how_many_routers_may_lie_between() {
        let (peer, local) = (address("192.0.2.1"), address("198.51.100.1"));
        let path = Path::MultiHop { peer, local, minimum_ttl: 250 };
        assert_eq!(path.admits(Hops::Multi, 250), Ok(()));
        assert_eq!(path.admits(Hops::Multi, 249), Err(Discard::Ttl { got: 249, least: 250 }));
        assert_eq!(path.admits(Hops::Single, 255), Err(Discard::WrongPort { single_hop: true }));
    }

    #[test]
    fn link_local_addresses_need_their_interface_and_cross_no_router() {
        let peer = address("fe80::1");
        assert_eq!(Path::SingleHop { peer, interface: None }.ends(), None);
        assert!(Path::SingleHop { peer, interface: NonZeroU32::new(2) }.ends().is_some());
        assert_eq!(Path::MultiHop { peer, local: address("2001:db8::1"), minimum_ttl: 254 }.ends(), None);
    }
}
