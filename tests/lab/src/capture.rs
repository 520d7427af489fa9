// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Recording the frames that reach a station, to assert on them afterwards.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Namespace;
use crate::frame::{self, Frame};
use crate::packet_socket::{ALL, PacketSocket};
use crate::probe::Task;

/// A frame and when it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When this process read it.
    pub at: Instant,
    /// What it was.
    pub frame: Frame,
}

/// A running capture of the frames that pass `eth0` of a namespace, both ways.
#[derive(Debug)]
pub struct Capture {
    task: Task<Vec<Seen>>,
}

impl Capture {
    /// Starts to record the frames that `wanted` picks.
    ///
    /// # Errors
    /// No right to open a packet socket.
    pub fn start(namespace: &Namespace, wanted: impl Fn(&Frame) -> bool + Send + 'static) -> Result<Self> {
        let task = Task::start(namespace, "capture", move |running, ready| {
            let socket = PacketSocket::open(ALL, Duration::from_millis(20))?;
            ready.ready();
            let mut seen = Vec::new();
            while running.go_on() {
                if let Some(frame) = socket.receive()?.as_deref().and_then(frame::read)
                    && wanted(&frame)
                {
                    seen.push(Seen { at: Instant::now(), frame });
                }
            }
            Ok(seen)
        })?;
        Ok(Self { task })
    }

    /// Stops and returns what was seen.
    ///
    /// # Errors
    /// The socket failed.
    pub fn finish(self) -> Result<Vec<Seen>> {
        self.task.finish()
    }
}

/// Waits for the next frame that `wanted` picks, on the calling thread.
///
/// # Errors
/// None came within `patience`.
pub fn wait_for(
    namespace: &Namespace,
    patience: Duration,
    wanted: impl Fn(&Frame) -> bool + Send + Sync,
) -> Result<Seen> {
    namespace.run(|| {
        let socket = PacketSocket::open(ALL, Duration::from_millis(20))?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(frame) = socket.receive()?.as_deref().and_then(frame::read)
                && wanted(&frame)
            {
                return Ok(Seen { at: Instant::now(), frame });
            }
        }
        anyhow::bail!("no such frame within {patience:?}")
    })
}
