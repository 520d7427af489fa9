// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One TCP connection: what comes is cut into messages, what goes waits in a bounded queue.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use ferrolb_bgp::{ConnectionId, Framer, Message, Notification};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use super::writer::{Progress, Writer};

/// So long a peer has to take our last words.
const FAREWELL: Duration = Duration::from_secs(5);

/// A connection as its session's task holds it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) framer: Framer,
    /// Messages that wait for room in the queue: a few, since none of them holds routes.
    pub(super) pending: Vec<u8>,
    local: SocketAddr,
    peer: SocketAddr,
    reader: OwnedReadHalf,
    writer: Writer,
}

/// Something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stir {
    /// Something was received, or the connection ended.
    Readable,
    /// The queue has room.
    Room,
    /// The peer takes what is sent again, or no longer.
    Progress(Progress),
}

impl Link {
    /// # Errors
    /// The connection ended already.
    pub(super) fn new(id: ConnectionId, stream: TcpStream) -> io::Result<Self> {
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let (reader, half) = stream.into_split();
        let writer = Writer::start(half);
        Ok(Self { id, framer: Framer::new(), pending: Vec::new(), local, peer, reader, writer })
    }

    /// Our end and the peer's.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.peer)
    }

    /// Waits for what is next; `wants_room` says that something waits for room in the queue.
    pub(super) async fn stir(&mut self, wants_room: bool) -> (ConnectionId, Stir) {
        let Writer { queue, progress, .. } = &mut self.writer;
        let wants_room = wants_room && !queue.is_closed();
        let stir = tokio::select! {
            // An error shows when it is read.
            _ = self.reader.readable() => Stir::Readable,
            _ = queue.reserve(), if wants_room => Stir::Room,
            Ok(()) = progress.changed() => Stir::Progress(*progress.borrow_and_update()),
        };
        (self.id, stir)
    }

    /// Reads once; `None` if nothing waits.
    pub(super) fn read(&mut self) -> Option<Result<(), ErrorKind>> {
        match self.reader.try_read(self.framer.room()) {
            Ok(0) => Some(Err(ErrorKind::UnexpectedEof)),
            Ok(count) => {
                self.framer.filled(count);
                Some(Ok(()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error.kind())),
        }
    }

    /// Puts what `more` appends into the queue, behind what waits, as long as there is room; whether `more` has said all.
    pub(super) fn pump(&mut self, mut more: impl FnMut(&mut Vec<u8>)) -> bool {
        while let Ok(permit) = self.writer.queue.try_reserve() {
            let mut chunk = std::mem::take(&mut self.pending);
            more(&mut chunk);
            if chunk.is_empty() {
                return true;
            }
            permit.send(chunk);
        }
        false
    }

    /// Ends the connection once the peer has taken everything, or after a few seconds.
    pub(super) async fn close(self) {
        let Self { pending, reader, mut writer, .. } = self;
        let farewell = async {
            writer.finish(pending).await;
            // A connection with unread octets would be reset, and our last words with it.
            let mut forgotten = [0; 4096];
            while reader.readable().await.is_ok() {
                match reader.try_read(&mut forgotten) {
                    Ok(0) => return,
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        };
        // Whoever does not take them is not waited for.
        let _elapsed = timeout(FAREWELL, farewell).await;
    }
}

/// Tells somebody who connected that he is not wanted now.
pub(super) async fn turn_away(stream: TcpStream, reason: Notification) {
    // It fits the socket's buffer, and who does not read it learns nothing.
    let _written = stream.try_write(&Message::Notification(reason).to_bytes());
}
