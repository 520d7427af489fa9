// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BFD sessions with routers: one task and one set of deadlines for all of them, around the engine of `ferrolb-bfd`.

mod driver;

use std::io;
use std::net::IpAddr;

use ferrolb_bfd::{AddError, SessionConfig, SessionView};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::driver::Driver;

/// A path that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSettings {
    /// Its ends and times.
    pub session: SessionConfig,
    /// Which of our addresses to send from; the kernel chooses if there is none.
    pub source: Option<IpAddr>,
    /// The name of the only interface to send by.
    pub interface: Option<String>,
}

/// How a path is.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The session; `None` once it has ended.
    pub session: Option<SessionView>,
    /// Why nothing can be sent, in words.
    pub hindrance: Option<String>,
}

/// Why a path is not watched.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The engine does not take it.
    #[error(transparent)]
    Refused(#[from] AddError),
    /// The task has ended.
    #[error("BFD has ended on this node")]
    Ended,
}

/// What the task is told.
enum Order {
    Watch(PathSettings, oneshot::Sender<Result<watch::Receiver<Standing>, AddError>>),
    Stop,
}

/// The task. Dropped, it ends without a word, and the neighbours take that for a failure.
#[derive(Debug)]
pub struct Bfd {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Bfd {
    /// Starts it.
    ///
    /// # Errors
    /// BFD's ports cannot be had, most often since another BFD daemon has them.
    pub fn start() -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel(16);
        let driver = Driver::new(ordered)?;
        Ok(Self { orders, task: tokio::spawn(driver.run()) })
    }

    /// Watches a path until nobody holds the result any more; the neighbour is told then that this is no failure. A path that is
    /// watched already is watched on, with these times.
    ///
    /// # Errors
    /// Too many paths, or a link-local neighbour without its interface.
    pub async fn watch(&self, path: PathSettings) -> Result<watch::Receiver<Standing>, WatchError> {
        let (give, given) = oneshot::channel();
        self.orders.send(Order::Watch(path, give)).await.map_err(|_| WatchError::Ended)?;
        Ok(given.await.map_err(|_| WatchError::Ended)??)
    }

    /// Tells every neighbour that this node takes itself out of service, and ends.
    pub async fn stop(mut self) {
        // A task that panicked has ended as well.
        let _told = self.orders.send(Order::Stop).await;
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Bfd {
    fn drop(&mut self) {
        self.task.abort();
    }
}
