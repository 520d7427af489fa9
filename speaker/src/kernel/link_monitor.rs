// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Follows the kernel's interfaces, addresses and default routes over rtnetlink (RFC 3549).
//!
//! One dump at the start, then the kernel's multicast messages; nothing is polled. When the kernel had to drop
//! messages (overrun), or the connection breaks, the table is dumped anew.
#![expect(clippy::disallowed_types, reason = "the one place that speaks rtnetlink")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_layer2::MacAddr;
use futures::StreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::links::{Change, DefaultRoute, Device, Links, NextHop, Table};

/// Room for the messages that come while the process sleeps; beyond it the kernel reports an overrun.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
/// A dump that the kernel calls inconsistent is taken again, so often.
const DUMP_ATTEMPTS: usize = 8;
/// Pause before a broken connection is opened again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Why the interfaces cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum LinkMonitorError {
    /// The netlink socket could not be opened or bound.
    #[error("cannot open a netlink socket to follow the network interfaces: {0}")]
    Open(#[source] std::io::Error),
    /// The kernel refused a dump.
    #[error("the kernel refused to list {what}: {message}")]
    Dump {
        /// What was asked for.
        what: &'static str,
        /// The kernel's or the library's words.
        message: String,
    },
    /// The connection ended.
    #[error("the netlink connection was closed")]
    Closed,
}

/// A running watch over the node's interfaces; stops when dropped.
#[derive(Debug)]
pub struct LinkMonitor {
    links: watch::Receiver<Arc<Links>>,
    task: JoinHandle<()>,
}

impl LinkMonitor {
    /// Opens the connection in the calling thread's network namespace and returns once the first dump is complete.
    ///
    /// # Errors
    /// The socket cannot be opened, or the kernel refuses a dump.
    pub async fn start() -> Result<Self, LinkMonitorError> {
        let mut connection = Connection::open()?;
        connection.resync().await?;
        let (sender, links) = watch::channel(Arc::new(connection.table.links()));
        let task = tokio::spawn(follow(connection, sender));
        Ok(Self { links, task })
    }

    /// The interfaces as they are now and become.
    #[must_use]
    pub fn links(&self) -> watch::Receiver<Arc<Links>> {
        self.links.clone()
    }
}

impl Drop for LinkMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows for ever; a broken connection is opened again and the table dumped anew.
async fn follow(mut connection: Connection, sender: watch::Sender<Arc<Links>>) {
    loop {
        let Err(error) = connection.follow(&sender).await;
        warn!(%error, "lost sight of the network interfaces, trying again");
        connection = loop {
            tokio::time::sleep(RECONNECT_AFTER).await;
            match Connection::open_synced().await {
                Ok(fresh) => break fresh,
                Err(error) => warn!(%error, "cannot follow the network interfaces yet"),
            }
        };
        publish(&connection.table, &sender);
    }
}

fn publish(table: &Table, sender: &watch::Sender<Arc<Links>>) {
    let now = table.links();
    sender.send_if_modified(|before| {
        let changed = **before != now;
        if changed {
            *before = Arc::new(now);
        }
        changed
    });
}

type Message = NetlinkMessage<RouteNetlinkMessage>;

struct Connection {
    handle: Handle,
    messages: futures::stream::BoxStream<'static, Message>,
    driver: JoinHandle<()>,
    table: Table,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    fn open() -> Result<Self, LinkMonitorError> {
        let (mut connection, handle, messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ])
        .map_err(LinkMonitorError::Open)?;
        connection
            .socket_mut()
            .socket_mut()
            .set_rx_buf_sz(RECEIVE_BUFFER_BYTES)
            .map_err(LinkMonitorError::Open)?;
        let messages = messages.map(|(message, _)| message).boxed();
        Ok(Self { handle, messages, driver: tokio::spawn(connection), table: Table::default() })
    }

    async fn open_synced() -> Result<Self, LinkMonitorError> {
        let mut connection = Self::open()?;
        connection.resync().await?;
        Ok(connection)
    }

    /// Fills the table from dumps. Messages that arrive meanwhile are applied after it, in order, so they end at the
    /// present state even where they repeat something older.
    async fn resync(&mut self) -> Result<(), LinkMonitorError> {
        let mut table = Table::default();
        let requests = [
            ("the network interfaces", RouteNetlinkMessage::GetLink(LinkMessage::default())),
            ("the addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default())),
            ("the IPv4 routes", RouteNetlinkMessage::GetRoute(all_routes(AddressFamily::Inet))),
            ("the IPv6 routes", RouteNetlinkMessage::GetRoute(all_routes(AddressFamily::Inet6))),
        ];
        for (what, request) in requests {
            for change in self.dump(what, request).await? {
                table.apply(change);
            }
        }
        self.table = table;
        Ok(())
    }

    async fn dump(
        &mut self,
        what: &'static str,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<Change>, LinkMonitorError> {
        let refused = |message: String| LinkMonitorError::Dump { what, message };
        for _ in 0..DUMP_ATTEMPTS {
            let mut message = NetlinkMessage::from(request.clone());
            message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
            let mut answers = self.handle.request(message).map_err(|error| refused(error.to_string()))?;
            let mut changes = Vec::new();
            let mut consistent = true;
            while let Some(answer) = answers.next().await {
                consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => changes.extend(change(&inner, false)),
                    NetlinkPayload::Overrun(_) => consistent = false,
                    NetlinkPayload::Error(error) => return Err(refused(error.to_string())),
                    _ => {}
                }
            }
            if consistent {
                return Ok(changes);
            }
            debug!(what, "the kernel changed during the dump, taking it again");
        }
        Err(refused("it changed during every attempt".into()))
    }

    async fn follow(
        &mut self,
        sender: &watch::Sender<Arc<Links>>,
    ) -> Result<std::convert::Infallible, LinkMonitorError> {
        loop {
            let mut next = self.messages.next().await;
            let mut changed = false;
            let mut overrun = false;
            // Take what is there in one go, so that a burst is published once.
            while let Some(message) = next {
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        let replace = message.header.flags & NLM_F_REPLACE != 0;
                        changed |= change(&inner, replace).is_some_and(|change| self.table.apply(change));
                    }
                    NetlinkPayload::Overrun(_) => overrun = true,
                    _ => {}
                }
                next = match futures::poll!(self.messages.next()) {
                    std::task::Poll::Ready(Some(message)) => Some(message),
                    std::task::Poll::Ready(None) => return Err(LinkMonitorError::Closed),
                    std::task::Poll::Pending => None,
                };
            }
            if self.driver.is_finished() {
                return Err(LinkMonitorError::Closed);
            }
            if overrun {
                warn!("the kernel dropped interface messages, listing everything again");
                self.resync().await?;
            }
            if changed || overrun {
                publish(&self.table, sender);
            }
        }
    }
}

fn all_routes(family: AddressFamily) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message
}

/// What a kernel message means for the table; none when it does not concern it.
fn change(message: &RouteNetlinkMessage, replace: bool) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(link) => device(link).map(Change::Device),
        // A port that leaves its bridge is told as a deletion of family AF_BRIDGE: the interface lives on.
        RouteNetlinkMessage::DelLink(link) => (link.header.interface_family == AddressFamily::Unspec)
            .then_some(Change::DeviceGone(link.header.index)),
        RouteNetlinkMessage::NewAddress(message) => {
            let net = address(message)?;
            Some(if is_usable(message) {
                Change::Address(message.header.index, net)
            } else {
                Change::AddressGone(message.header.index, net)
            })
        }
        RouteNetlinkMessage::DelAddress(message) => {
            Some(Change::AddressGone(message.header.index, address(message)?))
        }
        RouteNetlinkMessage::NewRoute(message) => {
            let (route, hops) = default_route(message)?;
            Some(Change::Gateways { route, hops, replace })
        }
        RouteNetlinkMessage::DelRoute(message) => {
            let (route, hops) = default_route(message)?;
            Some(Change::GatewaysGone { route, hops })
        }
        _ => None,
    }
}

fn device(message: &LinkMessage) -> Option<Device> {
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut name = None;
    let mut mac = None;
    let mut master = None;
    let mut kind = None;
    let mut complete = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.clone()),
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr),
            LinkAttribute::Controller(index) if *index != 0 => master = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::OperState(_) => complete = true,
            _ => {}
        }
    }
    // Wireless events come as link messages that hold little but the name.
    if !complete {
        return None;
    }
    let flags = message.header.flags;
    let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    Some(Device {
        index: message.header.index,
        name: name?,
        mac: mac.filter(|mac| ethernet && mac.is_station()),
        enabled: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        resolves_neighbours: !flags.contains(LinkFlags::Noarp),
        master,
        kind,
    })
}

/// The interface's own address; on a point-to-point interface the other attribute is the peer's.
fn address(message: &AddressMessage) -> Option<IpNet> {
    let mut own = None;
    let mut local = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(address) => own = Some(*address),
            AddressAttribute::Local(address) => local = Some(*address),
            _ => {}
        }
    }
    IpNet::new(local.or(own)?, message.header.prefix_len).ok()
}

fn is_usable(message: &AddressMessage) -> bool {
    let flags = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Flags(flags) => Some(*flags),
            _ => None,
        })
        .unwrap_or(AddressFlags::from_bits_retain(u32::from(message.header.flags.bits())));
    let tentative = flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    !tentative && !flags.intersects(AddressFlags::Deprecated | AddressFlags::Dadfailed)
}

fn default_route(message: &RouteMessage) -> Option<(DefaultRoute, Vec<NextHop>)> {
    let header = &message.header;
    if header.destination_prefix_length != 0
        || header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
    {
        return None;
    }
    let ipv6 = match header.address_family {
        AddressFamily::Inet => false,
        AddressFamily::Inet6 => true,
        _ => return None,
    };
    let mut metric = 0;
    let mut interface = None;
    let mut hops = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::MultiPath(paths) => hops.extend(
                paths.iter().filter_map(|path| Some((path.interface_index, gateway(&path.attributes)?))),
            ),
            _ => {}
        }
    }
    if let (Some(interface), Some(gateway)) = (interface, gateway(&message.attributes)) {
        hops.push((interface, gateway));
    }
    Some((DefaultRoute { ipv6, metric }, hops))
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address))
        | RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}
