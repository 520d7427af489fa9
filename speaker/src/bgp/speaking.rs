// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which sessions there are: one for each router that this node is to speak to, told what the routers shall know.

mod running;
mod settings;
mod wanted;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::Stop;
use ferrolb_config::api::BGPSession;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use self::running::{Course, Running, changed, place};
pub(crate) use self::wanted::{Spoken, Told};
use super::picture::{Live, Picture, Seen};
use super::sight::{Now, Sight, Watch};
use super::{Session, Wish};
use crate::bfd::{Bfd, PathSettings, Standing, WatchError};
use crate::deadline::until;
use crate::intent::{Obstacle, Router};
use crate::layer2::Ended;

/// How long a node that is emptied asks routers to prefer others, before it withdraws.
const GRACE: Duration = Duration::from_secs(10);
/// The same for a process that ends.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How long routers have to hear the last words.
const FAREWELL: Duration = Duration::from_secs(6);
/// What sessions show within this time is looked at together.
const GATHER: Duration = Duration::from_millis(50);

/// The sessions of this node.
pub(crate) struct Speaking {
    node: String,
    wanted: watch::Receiver<Option<Arc<Spoken>>>,
    sessions: BTreeMap<String, Running>,
    /// Routers that this node cannot try to reach, as objects are.
    blocked: BTreeMap<String, Arc<BGPSession>>,
    picture: watch::Sender<Picture>,
    /// When to look at the sessions, of which one has shown something.
    look_at: Option<Instant>,
    bfd: Option<Bfd>,
    ending: JoinSet<()>,
    /// Since when this node asks routers to prefer others.
    leaving: Option<Instant>,
}

impl Speaking {
    /// Nothing is said before something is wanted: objects that could not be read yet are no reason to withdraw a route.
    pub(crate) fn new(node: &str, wanted: watch::Receiver<Option<Arc<Spoken>>>) -> Self {
        Self {
            node: node.to_owned(),
            wanted,
            sessions: BTreeMap::new(),
            blocked: BTreeMap::new(),
            picture: watch::Sender::default(),
            look_at: None,
            bfd: None,
            ending: JoinSet::new(),
            leaving: None,
        }
    }

    /// What became of every router, from now on.
    pub(crate) fn picture(&self) -> watch::Receiver<Picture> {
        self.picture.subscribe()
    }

    /// Follows what is wanted.
    pub(crate) async fn run(&mut self) -> Result<Infallible, Ended> {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if let Some(wanted) = wanted {
                self.follow(&wanted).await;
                self.show();
            }
            let withdrawal = self.leaving.map(|since| since + GRACE).filter(|at| *at > Instant::now());
            loop {
                tokio::select! {
                    changed = self.wanted.changed() => {
                        changed.map_err(|_| Ended)?;
                        break;
                    }
                    () = until(withdrawal) => break,
                    Some(_) = self.ending.join_next() => {}
                    () = changed(&mut self.sessions), if self.look_at.is_none() => {
                        self.look_at = Some(Instant::now() + GATHER);
                    }
                    () = until(self.look_at) => self.look(),
                }
            }
        }
    }

    /// Shows what happened, if something did.
    fn look(&mut self) {
        self.look_at = None;
        let now = Now::read();
        let looks = self.sessions.values_mut().map(|running| running.look(now));
        if looks.fold(false, |any, news| any | news) {
            self.show();
        }
    }

    fn show(&self) {
        let sessions = self.sessions.iter().map(|(name, running)| (name.clone(), running.seen()));
        let blocked = self
            .blocked
            .iter()
            .map(|(name, told)| (name.clone(), Seen { told: Arc::clone(told), live: None }));
        self.picture.send_replace(sessions.chain(blocked).collect());
    }

    /// Tells every router that this process ends. Those that keep routes over a restart are told nothing, unless the node is
    /// about to carry nothing any more.
    pub(crate) async fn finish(mut self) {
        let leaves = self.leaving.is_some();
        let (silent, told): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sessions)
            .into_values()
            .partition(|running| running.router.settings.graceful_restart && !leaves);
        if told.iter().any(Running::has_session) {
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
        self.block(&wanted.blocked);
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

    /// Routers that cannot be tried are told of, since when one is known.
    fn block(&mut self, blocked: &BTreeMap<String, Obstacle>) {
        let now = Now::read();
        let told = |(name, obstacle): (&String, &Obstacle)| {
            let told = Arc::new(Sight::blocked(name, String::new(), obstacle, now));
            let known = self.blocked.get(name).filter(|known| known.message == told.message);
            (name.clone(), known.map_or(told, Arc::clone))
        };
        self.blocked = blocked.iter().map(told).collect();
    }

    async fn begin(&mut self, name: &str, router: &Arc<Router>, wish: Arc<Wish>) -> Running {
        let (wishes, wished) = watch::channel(Some(wish));
        let (now, place) = (Now::read(), place(&router.settings));
        let course = match settings::of(name, &self.node, router) {
            Ok((peer, path)) => {
                let session = Session::start(peer, wished.clone(), None);
                let path = match path {
                    Ok(Some(path)) => self.watch(&session, path).await.map(Some),
                    Ok(None) => Ok(None),
                    Err(why) => Err(why),
                };
                let (path, unwatched) = match path {
                    Ok(path) => (path, None),
                    Err(why) => {
                        warn!(peer = name, "the session goes without BFD: {why}");
                        (None, Some(why))
                    }
                };
                let live = Live { view: session.view(), path, wishes: wished };
                let mut sight = Sight::new(name, place, now);
                let watch = unwatched.as_deref().map_or(Watch::Unasked, Watch::Failed);
                sight.look(&live.view(), watch, now);
                Course::Session { session, sight, live, unwatched }
            }
            Err(obstacle) => {
                warn!(peer = name, "no session: {}", obstacle.message);
                Course::Blocked(Arc::new(Sight::blocked(name, place, &obstacle, now)))
            }
        };
        Running { router: Arc::clone(router), wishes, course }
    }

    /// A session without BFD is better than none.
    async fn watch(
        &mut self,
        session: &Session,
        path: PathSettings,
    ) -> Result<watch::Receiver<Standing>, String> {
        if self.bfd.is_none() {
            let bfd = Bfd::start().map_err(|error| {
                format!(
                    "another BFD daemon of this node may have BFD's ports, which cannot be opened: {error}"
                )
            })?;
            self.bfd = Some(bfd);
        }
        let Some(bfd) = &self.bfd else { return Err(WatchError::Ended.to_string()) };
        let standing = bfd.watch(path).await.map_err(|error| error.to_string())?;
        session.follow(standing.clone());
        Ok(standing)
    }
}

/// Adds GRACEFUL_SHUTDOWN to every route (RFC 8326).
fn ask_for_others(held: &mut Option<Arc<Wish>>) -> bool {
    let Some(wish) = held else { return false };
    *wish = Arc::new(wish.that_asks_for_others());
    true
}
