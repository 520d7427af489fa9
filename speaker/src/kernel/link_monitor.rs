// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Follows the kernel's interfaces, addresses and default routes over rtnetlink (RFC 3549).
//!
//! One dump at the start, then the kernel's multicast messages; nothing is polled. When the kernel had to drop
//! messages (overrun), or the connection breaks, the table is dumped anew.
#![expect(clippy::disallowed_types, reason = "one of the three files that speak rtnetlink")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::link_message::change;
use super::links::{Change, Links, Table};

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
            let mut next = Some(self.messages.next().await.ok_or(LinkMonitorError::Closed)?);
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
