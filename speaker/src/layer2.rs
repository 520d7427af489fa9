// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The layer-2 driver: one thread that runs the engines of all segments.
//!
//! The engines (crate `ferrolb-layer2`) know neither clocks nor sockets. This thread has its own loop at raised
//! priority and shares nothing with the rest of the speaker but bounded channels, so that neither a slow disk nor a
//! busy API server delays a hello. Inputs: a [`Placement`] and a few commands. Outputs: [`Observed`] and events.

mod crowd;
mod driver;
mod following;
mod joining;
mod keeping;
mod observed;
mod paths;
mod placement;
mod segment;
mod sockets;
mod taking;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread;

use ferrolb_layer2::{GroupId, KeyRing, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use driver::{Channels, Command, Driver};
pub use keeping::{Refusals, keep_placed};
pub use observed::{Observed, SegmentEvent, SegmentReport, Traffic};
pub use paths::Way;
pub use placement::{Interfaces, NoInterface, Placement, SegmentPlan, Wanted, WantedVip, place};
pub use segment::{Identity, Neighbours};

use crate::bound::Binder;
use crate::kernel::Bell;

/// Commands that may wait for the thread.
const COMMANDS: usize = 64;
/// Events that may wait for whoever logs them, such as a move of 10,000 groups; beyond it they are counted and dropped.
const EVENTS: usize = 16_384;

/// The layer-2 thread, or what it follows, has ended: it was told to, or it failed.
#[derive(Debug, thiserror::Error)]
#[error("the layer-2 driver has ended")]
pub struct Ended;

/// The running layer-2 thread. When dropped, the thread gives everything up and ends.
#[derive(Debug)]
pub struct Layer2 {
    bell: Arc<Bell>,
    placement: watch::Sender<Arc<Placement>>,
    commands: mpsc::Sender<Command>,
    observed: watch::Receiver<Arc<Observed>>,
}

impl Layer2 {
    /// Starts the thread; it carries nothing until the first [`Layer2::place`]. Events come out of the receiver.
    ///
    /// # Errors
    /// No thread or no file descriptor is left.
    pub fn start(identity: Identity) -> io::Result<(Self, mpsc::Receiver<SegmentEvent>)> {
        Self::start_with(identity, None)
    }

    /// The same; addresses that belong on interfaces are put there by `binder`.
    ///
    /// # Errors
    /// No thread or no file descriptor is left.
    pub(crate) fn start_with(
        identity: Identity,
        binder: Option<Binder>,
    ) -> io::Result<(Self, mpsc::Receiver<SegmentEvent>)> {
        let bell = Arc::new(Bell::new()?);
        let (placement, new_placement) = watch::channel(Arc::default());
        let (commands, new_commands) = mpsc::channel(COMMANDS);
        let (publish, observed) = watch::channel(Arc::default());
        let (events, told) = mpsc::channel(EVENTS);
        let channels = Channels {
            bell: Arc::clone(&bell),
            placement: new_placement,
            commands: new_commands,
            observed: publish,
            events,
            binder,
        };
        // Not joined: that the channel of the observed state closes says that the thread has ended.
        thread::Builder::new().name("layer2".into()).spawn(move || Driver::new(identity, channels).run())?;
        Ok((Self { bell, placement, commands, observed }, told))
    }

    /// Replaces what every interface has to do.
    pub fn place(&self, placement: Placement) {
        self.placement.send_replace(Arc::new(placement));
        self.bell.ring();
    }

    /// The state of the segments. The channel closes when the thread has ended.
    #[must_use]
    pub fn observed(&self) -> watch::Receiver<Arc<Observed>> {
        self.observed.clone()
    }

    /// Signs and checks hellos with these keys from now on, on every segment.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn set_keys(&self, keys: KeyRing) -> Result<(), Ended> {
        self.command(Command::Keys(Box::new(keys))).await
    }

    /// Names the nodes of the cluster, so that those are looked for that are not heard.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn expect(&self, nodes: Neighbours) -> Result<(), Ended> {
        self.command(Command::Neighbours(Box::new(nodes))).await
    }

    /// Asks the owner of a group, if it is this node, to hand it over.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn hand_over(&self, group: GroupId, to: Option<NodeId>) -> Result<(), Ended> {
        self.command(Command::HandOver { group, to }).await
    }

    /// Hands everything over; returns when nothing is owned any more, or nobody can take the rest.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn drain(&self) -> Result<(), Ended> {
        let (done, drained) = oneshot::channel();
        self.command(Command::Drain(done)).await?;
        drained.await.map_err(|_| Ended)
    }

    /// Gives up what is left, with last words to the neighbours, and ends the thread.
    ///
    /// # Errors
    /// The thread had ended already.
    pub async fn leave(&self) -> Result<(), Ended> {
        self.command(Command::Leave).await?;
        let mut observed = self.observed();
        while observed.changed().await.is_ok() {}
        Ok(())
    }

    async fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)?;
        self.bell.ring();
        Ok(())
    }
}

impl Drop for Layer2 {
    fn drop(&mut self) {
        // If the queue is full or the thread gone, the closed channels end it no later than at its next deadline.
        let _told = self.commands.try_send(Command::Leave);
        self.bell.ring();
    }
}
