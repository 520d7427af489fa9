// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which sessions there are: one for each router that this node is to speak to, told what the routers shall know.

mod settings;
mod wanted;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::Stop;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

pub(crate) use self::wanted::{Spoken, Told};
use super::{Session, Wish};
use crate::bfd::{Bfd, PathSettings};
use crate::deadline::until;
use crate::intent::Router;
use crate::layer2::Ended;

/// How long a node that is emptied asks routers to prefer others, before it withdraws.
const GRACE: Duration = Duration::from_secs(10);
/// The same for a process that ends.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How long routers have to hear the last words.
const FAREWELL: Duration = Duration::from_secs(6);

/// The sessions of this node.
pub(crate) struct Speaking {
    node: String,
    wanted: watch::Receiver<Option<Arc<Spoken>>>,
    sessions: BTreeMap<String, Running>,
    bfd: Option<Bfd>,
    ending: JoinSet<()>,
    /// Since when this node asks routers to prefer others.
    leaving: Option<Instant>,
}

/// A router that this node speaks to, or would if it could.
struct Running {
    router: Arc<Router>,
    wishes: watch::Sender<Option<Arc<Wish>>>,
    session: Option<Session>,
}

impl Running {
    async fn stop(self, stop: Stop) {
        let Self { session, wishes, .. } = self;
        if let Some(session) = session {
            session.stop(stop).await;
        }
        // A session whose wishes end before it was told how to end is one that is no longer configured.
        drop(wishes);
    }
}

impl Speaking {
    /// Nothing is said before something is wanted: objects that could not be read yet are no reason to withdraw a route.
    pub(crate) fn new(node: &str, wanted: watch::Receiver<Option<Arc<Spoken>>>) -> Self {
        Self {
            node: node.to_owned(),
            wanted,
            sessions: BTreeMap::new(),
            bfd: None,
            ending: JoinSet::new(),
            leaving: None,
        }
    }

    /// Follows what is wanted.
    pub(crate) async fn run(&mut self) -> Result<Infallible, Ended> {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if let Some(wanted) = wanted {
                self.follow(&wanted).await;
            }
            let withdrawal = self.leaving.map(|since| since + GRACE).filter(|at| *at > Instant::now());
            tokio::select! {
                changed = self.wanted.changed() => changed.map_err(|_| Ended)?,
                () = until(withdrawal) => {}
                Some(_) = self.ending.join_next() => {}
            }
        }
    }

    /// Tells every router that this process ends. Those that keep routes over a restart are told nothing, unless the node is
    /// about to carry nothing any more.
    pub(crate) async fn finish(mut self) {
        let leaves = self.leaving.is_some();
        let (silent, told): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sessions)
            .into_values()
            .partition(|running| running.router.settings.graceful_restart && !leaves);
        if told.iter().any(|running| running.session.is_some()) {
            for running in &told {
                running.wishes.send_if_modified(ask_for_others);
            }
            sleep(LAST_GRACE).await;
        }
        let text = format!("the speaker of node {} ends", self.node);
        let ends = told.into_iter().map(|running| (running, Stop::Shutdown(text.clone())));
        for (running, stop) in silent.into_iter().map(|running| (running, Stop::Upgrade)).chain(ends) {
            self.ending.spawn(running.stop(stop));
        }
        let all = async { while self.ending.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            warn!("some routers have not taken the last words");
        }
        if let Some(bfd) = self.bfd.take() {
            bfd.stop().await;
        }
    }

    async fn follow(&mut self, wanted: &Spoken) {
        self.leaving = if wanted.leaving { self.leaving.or_else(|| Some(Instant::now())) } else { None };
        let withdraws = self.leaving.is_some_and(|since| since.elapsed() >= GRACE);
        let wish = |told: &Told| if withdraws { Arc::default() } else { Arc::clone(&told.wish) };
        let over: Vec<String> = self
            .sessions
            .iter()
            .filter(|(name, running)| {
                wanted.routers.get(*name).is_none_or(|told| told.router != running.router)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            let Some(running) = self.sessions.remove(&name) else { continue };
            // One that goes on with other settings need not forget our routes in between.
            let goes_on = wanted.routers.contains_key(&name) && running.router.settings.graceful_restart;
            let stop = if goes_on { Stop::Upgrade } else { Stop::Deconfigured };
            info!(peer = name, "the session ends: its BGPPeer is gone or another");
            self.ending.spawn(running.stop(stop));
        }
        for (name, told) in &wanted.routers {
            let wish = wish(told);
            if let Some(running) = self.sessions.get(name) {
                running.wishes.send_if_modified(|held| {
                    let changed = held.as_ref() != Some(&wish);
                    *held = Some(wish);
                    changed
                });
                continue;
            }
            let running = self.begin(name, &told.router, wish).await;
            self.sessions.insert(name.clone(), running);
        }
    }

    async fn begin(&mut self, name: &str, router: &Arc<Router>, wish: Arc<Wish>) -> Running {
        let (wishes, wished) = watch::channel(Some(wish));
        let session = match settings::of(name, &self.node, router) {
            Ok((peer, path)) => {
                let session = Session::start(peer, wished, None);
                if let Some(path) = path {
                    self.watch(name, &session, path).await;
                }
                Some(session)
            }
            Err(why) => {
                warn!(peer = name, "no session: {why}");
                None
            }
        };
        Running { router: Arc::clone(router), wishes, session }
    }

    /// A session without BFD is better than none.
    async fn watch(&mut self, name: &str, session: &Session, path: PathSettings) {
        if self.bfd.is_none() {
            self.bfd = Bfd::start()
                .inspect_err(|error| {
                    warn!("no BFD on this node: another BFD daemon may have its ports: {error}")
                })
                .ok();
        }
        let Some(bfd) = &self.bfd else { return };
        match bfd.watch(path).await {
            Ok(standing) => session.follow(standing),
            Err(error) => warn!(peer = name, "the session goes without BFD: {error}"),
        }
    }
}

/// Adds GRACEFUL_SHUTDOWN to every route (RFC 8326).
fn ask_for_others(held: &mut Option<Arc<Wish>>) -> bool {
    let Some(wish) = held else { return false };
    *wish = Arc::new(wish.that_asks_for_others());
    true
}
