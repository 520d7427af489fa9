// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The writing half of a connection: a task with a short queue, so that a peer that does not read holds up nobody but itself.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Chunks that wait at most. What is not in here may still be changed.
const QUEUE: usize = 2;
/// A peer that takes nothing for so long is stuck.
const STUCK: Duration = Duration::from_millis(500);

/// How the peer takes what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It does.
    Flows,
    /// It has taken nothing since then (RFC 9687).
    Stuck(Instant),
    /// Nothing can be sent any more.
    Failed(ErrorKind),
}

/// The task, and the way to it. Dropped, it ends at once.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) queue: mpsc::Sender<Vec<u8>>,
    pub(super) progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(half: OwnedWriteHalf) -> Self {
        let (queue, chunks) = mpsc::channel(QUEUE);
        let (tell, progress) = watch::channel(Progress::Flows);
        Self { queue, progress, task: tokio::spawn(write(half, chunks, tell)) }
    }

    /// Waits until the peer has taken everything and `last`; it sees the end of the stream then.
    pub(super) async fn finish(&mut self, last: Vec<u8>) {
        let (closed, _) = mpsc::channel(1);
        let queue = std::mem::replace(&mut self.queue, closed);
        // A writer that ended already has nobody to write to.
        if !last.is_empty() && queue.send(last).await.is_err() {
            return;
        }
        drop(queue);
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn write(mut half: OwnedWriteHalf, mut chunks: mpsc::Receiver<Vec<u8>>, tell: watch::Sender<Progress>) {
    while let Some(chunk) = chunks.recv().await {
        if let Err(kind) = write_chunk(&mut half, &chunk, &tell).await {
            tell.send_replace(Progress::Failed(kind));
            return;
        }
    }
    // A failure here is a connection that has ended already.
    let _ended = half.shutdown().await;
}

async fn write_chunk(
    half: &mut OwnedWriteHalf,
    chunk: &[u8],
    tell: &watch::Sender<Progress>,
) -> Result<(), ErrorKind> {
    let mut rest = chunk;
    while !rest.is_empty() {
        let since = Instant::now();
        let written = loop {
            match timeout(STUCK, half.write(rest)).await {
                Ok(written) => break written.map_err(|error| error.kind())?,
                Err(_elapsed) => tell.send_if_modified(|progress| {
                    let was = std::mem::replace(progress, Progress::Stuck(since));
                    was != *progress
                }),
            };
        };
        if written == 0 {
            return Err(ErrorKind::WriteZero);
        }
        tell.send_if_modified(|progress| std::mem::replace(progress, Progress::Flows) != Progress::Flows);
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}
