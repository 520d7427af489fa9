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
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket,
};
use tokio::net::UnixDatagram;

const NFNLGRP_NFTABLES: u32 = 7;
const NFNL_SUBSYS_NFTABLES: u8 = 10;
const NFT_MSG_NEWTABLE: u8 = 0;
const NFT_MSG_DELTABLE: u8 = 2;
const NFT_MSG_NEWCHAIN: u8 = 3;
const NFT_MSG_DELCHAIN: u8 = 5;
const NFT_MSG_NEWRULE: u8 = 6;
const NFT_MSG_DELRULE: u8 = 8;
const NFT_MSG_NEWSET: u8 = 9;
const NFT_MSG_DELSET: u8 = 11;
const NFT_MSG_NEWSETELEM: u8 = 12;
const NFT_MSG_DELSETELEM: u8 = 14;
/// The table's name has this attribute in messages about all of these.
const NFTA_TABLE_NAME: u16 = 1;
/// Present in messages about base chains only.
const NFTA_CHAIN_HOOK: u16 = 4;
/// Bytes; the kernel counts its own overhead in.
const RECEIVE_BUFFER: usize = 8 << 20;
/// `struct nlmsghdr` and `struct nfgenmsg`
const HEADERS: usize = 16 + 4;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tampering {
    /// Changed rules of another table.
    ForeignRule,
    /// Changed a base chain of another table: its hook, its policy, or its being there.
    ForeignBaseChain,
    /// So much that the kernel dropped its reports.
    Unknown,
    /// Changed something in our table; also reported of what we do.
    OurTableChanged,
    /// Deleted our table; we do so ourselves only to replace one of another layout.
    OurTableDeleted,
}

/// Listens to the kernel's reports.
pub(crate) struct TableMonitor {
    /// Our table's name with its final zero.
    own: Vec<u8>,
    /// Not a Unix socket in truth. All that is used of the type is that it reads datagrams, and it takes over the
    /// descriptor safely.
    socket: UnixDatagram,
    buffer: Vec<u8>,
}

impl TableMonitor {
    /// Listens for changes of `table` of family `inet`, and of what other tables have in the packets' way.
    ///
    /// # Errors
    /// If the kernel has no such netlink family.
    pub(crate) fn open(table: &str) -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        // As large as it may be: one change of a large table is thousands of reports.
        if let Err(error) = setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER) {
            tracing::debug!(%error, "the queue of reports stays small");
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1 << (NFNLGRP_NFTABLES - 1)))?;
        let socket = UnixDatagram::from_std(std::os::unix::net::UnixDatagram::from(socket))?;
        let own = [table.as_bytes(), b"\0"].concat();
        Ok(Self { own, socket, buffer: vec![0; 1 << 16] })
    }

    /// The gravest of the next events. Safe to cancel.
    ///
    /// # Errors
    /// If the socket fails for good.
    pub(crate) async fn next(&mut self) -> io::Result<Tampering> {
        loop {
            let received = self.socket.recv(&mut self.buffer).await;
            if let Some(gravest) = self.judge(received, None)? {
                return Ok(gravest);
            }
        }
    }

    /// Drops the reports of what this process has just done itself, and returns the gravest of the others among them. The
    /// kernel queues its reports before it answers who made the change, so they are all there.
    ///
    /// A report carries the netlink port of who made the change, which is normally its process id. In the rare other case
    /// (another process id namespace has taken it) our own change looks like somebody else's; restoring is harmless.
    ///
    /// # Errors
    /// If the socket fails for good.
    pub(crate) fn pass_over(&mut self, own_process: Option<u32>) -> io::Result<Option<Tampering>> {
        let mut gravest = None;
        loop {
            let received = self.socket.try_recv(&mut self.buffer);
            if received.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Ok(gravest);
            }
            gravest = gravest.max(self.judge(received, own_process)?);
        }
    }

    fn judge(&self, received: io::Result<usize>, writer: Option<u32>) -> io::Result<Option<Tampering>> {
        match received {
            Ok(length) => {
                Ok(self.buffer.get(..length).and_then(|datagram| gravest(datagram, &self.own, writer)))
            }
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Ok(Some(Tampering::Unknown)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The gravest event in a datagram of netlink messages, but for those from port `writer`.
fn gravest(datagram: &[u8], own_table: &[u8], writer: Option<u32>) -> Option<Tampering> {
    let mut rest = datagram;
    let mut gravest = None;
    while let Some((message, next)) = split_message(rest) {
        if writer != Some(message.port) {
            gravest = gravest.max(tampering(&message, own_table));
        }
        rest = next;
    }
    gravest
}

struct Message<'a> {
    /// Subsystem and type.
    kind: [u8; 2],
    /// Who made the change.
    port: u32,
    attributes: &'a [u8],
}

/// Splits off the first message.
fn split_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?).to_be_bytes();
    let port = u32::from_ne_bytes(*bytes.get(12..)?.first_chunk()?);
    let attributes = bytes.get(HEADERS..length)?;
    Some((Message { kind, port, attributes }, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn tampering(message: &Message<'_>, own_table: &[u8]) -> Option<Tampering> {
    let Message { kind: [subsystem, kind], attributes, .. } = *message;
    if subsystem != NFNL_SUBSYS_NFTABLES {
        return None;
    }
    let ours = attribute(attributes, NFTA_TABLE_NAME)? == own_table;
    match kind {
        NFT_MSG_DELTABLE if ours => Some(Tampering::OurTableDeleted),
        NFT_MSG_NEWTABLE | NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN | NFT_MSG_NEWRULE | NFT_MSG_DELRULE
        | NFT_MSG_NEWSET | NFT_MSG_DELSET | NFT_MSG_NEWSETELEM | NFT_MSG_DELSETELEM
            if ours =>
        {
            Some(Tampering::OurTableChanged)
        }
        NFT_MSG_DELTABLE => Some(Tampering::ForeignBaseChain),
        NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN => {
            attribute(attributes, NFTA_CHAIN_HOOK).map(|_| Tampering::ForeignBaseChain)
        }
        NFT_MSG_NEWRULE | NFT_MSG_DELRULE => Some(Tampering::ForeignRule),
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
        message.extend([0; 6]);
        message.extend(77_u32.to_ne_bytes());
        message.extend(body);
        message
    }

    fn heard(datagram: &[u8], writer: Option<u32>) -> Option<Tampering> {
        gravest(datagram, b"ferrolb\0", writer)
    }

    #[test]
    fn deleting_our_table_is_noticed_between_other_events() {
        let datagram = [
            message(NFT_MSG_NEWRULE, &[(1, b"filter\0")]),
            message(NFT_MSG_DELTABLE, &[(2, &[0; 4]), (1, b"ferrolb\0")]),
            message(NFT_MSG_NEWCHAIN, &[(1, b"filter\0"), (0x8004, &[0; 8])]),
        ]
        .concat();
        assert_eq!(heard(&datagram, None), Some(Tampering::OurTableDeleted));
        assert_eq!(heard(&datagram, Some(76)), Some(Tampering::OurTableDeleted));
        assert_eq!(heard(&datagram, Some(77)), None, "it was us");
    }

    #[test]
    fn changes_of_our_table_and_of_other_base_chains_are_news() {
        let news = |kind, attributes: &[(u16, &[u8])]| heard(&message(kind, attributes), None);
        assert_eq!(news(NFT_MSG_NEWCHAIN, &[(1, b"filter\0")]), None);
        assert_eq!(
            news(NFT_MSG_NEWCHAIN, &[(1, b"filter\0"), (4, &[0; 8])]),
            Some(Tampering::ForeignBaseChain)
        );
        assert_eq!(news(NFT_MSG_DELSETELEM, &[(1, b"ferrolb\0")]), Some(Tampering::OurTableChanged));
        assert_eq!(news(NFT_MSG_DELSETELEM, &[(1, b"ferro\0")]), None);
    }

    #[test]
    fn truncated_datagrams_are_survived() {
        let whole = message(NFT_MSG_NEWCHAIN, &[(1, b"filter\0"), (4, &[0; 8])]);
        assert_eq!(heard(&whole, None), Some(Tampering::ForeignBaseChain));
        for length in 0..whole.len() {
            assert_eq!(heard(&whole[..length], None), None);
        }
    }
}
