// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! TCP sockets towards routers: what has to be set before the first packet leaves, or a session would silently go without it.

mod md5;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::socket_option::set_option;

pub use md5::{BadPassword, Password};

/// Network control, class selector 6 (RFC 4594).
const TRAFFIC_CLASS: u32 = 0xc0;
/// What a sender within reach uses, since nobody can send more (RFC 5082).
const HIGHEST_TTL: u8 = 255;
/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// Over which TCP connection a router is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its address and port; a link-local address with the number of its interface.
    pub peer: SocketAddr,
    /// Which of our addresses to speak from; the kernel chooses if there is none.
    pub source: Option<IpAddr>,
    /// The interface, or VRF, that nothing else is sent by.
    pub interface: Option<String>,
    /// What both sides sign their segments with.
    pub password: Option<Password>,
    /// How far away it is.
    pub reach: Reach,
}

/// How far away a router may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// As far as it likes: iBGP.
    #[default]
    Anywhere,
    /// On a link of this node: packets leave with a TTL of 1, as eBGP has always done.
    Link,
    /// So many hops away at most, which the TTL of what we send ensures.
    Hops(NonZeroU8),
    /// So many hops away at most, which the TTL of what the router sends proves (GTSM, RFC 5082); 1: on a link of this node.
    Proven(NonZeroU8),
}

/// A setting that the kernel refused. The session must not begin without it.
#[derive(Debug, Error)]
#[error("cannot set {what}: {source}")]
pub struct SocketError {
    what: &'static str,
    source: io::Error,
}

impl SocketError {
    /// The kernel's error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Names what was being set.
trait While<T> {
    fn setting(self, what: &'static str) -> Result<T, SocketError>;
}

impl<T> While<T> for io::Result<T> {
    fn setting(self, what: &'static str) -> Result<T, SocketError> {
        self.map_err(|source| SocketError { what, source })
    }
}

impl Transport {
    /// A socket with everything set, to be connected to [`Transport::peer`]; it does not block.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn prepare(&self) -> Result<Socket, SocketError> {
        let socket = tcp(self.peer.ip()).setting("up a TCP socket")?;
        socket.set_tcp_nodelay(true).setting("TCP_NODELAY")?;
        if let Some(password) = &self.password {
            md5::set(&socket, self.peer.ip(), Some(password)).setting("the password (TCP MD5)")?;
        }
        self.guard(&socket)?;
        if let Some(name) = &self.interface {
            socket.bind_device(Some(name.as_bytes())).setting("the interface")?;
        }
        if let Some(source) = self.source {
            socket.set_reuse_address(true).setting("SO_REUSEADDR")?;
            socket.bind(&SocketAddr::new(source, 0).into()).setting("the source address")?;
        }
        Ok(socket)
    }

    /// Sets on a connection that the router made what [`Transport::prepare`] sets on one of ours.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn adopt(&self, stream: &impl AsFd) -> Result<(), SocketError> {
        let copy = stream.as_fd().try_clone_to_owned().setting("up a TCP socket")?;
        let socket = Socket::from(copy);
        socket.set_tcp_nodelay(true).setting("TCP_NODELAY")?;
        self.guard(&socket)
    }

    fn guard(&self, socket: &Socket) -> Result<(), SocketError> {
        set_traffic_class(socket, self.peer.ip()).setting("the traffic class")?;
        let ttl = match self.reach {
            Reach::Anywhere => return Ok(()),
            Reach::Link => 1,
            Reach::Hops(hops) => hops.get(),
            Reach::Proven(hops) => {
                let least = HIGHEST_TTL.saturating_sub(hops.get() - 1);
                set_least_ttl(socket, self.peer.ip(), least).setting("the least TTL (GTSM)")?;
                HIGHEST_TTL
            }
        };
        set_ttl(socket, self.peer.ip(), ttl).setting("the TTL")
    }
}

/// A socket that routers may connect to. There is one for each family: a key for an IPv4 router is not found on a socket of both.
#[derive(Debug)]
pub struct RouterListener {
    socket: Socket,
}

impl RouterListener {
    /// Listens on `address`; `::` takes IPv6 alone.
    ///
    /// # Errors
    /// A setting is refused; most often the port is taken.
    pub fn open(address: SocketAddr) -> Result<Self, SocketError> {
        let ip = address.ip();
        let socket = tcp(ip).setting("up a TCP socket")?;
        if ip.is_ipv6() {
            socket.set_only_v6(true).setting("IPV6_V6ONLY")?;
        }
        socket.set_reuse_address(true).setting("SO_REUSEADDR")?;
        set_traffic_class(&socket, ip).setting("the traffic class")?;
        // A router with GTSM takes the answer to its first packet only with this; what others expect is set once they are known.
        set_ttl(&socket, ip, HIGHEST_TTL).setting("the TTL")?;
        socket.bind(&address.into()).setting("the address to listen on")?;
        socket.listen(BACKLOG).setting("up a listening socket")?;
        Ok(Self { socket })
    }

    /// From now on `peer` has to sign with `password`, or with none.
    ///
    /// # Errors
    /// The kernel refuses the key: too many, or it knows no MD5.
    pub fn set_password(&self, peer: IpAddr, password: Option<&Password>) -> Result<(), SocketError> {
        md5::set(&self.socket, peer, password).setting("the password (TCP MD5)")
    }

    /// For a runtime to wait on; it shares this socket.
    ///
    /// # Errors
    /// The kernel's: no file descriptor is left.
    pub fn listener(&self) -> io::Result<std::net::TcpListener> {
        Ok(self.socket.try_clone()?.into())
    }
}

/// Segments that this network namespace has dropped because of their TCP MD5 signatures (RFC 2385).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignatureFaults {
    /// Signed with another key (`TCPMD5Failure`).
    pub wrong: u64,
    /// Not signed, though there is a key for the sender (`TCPMD5NotFound`).
    pub missing: u64,
    /// Signed, though there is no key for the sender (`TCPMD5Unexpected`).
    pub unexpected: u64,
}

impl SignatureFaults {
    /// What was counted so far; `None` where the kernel does not count.
    #[must_use]
    pub fn read() -> Option<Self> {
        // Those of the thread, since tests run several nodes in one process.
        Self::parse(&fs::read_to_string("/proc/thread-self/net/netstat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |name| counter(text, "TcpExt:", name);
        Some(Self {
            wrong: number("TCPMD5Failure")?,
            missing: number("TCPMD5NotFound")?,
            unexpected: number("TCPMD5Unexpected")?,
        })
    }

    /// What they say that were counted since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Option<String> {
        let told = [
            (self.wrong, before.wrong, "are signed with another password than ours (TCP MD5): compare them"),
            (
                self.missing,
                before.missing,
                "are not signed, though a password is configured here: set it there too",
            ),
            (
                self.unexpected,
                before.unexpected,
                "are signed, though no password is configured here: name its Secret",
            ),
        ];
        let told = told.into_iter().filter_map(|(now, before, words)| {
            let new = now.checked_sub(before).filter(|new| *new > 0)?;
            Some(format!("{new} segments that came to this node meanwhile {words}"))
        });
        told.reduce(|all, next| format!("{all}; {next}"))
    }
}

/// Reads one number of a file that has a line of names above each line of numbers.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|other| other == name)?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

fn tcp(address: IpAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
}

fn set_traffic_class(socket: &Socket, address: IpAddr) -> io::Result<()> {
    if address.is_ipv4() { socket.set_tos_v4(TRAFFIC_CLASS) } else { socket.set_tclass_v6(TRAFFIC_CLASS) }
}

fn set_ttl(socket: &Socket, address: IpAddr, ttl: u8) -> io::Result<()> {
    if address.is_ipv4() { socket.set_ttl_v4(ttl.into()) } else { socket.set_unicast_hops_v6(ttl.into()) }
}

fn set_least_ttl(socket: &Socket, address: IpAddr, least: u8) -> io::Result<()> {
    let (level, name) = match address {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
    };
    set_option(socket, level, name, &i32::from(least))
}

/// Where a listener listens for both families.
#[must_use]
pub fn everywhere(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent TCPMD5Failure Other\nTcpExt: 1 42 3\nIpExt: InOctets\nIpExt: 9\n";
        assert_eq!(counter(text, "TcpExt:", "TCPMD5Failure"), Some(42));
        assert_eq!(counter(text, "TcpExt:", "TCPFooBar"), None);
        assert_eq!(counter("", "TcpExt:", "TCPMD5Failure"), None);
    }

    #[test]
    fn new_faults_are_told_in_words_and_old_ones_are_not() {
        let text = "TcpExt: TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure\nTcpExt: 1 2 3\n";
        let before = SignatureFaults::parse(text).unwrap();
        assert_eq!(before, SignatureFaults { missing: 1, unexpected: 2, wrong: 3 });
        assert_eq!(before.since(before), None);
        let words = SignatureFaults { wrong: 5, ..before }.since(before).unwrap();
        assert!(words.starts_with("2 segments") && words.contains("another password"), "{words}");
    }

    #[test]
    fn this_kernel_counts_faults_of_signatures() {
        assert!(SignatureFaults::read().is_some());
    }
}
