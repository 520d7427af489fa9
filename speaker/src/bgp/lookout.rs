// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Looks for the router of an interface, from when the interface is there until it is gone, and again when it returns.

#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_bgp::discovery::{Discovery, RouterAdvertisement};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::deadline::until;
use crate::kernel::Batch;
use crate::kernel::links::{Link, LinkIndex, Links};
use crate::kernel::router_discovery_socket::{Advertised, RouterDiscoverySocket};

/// Pause after a socket could not be opened.
const PAUSE: Duration = Duration::from_secs(5);

/// What is seen of the router of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// Nothing, and why.
    None(String),
    /// It is there.
    Router {
        /// Its link-local address.
        address: Ipv6Addr,
        /// The number of the interface, which the address needs beside it.
        link: LinkIndex,
        /// What people should know of it all the same.
        note: Option<String>,
    },
}

/// A look-out on one interface. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Lookout {
    sighting: watch::Receiver<Sighting>,
    task: JoinHandle<()>,
}

impl Lookout {
    pub(super) fn start(interface: &str, links: watch::Receiver<Arc<Links>>) -> Self {
        let (tell, sighting) =
            watch::channel(Sighting::None(format!("no router of {interface} was seen yet")));
        let search = Search { interface: interface.to_owned(), links, tell };
        Self { sighting, task: tokio::spawn(search.run()) }
    }

    /// What is seen now.
    pub(super) fn sighting(&mut self) -> Sighting {
        self.sighting.borrow_and_update().clone()
    }

    /// Waits until something else is seen.
    pub(super) async fn changed(&mut self) {
        if self.sighting.changed().await.is_err() {
            // The interfaces are followed no more: the speaker ends.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Search {
    interface: String,
    links: watch::Receiver<Arc<Links>>,
    tell: watch::Sender<Sighting>,
}

/// Nobody follows the interfaces any more.
struct Over;

impl Search {
    async fn run(mut self) {
        while self.once().await.is_ok() {}
    }

    /// From one state of the interface to the next.
    async fn once(&mut self) -> Result<(), Over> {
        let link = self.links.borrow_and_update().named(&self.interface).cloned();
        let searched = match link {
            Some(link) if link.up => self.search(&link).await?,
            Some(_) => Err(format!("the interface {} is down", self.interface)),
            None => Err(format!("there is no interface {}", self.interface)),
        };
        if let Err(why) = searched {
            self.tell.send_replace(Sighting::None(why));
            // A socket that failed is tried again, whatever changes or does not.
            if let Ok(changed) = timeout(PAUSE, self.links.changed()).await {
                changed.map_err(|_| Over)?;
            }
        }
        Ok(())
    }

    /// Until the interface is another, or down. The inner error is this node's, in words.
    async fn search(&mut self, link: &Link) -> Result<Result<(), String>, Over> {
        let failed = |error: io::Error| format!("cannot look for the router of {}: {error}", link.name);
        let mut ear = match Ear::open(link) {
            Ok(ear) => ear,
            Err(error) => return Ok(Err(failed(error))),
        };
        let mac = link.mac.map(|mac| mac.0);
        let mut search = Discovery::new(Instant::now(), fastrand::u64(..));
        loop {
            self.show(&search, link);
            let deadline = search.next_deadline().map(Into::into);
            tokio::select! {
                changed = self.links.changed() => {
                    changed.map_err(|_| Over)?;
                    let same = |now: &Link| now.up && (now.index, now.mac) == (link.index, link.mac);
                    if !self.links.borrow_and_update().named(&link.name).is_some_and(same) {
                        return Ok(Ok(()));
                    }
                }
                heard = ear.listen() => {
                    if let Err(error) = heard.and_then(|()| ear.take(&mut search)) {
                        return Ok(Err(failed(error)));
                    }
                }
                () = until(deadline) => {
                    while let Some(say) = search.tick(Instant::now()) {
                        if let Err(error) = ear.socket.send(say, &say.encode(mac)) {
                            // Most often there is no link-local address yet. It is said again in a while.
                            tracing::debug!(interface = link.name, ?say, "cannot speak to routers: {error}");
                        }
                    }
                }
            }
        }
    }

    fn show(&self, search: &Discovery, link: &Link) {
        let name = &self.interface;
        let others: Vec<String> = search.others().map(|other| other.to_string()).collect();
        let sighting = match search.router() {
            None => Sighting::None(format!(
                "no router advertises itself on {name}: router advertisements have to be switched on there, or give spec.peerAddress"
            )),
            Some(address) => {
                let note = (!others.is_empty()).then(|| {
                    format!(
                        "{name} has more than one router: {address} was there first and is spoken to, not {}; give each a BGPPeer with peerAddress",
                        others.join(", ")
                    )
                });
                Sighting::Router { address, link: link.index, note }
            }
        };
        self.tell.send_if_modified(|seen| std::mem::replace(seen, sighting) != *seen);
    }
}

/// A socket, and the same as the runtime waits on it.
struct Ear {
    socket: RouterDiscoverySocket,
    ready: UdpSocket,
    batch: Batch,
}

impl Ear {
    fn open(link: &Link) -> io::Result<Self> {
        let socket = RouterDiscoverySocket::open(link.index, &link.name)?;
        let ready = UdpSocket::from_std(socket.waits()?)?;
        Ok(Self { socket, ready, batch: Batch::new() })
    }

    /// Waits until something came. Safe to cancel; [`Ear::take`] has to follow.
    async fn listen(&self) -> io::Result<()> {
        self.ready.readable().await?;
        let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _forgotten = self.ready.try_io(Interest::READABLE, forget);
        Ok(())
    }

    /// Takes in what waits.
    fn take(&mut self, search: &mut Discovery) -> io::Result<()> {
        loop {
            for Advertised { message, source, hop_limit } in self.socket.receive(&mut self.batch)? {
                match RouterAdvertisement::decode(message, source, hop_limit) {
                    Ok(said) => search.heard(Instant::now(), said),
                    Err(error) => tracing::debug!("ignored: {error}"),
                }
            }
            if !self.batch.is_full() {
                return Ok(());
            }
        }
    }
}
