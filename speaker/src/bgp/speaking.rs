// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which sessions there are: one for each router that this node is to speak to, told what the routers shall know.

mod door;
mod lookouts;
mod running;
mod settings;
mod wanted;
mod watching;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::Stop;
use ferrolb_config::api::BGPSession;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use self::door::Door;
use self::lookouts::Lookouts;
use self::running::{Course, Running, asked_for, changed, notes};
pub(crate) use self::wanted::{Speech, Spoken, Told};
use super::picture::{Live, Picture, Seen};
use super::sight::{Now, Sight, Watch};
use super::{Session, Wish};
use crate::bfd::Bfd;
use crate::deadline::until;
use crate::intent::{Obstacle, Router};
use crate::kernel::links::Links;
use crate::layer2::Ended;

/// How long a node that is emptied asks routers to prefer others, before it withdraws.
const GRACE: Duration = Duration::from_secs(10);
/// The same for a process that ends.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// How soon a session that stands where its router is no more is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
    lookouts: Lookouts,
    door: Door,
    bfd: Option<Bfd>,
    /// Sessions that end, with their names: the next session of a name waits for the last.
    ending: JoinSet<()>,
    parting: BTreeMap<task::Id, String>,
    /// Since when this node asks routers to prefer others.
    leaving: Option<Instant>,
}

impl Speaking {
    /// Routers may connect to `listen`. Nothing is said before something is wanted: objects that could not be read yet are no reason to withdraw a route.
    pub(crate) fn new(
        node: &str,
        wanted: watch::Receiver<Option<Arc<Spoken>>>,
        links: watch::Receiver<Arc<Links>>,
        listen: Vec<SocketAddr>,
    ) -> Self {
        Self {
            node: node.to_owned(),
            wanted,
            sessions: BTreeMap::new(),
            blocked: BTreeMap::new(),
            picture: watch::Sender::default(),
            look_at: None,
            lookouts: Lookouts::new(links),
            door: Door::new(listen),
            bfd: None,
            ending: JoinSet::new(),
            parting: BTreeMap::new(),
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
                // Beginning a session takes room that no thread's stack needs to hold meanwhile.
                Box::pin(self.follow(&wanted)).await;
                self.show();
            }
            let withdrawal = self.leaving.map(|since| since + GRACE).filter(|at| *at > Instant::now());
            let again = self.stay_behind().then(|| Instant::now() + LOOK_AGAIN);
            loop {
                tokio::select! {
                    changed = self.wanted.changed() => {
                        changed.map_err(|_| Ended)?;
                        break;
                    }
                    () = until(withdrawal) => break,
                    () = until(again) => break,
                    () = self.lookouts.changed() => break,
                    Some(ended) = self.ending.join_next_with_id() => {
                        let id = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
                        self.parting.remove(&id);
                        break;
                    }
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
        let now: Picture = sessions.chain(blocked).collect();
        // What was told of another session, or at another time, is another word.
        self.picture.send_if_modified(|before| {
            let same = |(one, other): (&Seen, &Seen)| Arc::ptr_eq(&one.told, &other.told);
            let is_new = !(before.keys().eq(now.keys()) && before.values().zip(now.values()).all(same));
            if is_new {
                *before = now;
            }
            is_new
        });
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
        self.lookouts.keep(wanted.routers.values().map(|told| told.router.as_ref()));
        for name in self.sessions.keys().cloned().collect::<Vec<_>>() {
            self.end_unless_wanted(&name, wanted).await;
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
            } else if !self.parting.values().any(|parting| parting == name) {
                let running = self.begin(name, &told.router, wish).await;
                self.sessions.insert(name.clone(), running);
            }
        }
    }

    /// Ends a session that is not wanted as it is.
    async fn end_unless_wanted(&mut self, name: &str, wanted: &Spoken) {
        let Some(running) = self.sessions.get_mut(name) else { return };
        let same = match wanted.routers.get(name) {
            Some(told) if told.router == running.router => true,
            Some(told) => watching::goes_on(name, running, &told.router, &mut self.bfd).await,
            None => false,
        };
        let why = if same {
            let now = self.lookouts.place(&running.router);
            if let Ok(now) = &now {
                running.note(now).await;
            }
            if !running.has_moved(&now) {
                return;
            }
            "its router is elsewhere now"
        } else {
            "its BGPPeer is gone or another"
        };
        let Some(running) = self.sessions.remove(name).filter(Running::has_session) else { return };
        info!(peer = name, "the session ends: {why}");
        // One that goes on with other settings need not forget our routes in between.
        let goes_on = wanted.routers.contains_key(name) && running.router.settings.graceful_restart;
        let stop = if goes_on { Stop::Upgrade } else { Stop::Deconfigured };
        let task = self.ending.spawn(running.stop(stop));
        self.parting.insert(task.id(), name.to_owned());
    }

    /// Whether some session stands where its router is no more.
    fn stay_behind(&mut self) -> bool {
        let lookouts = &mut self.lookouts;
        self.sessions.values().any(|running| running.stays_behind(&lookouts.place(&running.router)))
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
        let (now, asked_for) = (Now::read(), asked_for(&router.settings));
        let place = self.lookouts.place(router);
        let settings = place.and_then(|place| Ok((settings::of(name, &self.node, router, place.at)?, place)));
        let course = match settings {
            Ok(((peer, path), place)) => {
                let (arrivals, closed) = match self.door.arrivals(&peer) {
                    Ok(arrivals) => (arrivals, None),
                    Err(why) => (None, Some(why)),
                };
                if let Some(why) = &closed {
                    warn!(peer = name, "{why}");
                }
                let mut session = Session::start(peer, wished.clone(), arrivals);
                session.note(notes(&place, closed.as_deref())).await;
                let (path, unwatched) = watching::begin(name, &mut session, path, &mut self.bfd).await;
                let live = Live { view: session.view(), path, wishes: wished };
                let mut sight = Sight::new(name, asked_for, now);
                let watch = unwatched.as_deref().map_or(Watch::Unasked, Watch::Failed);
                sight.look(&live.view(), watch, now);
                Course::Session { session, place: Box::new(place), closed, sight, live, unwatched }
            }
            Err(obstacle) => {
                warn!(peer = name, "no session: {}", obstacle.message);
                Course::Blocked(Arc::new(Sight::blocked(name, asked_for, &obstacle, now)))
            }
        };
        Running { router: Arc::clone(router), wishes, course }
    }
}

/// Adds GRACEFUL_SHUTDOWN to every route (RFC 8326).
fn ask_for_others(held: &mut Option<Arc<Wish>>) -> bool {
    let Some(wish) = held else { return false };
    *wish = Arc::new(wish.that_asks_for_others());
    true
}
