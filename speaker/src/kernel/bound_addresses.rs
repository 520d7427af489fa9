// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Virtual IPs on this node's interfaces, each with a lifetime after which the kernel removes it (rtnetlink, RFC 3549).
//!
//! An address of ours is alone in its subnet (/32, /128), is never chosen as the source of a connection (no preferred
//! lifetime), makes no route, and carries our mark (`IFA_PROTO`, Linux 5.18). An older kernel ignores the mark; what a
//! dead process left there ends by itself within the lifetime.
//!
//! Calls are synchronous: the kernel does the work within `sendmsg`, and whoever calls must be ready to wait for its lock.
#![expect(clippy::disallowed_types, reason = "one of the three files that speak rtnetlink")]

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::links::LinkIndex;

/// Who configured an address, in the kernel's attribute `IFA_PROTO`; numbers from 4 on are free for all.
const OURS: AddressProtocol = AddressProtocol::Other(0xfe);

/// A virtual IP on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The interface.
    pub link: LinkIndex,
    /// The address.
    pub address: IpAddr,
}

/// Why an address is not on its interface.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else configured it.
    #[error(
        "{0} is configured on this node by somebody else, who keeps it; take it off, or ask for another address"
    )]
    Taken(IpAddr),
    /// The kernel refused.
    #[error("the kernel refuses {0}: {1}")]
    Refused(IpAddr, #[source] io::Error),
}

/// The way to put addresses on interfaces, in the network namespace of whoever opened it.
#[derive(Debug)]
pub struct BoundAddresses {
    socket: Socket,
    sequence: u32,
}

impl BoundAddresses {
    /// Opens the way to the kernel.
    ///
    /// # Errors
    /// No socket is to be had.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The addresses that carry our mark.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn list(&mut self) -> io::Result<BTreeSet<Place>> {
        let ours = self.dump()?.into_iter().filter(|found| found.ours).map(|found| found.place);
        Ok(ours.collect())
    }

    /// Puts an address on its interface for `lifetime`, in whole seconds, unless somebody else has it on any.
    ///
    /// # Errors
    /// Somebody else has it, or the kernel refuses.
    pub fn add(&mut self, place: Place, lifetime: Duration) -> Result<(), BindError> {
        let refused = |error| BindError::Refused(place.address, error);
        let found = self.dump().map_err(refused)?;
        if found.iter().any(|found| found.place.address == place.address && !found.ours) {
            return Err(BindError::Taken(place.address));
        }
        let is_there = found.iter().any(|found| found.place == place);
        let flags = if is_there { NLM_F_REPLACE } else { NLM_F_CREATE | NLM_F_EXCL };
        self.change(RouteNetlinkMessage::NewAddress(message(place, lifetime)), flags).map_err(refused)
    }

    /// Gives an address of ours another `lifetime` from now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn renew(&mut self, place: Place, lifetime: Duration) -> Result<(), BindError> {
        self.change(RouteNetlinkMessage::NewAddress(message(place, lifetime)), NLM_F_REPLACE | NLM_F_CREATE)
            .map_err(|error| BindError::Refused(place.address, error))
    }

    /// Takes an address of ours off its interface; that it is not there any more is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, place: Place) -> io::Result<()> {
        let gone = |error: &io::Error| {
            matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV | libc::ESRCH))
        };
        match self.change(RouteNetlinkMessage::DelAddress(message(place, Duration::ZERO)), 0) {
            Err(error) if !gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.send(message, flags | NLM_F_ACK)?;
        self.answers(|_| {})
    }

    fn dump(&mut self) -> io::Result<Vec<Found>> {
        self.send(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?;
        let mut all = Vec::new();
        self.answers(|message| {
            if let RouteNetlinkMessage::NewAddress(message) = message {
                all.extend(found(&message));
            }
        })?;
        Ok(all)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }

    /// Reads until the kernel has said all that it has to say to the last request.
    fn answers(&mut self, mut each: impl FnMut(RouteNetlinkMessage)) -> io::Result<()> {
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX).max(1);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => each(message),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}

struct Found {
    place: Place,
    ours: bool,
}

fn found(message: &AddressMessage) -> Option<Found> {
    let (mut own, mut local, mut ours) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(address) => own = Some(*address),
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Protocol(protocol) => ours = *protocol == OURS,
            _ => {}
        }
    }
    Some(Found { place: Place { link: message.header.index, address: local.or(own)? }, ours })
}

fn message(place: Place, lifetime: Duration) -> AddressMessage {
    let Place { link, address } = place;
    let (family, length, dad) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32, AddressFlags::empty()),
        // Whether somebody else uses it was asked by the election, before a first use.
        IpAddr::V6(_) => (AddressFamily::Inet6, 128, AddressFlags::Nodad),
    };
    let mut message = AddressMessage::default();
    message.header.family = family;
    message.header.prefix_len = length;
    message.header.index = link;
    let mut cache = CacheInfo::default();
    // A lifetime of zero seconds is none.
    cache.ifa_valid = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
    cache.ifa_preferred = 0;
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
        AddressAttribute::Flags(AddressFlags::Noprefixroute | dad),
        AddressAttribute::CacheInfo(cache),
        AddressAttribute::Protocol(OURS),
    ];
    message
}
