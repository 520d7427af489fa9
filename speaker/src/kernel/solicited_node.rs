// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Membership of the solicited-node multicast groups of IPv6 virtual IPs (RFC 4291, 2.7.1).
//!
//! Neighbour Solicitations go to these groups. The kernel joins them only for its own addresses, so for a virtual IP
//! the card, or a switch with MLD snooping, would drop them. Joining at the IPv6 level opens both: it sets the card's
//! filter and sends the MLD report (RFC 4861, 7.2.1).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;

use ferrolb_layer2::frame::ndp::solicited_node;
use socket2::{Domain, Protocol, Socket, Type};

use super::links::LinkIndex;

/// The kernel limits what one socket may join by memory: about 400 groups on older kernels.
const GROUPS_PER_SOCKET: usize = 300;

/// The groups joined on one interface; left when dropped.
#[derive(Debug)]
pub struct SolicitedNodeGroups {
    link: LinkIndex,
    joined: BTreeMap<Ipv6Addr, usize>,
    sockets: Vec<Membership>,
}

#[derive(Debug)]
struct Membership {
    socket: Socket,
    groups: usize,
}

impl SolicitedNodeGroups {
    /// No groups yet on the interface `link`.
    #[must_use]
    pub fn new(link: LinkIndex) -> Self {
        Self { link, joined: BTreeMap::new(), sockets: Vec::new() }
    }

    /// Joins the groups of exactly these addresses, and leaves all others. Groups that could not be joined are tried
    /// again by the next call.
    ///
    /// # Errors
    /// The first of the kernel's errors; the other groups have been joined all the same.
    pub fn set(&mut self, addresses: impl IntoIterator<Item = Ipv6Addr>) -> io::Result<()> {
        let wanted: BTreeSet<Ipv6Addr> = addresses.into_iter().map(solicited_node).collect();
        let mut result = Ok(());
        let surplus: Vec<Ipv6Addr> =
            self.joined.keys().filter(|group| !wanted.contains(*group)).copied().collect();
        for group in surplus {
            result = result.and(self.leave(group));
        }
        for group in wanted {
            if !self.joined.contains_key(&group) {
                result = result.and(self.join(group));
            }
        }
        result
    }

    fn join(&mut self, group: Ipv6Addr) -> io::Result<()> {
        let place = self.sockets.iter().position(|membership| membership.groups < GROUPS_PER_SOCKET);
        let place = match place {
            Some(place) => place,
            None => {
                let socket = Socket::new(Domain::IPV6, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
                self.sockets.push(Membership { socket, groups: 0 });
                self.sockets.len().saturating_sub(1)
            }
        };
        if let Some(membership) = self.sockets.get_mut(place) {
            membership.socket.join_multicast_v6(&group, self.link)?;
            membership.groups = membership.groups.saturating_add(1);
            self.joined.insert(group, place);
        }
        Ok(())
    }

    fn leave(&mut self, group: Ipv6Addr) -> io::Result<()> {
        let Some(membership) = self.joined.remove(&group).and_then(|place| self.sockets.get_mut(place))
        else {
            return Ok(());
        };
        membership.groups = membership.groups.saturating_sub(1);
        membership.socket.leave_multicast_v6(&group, self.link)
    }
}
