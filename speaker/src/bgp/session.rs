// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A session's handle: what it is told, and what it shows.

use std::sync::Arc;

use ferrolb_bgp::{PeerConfig, Stop};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::driver::Driver;
use super::{Arrivals, View, Wish};
use crate::bfd::Standing;
use crate::kernel::router_socket::Transport;

/// A peer, and how to speak to it. A session with other settings is another session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// What people call it.
    pub name: String,
    /// Who we are towards it, and what is said.
    pub machine: PeerConfig,
    /// The way there.
    pub transport: Transport,
}

/// What a session is told.
#[derive(Debug)]
pub(super) enum Command {
    /// BFD says that the path is dead, in these words.
    BfdDown(String),
    /// Begin anew, for this reason.
    Reset(String),
    /// What people should know of the peer.
    Note(Option<String>),
    /// End, in this way.
    Stop(Stop),
}

/// A session with one peer, from when the peer is configured until it no longer is: a task of its own. Dropped, it ends without a
/// word, as if this process had died.
#[derive(Debug)]
pub struct Session {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<View>,
    task: JoinHandle<()>,
    follower: Option<AbortHandle>,
}

impl Session {
    /// Starts it. Nothing is done before the first wish is known. Whoever connects comes by `arrivals`.
    #[must_use]
    pub fn start(
        settings: PeerSettings,
        wishes: watch::Receiver<Option<Arc<Wish>>>,
        arrivals: Option<Arrivals>,
    ) -> Self {
        let (commands, orders) = mpsc::channel(8);
        let (driver, view) = Driver::new(settings, wishes, arrivals, orders);
        Self { commands, view, task: tokio::spawn(driver.run()), follower: None }
    }

    /// What it looks like, from now on.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// BFD says that the path to the peer is dead (RFC 5882).
    pub async fn bfd_down(&self, words: String) {
        self.tell(Command::BfdDown(words)).await;
    }

    /// From now on ends the session whenever BFD finds this path dead (RFC 5882, section 4.2), and looks at no other.
    pub fn follow(&mut self, path: Option<watch::Receiver<Standing>>) {
        if let Some(before) = self.follower.take() {
            before.abort();
        }
        let Some(mut path) = path else { return };
        let commands = self.commands.clone();
        let ended = |path: &Standing| path.session.as_ref().and_then(|session| session.last_down);
        // An end of before is none of this session's.
        let mut known = ended(&path.borrow_and_update()).map(|(at, _)| at);
        let following = tokio::spawn(async move {
            loop {
                let down = ended(&path.borrow_and_update());
                let news = down.filter(|(at, _)| known != Some(*at));
                known = down.map(|(at, _)| at);
                if let Some((_, down)) = news.filter(|(_, down)| down.is_failure())
                    && commands.send(Command::BfdDown(down.to_string())).await.is_err()
                {
                    return;
                }
                tokio::select! {
                    changed = path.changed() => if changed.is_err() { return },
                    () = commands.closed() => return,
                }
            }
        });
        self.follower = Some(following.abort_handle());
    }

    /// Ends the session, and sets it up again; or tries at once if it waits.
    pub async fn reset(&self, words: String) {
        self.tell(Command::Reset(words)).await;
    }

    /// What people should know of the peer from now on; the view shows it.
    pub(super) async fn note(&self, words: Option<String>) {
        self.tell(Command::Note(words)).await;
    }

    /// Ends it and waits until the peer was told, for a few seconds at most. Unless another process takes over
    /// ([`Stop::Upgrade`]), everything is withdrawn first.
    pub async fn stop(mut self, stop: Stop) {
        self.tell(Command::Stop(stop)).await;
        // A task that panicked has ended as well.
        let _ended = (&mut self.task).await;
    }

    async fn tell(&self, command: Command) {
        // Only a task that panicked does not listen: the view shows its last state then.
        let _told = self.commands.send(command).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}
