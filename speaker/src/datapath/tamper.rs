// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Hears when somebody else changes nftables: reloading a firewall's configuration (`nft flush ruleset`) deletes
//! our table with everything else.
//!
//! The kernel tells every change to multicast group `NFNLGRP_NFTABLES` of netlink's netfilter family
//! (linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h).

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;

use super::ruleset::TABLE;

const NFNLGRP_NFTABLES: u32 = 7;
const NFNL_SUBSYS_NFTABLES: u8 = 10;
const NFT_MSG_DELTABLE: u8 = 2;
const NFT_MSG_NEWCHAIN: u8 = 3;
const NFT_MSG_DELCHAIN: u8 = 5;
const NFT_MSG_NEWRULE: u8 = 6;
const NFT_MSG_DELRULE: u8 = 8;
/// The table's name has this attribute in messages about tables, chains and rules alike.
const NFTA_TABLE_NAME: u16 = 1;
/// Present in messages about base chains only.
const NFTA_CHAIN_HOOK: u16 = 4;
/// `struct nlmsghdr` and `struct nfgenmsg`
const HEADERS: usize = 16 + 4;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tampering {
    /// Changed rules of another table.
    ForeignRule,
    /// Changed a base chain of another table: its hook, its policy, or its being there.
    ForeignBaseChain,
    /// Deleted our table. We never do so ourselves while we need it, but for a table of another layout.
    OurTableDeleted,
}

/// Listens to the kernel's reports.
pub(crate) struct Listener {
    /// Not a Unix socket in truth. All that is used of the type is that it reads datagrams, and it takes over the
    /// descriptor safely.
    socket: UnixDatagram,
    buffer: Vec<u8>,
}

impl Listener {
    /// # Errors
    /// If the kernel has no such netlink family.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1 << (NFNLGRP_NFTABLES - 1)))?;
        let socket = UnixDatagram::from_std(std::os::unix::net::UnixDatagram::from(socket))?;
        Ok(Listener { socket, buffer: vec![0; 1 << 16] })
    }

    /// The gravest of the next events. Safe to cancel.
    ///
    /// # Errors
    /// If the socket fails for good.
    pub(crate) async fn next(&mut self) -> io::Result<Tampering> {
        loop {
            match self.socket.recv(&mut self.buffer).await {
                Ok(length) => {
                    if let Some(gravest) = self.buffer.get(..length).and_then(gravest) {
                        return Ok(gravest);
                    }
                }
                // The queue ran over: what was lost may be the gravest.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    return Ok(Tampering::OurTableDeleted);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The gravest event in a datagram of netlink messages.
fn gravest(datagram: &[u8]) -> Option<Tampering> {
    let mut rest = datagram;
    let mut gravest = None;
    while let Some((message, kind, next)) = split_message(rest) {
        gravest = gravest.max(tampering(kind, message));
        rest = next;
    }
    gravest
}

/// Splits off the first message: its bytes with headers, its type, and what follows.
fn split_message(bytes: &[u8]) -> Option<(&[u8], [u8; 2], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?).to_be_bytes();
    let message = bytes.get(..length).filter(|message| message.len() >= HEADERS)?;
    Some((message, kind, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn tampering([subsystem, kind]: [u8; 2], message: &[u8]) -> Option<Tampering> {
    if subsystem != NFNL_SUBSYS_NFTABLES {
        return None;
    }
    let attributes = message.get(HEADERS..)?;
    let (_, our_name) = TABLE.split_once(' ')?;
    let ours = attribute(attributes, NFTA_TABLE_NAME)? == [our_name.as_bytes(), b"\0"].concat();
    match kind {
        NFT_MSG_DELTABLE => Some(if ours { Tampering::OurTableDeleted } else { Tampering::ForeignBaseChain }),
        NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN if !ours => {
            attribute(attributes, NFTA_CHAIN_HOOK).map(|_| Tampering::ForeignBaseChain)
        }
        NFT_MSG_NEWRULE | NFT_MSG_DELRULE if !ours => Some(Tampering::ForeignRule),
        _ => None,
    }
}

/// The payload of the first attribute of type `wanted`.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        // The two highest bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?) & 0x3fff;
        if kind == wanted {
            return bytes.get(4..length);
        }
        bytes = bytes.get(length.next_multiple_of(4).max(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0];
        for (kind, payload) in attributes {
            body.extend(u16::try_from(4 + payload.len()).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*payload);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(u16::from_be_bytes([NFNL_SUBSYS_NFTABLES, kind]).to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    #[test]
    fn deleting_our_table_is_noticed_between_other_events() {
        let datagram = [
            message(NFT_MSG_NEWRULE, &[(1, b"filter\0")]),
            message(NFT_MSG_DELTABLE, &[(2, &[0; 4]), (1, b"ferrolb\0")]),
            message(NFT_MSG_NEWCHAIN, &[(1, b"filter\0"), (0x8004, &[0; 8])]),
        ]
        .concat();
        assert_eq!(gravest(&datagram), Some(Tampering::OurTableDeleted));
    }

    #[test]
    fn a_chain_without_a_hook_and_our_own_changes_are_no_news() {
        assert_eq!(gravest(&message(NFT_MSG_NEWCHAIN, &[(1, b"filter\0")])), None);
        assert_eq!(gravest(&message(NFT_MSG_NEWCHAIN, &[(1, b"ferrolb\0"), (4, &[0; 8])])), None);
        assert_eq!(gravest(&message(NFT_MSG_NEWRULE, &[(1, b"ferrolb\0")])), None);
    }

    #[test]
    fn truncated_datagrams_are_survived() {
        let whole = message(NFT_MSG_NEWCHAIN, &[(1, b"filter\0"), (4, &[0; 8])]);
        assert_eq!(gravest(&whole), Some(Tampering::ForeignBaseChain));
        for length in 0..whole.len() {
            assert_eq!(gravest(&whole[..length]), None);
        }
    }
}
