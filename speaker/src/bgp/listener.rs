// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Taking connections that routers make. Off unless asked for (`--bgp-listen`): the port may belong to the node's own routing daemon.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::kernel::router_socket::{Password, RouterListener, SocketError};

/// Connections of one peer that wait to be taken.
const WAITING: usize = 4;
/// Pause after the kernel refused to take a connection, since it would at once refuse again.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens for routers, on a socket for each address.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    sockets: Vec<(SocketAddr, RouterListener)>,
    peers: Mutex<BTreeMap<IpAddr, mpsc::Sender<TcpStream>>>,
}

/// Why a peer cannot be listened for.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Connections of this address go to another peer.
    #[error("{0} is another peer's address already: two peers of one address cannot both be listened for")]
    Taken(IpAddr),
    /// The kernel does not take the password.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl Listener {
    /// Listens on these addresses; `[::]` takes IPv6 alone.
    ///
    /// # Errors
    /// A port is taken, an address is none of this node's, or a right is missing.
    pub fn open(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut listeners = Vec::new();
        for &address in addresses {
            let socket =
                RouterListener::open(address).map_err(|error| io::Error::new(error.kind(), error))?;
            listeners.push(TcpListener::from_std(socket.listener()?)?);
            sockets.push((address, socket));
        }
        let shared = Arc::new(Shared { sockets, peers: Mutex::default() });
        let tasks = listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(listener, Arc::clone(&shared))))
            .collect();
        Ok(Self { shared, tasks })
    }

    /// Connections from `peer`, which has to sign with `password` if there is one, go to the session that holds the result.
    ///
    /// # Errors
    /// Another session holds one for the same address, or the kernel does not take the password.
    pub fn expect(&self, peer: IpAddr, password: Option<&Password>) -> Result<Arrivals, ListenError> {
        let peer = peer.to_canonical();
        let (give, streams) = mpsc::channel(WAITING);
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.contains_key(&peer) {
            return Err(ListenError::Taken(peer));
        }
        self.shared.set_password(peer, password)?;
        peers.insert(peer, give);
        Ok(Arrivals { streams, peer, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn set_password(&self, peer: IpAddr, password: Option<&Password>) -> Result<(), SocketError> {
        let mut of_family = self.sockets.iter().filter(|(address, _)| address.is_ipv4() == peer.is_ipv4());
        of_family.try_for_each(|(_, socket)| socket.set_password(peer, password))
    }
}

/// The connections that one peer makes. Whoever drops it listens for the peer no more.
#[derive(Debug)]
pub struct Arrivals {
    streams: mpsc::Receiver<TcpStream>,
    peer: IpAddr,
    shared: Arc<Shared>,
}

impl Arrivals {
    /// The next connection; never, if the listener has ended.
    pub(super) async fn next(&mut self) -> TcpStream {
        match self.streams.recv().await {
            Some(stream) => stream,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // Held until both are done, or the next session of this address could lose its key to this end.
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.shared.set_password(self.peer, None) {
            tracing::warn!(peer = %self.peer, "a listening socket keeps an old key: {error}");
        }
        peers.remove(&self.peer);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot take a router's connection: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let peer = from.ip().to_canonical();
        let give = shared.peers.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned();
        // Who is not expected, or comes faster than his session looks, finds the connection closed.
        let taken = give.is_some_and(|give| give.try_send(stream).is_ok());
        if !taken {
            tracing::debug!(%peer, "a connection was closed: no session of this node waits for it");
        }
    }
}
