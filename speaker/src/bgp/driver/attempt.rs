// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One attempt to connect, and what this node knows about why it failed.

use std::io;

use ferrolb_bgp::ConnectionId;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::kernel::router_socket::{SignatureFaults, SocketError, Transport};

/// A connection that is being made. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Attempt {
    id: ConnectionId,
    task: JoinHandle<Result<TcpStream, Failure>>,
    /// What the kernel had counted when it began.
    faults: Option<SignatureFaults>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// This node cannot do what the peer is configured with.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// TCP's.
    #[error(transparent)]
    Tcp(#[from] io::Error),
}

impl Failure {
    pub(super) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Socket(error) => error.kind(),
            Self::Tcp(error) => error.kind(),
        }
    }

    /// What the kind alone does not tell.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Socket(error) => Some(error.to_string()),
            Self::Tcp(_) => None,
        }
    }
}

impl Attempt {
    pub(super) fn start(id: ConnectionId, transport: Transport) -> Self {
        let faults = SignatureFaults::read();
        let connect = async move {
            let socket = TcpSocket::from_std_stream(transport.prepare()?.into());
            Ok(socket.connect(transport.peer).await?)
        };
        Self { id, task: tokio::spawn(connect), faults }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(super) async fn outcome(&mut self) -> (ConnectionId, Result<TcpStream, Failure>) {
        let outcome = (&mut self.task).await;
        (self.id, outcome.unwrap_or_else(|ended| Err(io::Error::other(ended).into())))
    }

    /// What is known about an attempt that got no answer: the kernel drops what is signed wrongly, and only counts it.
    pub(super) fn hint(&self) -> Option<String> {
        SignatureFaults::read()?.since(self.faults?)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}
