// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The view: what the watches delivered, with our own writes in it before they come back. Pure; the clocks are passed
//! in.
//!
//! The events of one kind come in order, so only our own writes can be ahead of them. Such a write is kept until the
//! watch has come as far: an event that is older does not undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::reason::Refusal;
use ferrolb_config::{Freshness, Object, Objects};
use jiff::Timestamp;

use super::decode::Broken;
use super::gauges::{Gauges, OfKind};
use super::kind::{self, Kind, Name, Stamp};
use super::trouble::Trouble;

/// How long a watch may be away before the view counts as stale: a server that restarts is no news.
const GRACE: Duration = Duration::from_secs(3);
/// How long a write of ours outlives lists that do not show it. No list is older than that, but a cluster that was
/// restored from a backup counts from an earlier number.
const AHEAD: Duration = Duration::from_secs(15);

/// Everything of one kind that there was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The objects; those of other kinds are ignored.
    pub(crate) objects: Objects,
    pub(crate) broken: Vec<Broken>,
    /// The resourceVersion of the list.
    pub(crate) version: String,
}

/// What is known of one kind.
#[derive(Debug, Default)]
struct State {
    known: Known,
    ahead: BTreeMap<Name, Ahead>,
    broken: BTreeMap<Name, Refusal>,
    /// Why the kind as a whole cannot be read.
    refused: Option<Refusal>,
    lost: Option<Lost>,
    /// How far the watch has come.
    reached: Option<u64>,
    /// When the API server was last heard of.
    heard: Option<Instant>,
    lists: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    /// What an earlier process kept on disk.
    Kept,
    /// That process could not read the kind either: nothing is known, and nobody waits for it.
    KeptAway,
    Listed,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    at: Instant,
    since: Timestamp,
}

/// A write of ours that the watch has not come to yet.
#[derive(Debug)]
struct Ahead {
    at: Instant,
    what: Written,
}

#[derive(Debug, PartialEq, Eq)]
enum Written {
    /// The object has this resourceVersion.
    Put(u64),
    /// The object with this uid is gone.
    Deleted(Option<String>),
}

/// The view and how it came about.
#[derive(Debug)]
pub(crate) struct Store {
    objects: Arc<Objects>,
    states: BTreeMap<Kind, State>,
    is_dirty: bool,
}

impl Store {
    /// A view of `kinds` of which nothing is known.
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let states = kinds.iter().map(|kind| (*kind, State::default())).collect();
        Self { objects: Arc::new(Objects::default()), states, is_dirty: true }
    }

    /// Takes what an earlier process kept, for the kinds of which nothing is known yet.
    pub(crate) fn take_kept(&mut self, mut kept: Objects, at: Instant, since: Timestamp) {
        for (kind, state) in &mut self.states {
            if state.known == Known::Nothing {
                kind::swap(Arc::make_mut(&mut self.objects), &mut kept, *kind);
                let was_unknown = kept.freshness.unknown.contains(kind.name());
                state.known = if was_unknown { Known::KeptAway } else { Known::Kept };
                state.lost = Some(Lost { at, since });
                self.is_dirty = true;
            }
        }
    }

    /// Everything of one kind was listed.
    pub(crate) fn listed(&mut self, kind: Kind, mut listing: Listing, now: Instant) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        let version = number(Some(&listing.version));
        state.ahead.retain(|_, ahead| {
            let is_past = match (&ahead.what, version) {
                (Written::Put(written), Some(listed)) => *written <= listed,
                _ => false,
            };
            !is_past && now.duration_since(ahead.at) < AHEAD
        });
        for (name, ahead) in &state.ahead {
            let stays = match &ahead.what {
                Written::Put(_) => true,
                Written::Deleted(uid) => {
                    kind::stamp(&listing.objects, kind, name).is_some_and(|stamp| stamp.uid == *uid)
                }
            };
            if stays {
                kind::copy(&self.objects, &mut listing.objects, kind, name);
            }
        }
        for broken in &listing.broken {
            kind::copy(&self.objects, &mut listing.objects, kind, &broken.name);
        }
        state.broken = listing.broken.into_iter().map(|broken| (broken.name, broken.refusal)).collect();
        state.known = Known::Listed;
        state.lists += 1;
        // A cluster that was restored from a backup counts from an earlier number.
        state.reached = version;
        state.found(now);
        self.is_dirty = true;
        if !kind::is_same(&self.objects, &listing.objects, kind) {
            kind::swap(Arc::make_mut(&mut self.objects), &mut listing.objects, kind);
        }
    }

    /// The watch delivered a new form of one object.
    pub(crate) fn changed(&mut self, object: Object, now: Instant) {
        let (kind, name) = (Kind::of_object(&object), Name::of(&object));
        let Some(state) = self.states.get_mut(&kind) else { return };
        let metadata = object.metadata();
        self.is_dirty |= state.come_to(metadata.resource_version.as_ref(), now);
        let stamp = Stamp { uid: metadata.uid.clone(), version: metadata.resource_version.clone() };
        if state.is_ahead_of(&name, &stamp) {
            return;
        }
        if state.broken.remove(&name).is_some() {
            self.is_dirty = true;
        }
        self.put(kind, &name, object);
    }

    /// The watch says that an object is gone.
    pub(crate) fn removed(&mut self, kind: Kind, name: &Name, version: Option<String>, now: Instant) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        self.is_dirty |= state.come_to(version.as_ref(), now);
        let stays = match state.ahead.get(name).map(|ahead| &ahead.what) {
            // Written anew since.
            Some(Written::Put(written)) => number(version.as_ref()).is_some_and(|gone| gone < *written),
            Some(Written::Deleted(_)) | None => false,
        };
        if stays {
            return;
        }
        state.ahead.remove(name);
        let was_broken = state.broken.remove(name).is_some();
        let was_there = kind::stamp(&self.objects, kind, name).is_some()
            && kind::remove(Arc::make_mut(&mut self.objects), kind, name);
        self.is_dirty |= was_broken || was_there;
    }

    /// The watch delivered an object that cannot be read; its last readable form stays.
    pub(crate) fn broken(&mut self, kind: Kind, broken: Broken, now: Instant) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        self.is_dirty |= state.come_to(broken.version.as_ref(), now);
        let before = state.broken.insert(broken.name, broken.refusal.clone());
        self.is_dirty |= before.as_ref() != Some(&broken.refusal);
    }

    /// The watch has come to `version`.
    pub(crate) fn reached(&mut self, kind: Kind, version: Option<&String>, now: Instant) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        self.is_dirty |= state.come_to(version, now);
        if let Some(reached) = number(version) {
            state.ahead.retain(|_, ahead| match ahead.what {
                Written::Put(written) => written > reached,
                Written::Deleted(_) => now.duration_since(ahead.at) < AHEAD,
            });
        }
    }

    /// A kind cannot be read at the moment.
    pub(crate) fn troubled(&mut self, kind: Kind, trouble: &Trouble, now: Instant, clock: Timestamp) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        let refused = trouble.refusal(kind);
        if state.refused != refused {
            state.refused = refused;
            self.is_dirty = true;
        }
        if state.lost.is_none() {
            state.lost = Some(Lost { at: now, since: clock });
        }
    }

    /// The API server confirmed a write of ours.
    pub(crate) fn wrote(&mut self, object: Object, now: Instant) {
        let (kind, name) = (Kind::of_object(&object), Name::of(&object));
        let Some(state) = self.states.get_mut(&kind) else { return };
        let metadata = object.metadata();
        let Some(version) = number(metadata.resource_version.as_ref()) else { return };
        // The watch has come past it, and maybe past what others did to the object since.
        if state.reached.is_some_and(|reached| reached >= version) {
            return;
        }
        state.ahead.insert(name.clone(), Ahead { at: now, what: Written::Put(version) });
        self.put(kind, &name, object);
    }

    /// The API server confirmed that an object is gone by our hand.
    pub(crate) fn deleted(&mut self, kind: Kind, name: Name, uid: Option<String>, now: Instant) {
        let Some(state) = self.states.get_mut(&kind) else { return };
        let held = kind::stamp(&self.objects, kind, &name);
        if held.as_ref().is_some_and(|held| held.uid != uid) {
            return;
        }
        if held.is_some() {
            kind::remove(Arc::make_mut(&mut self.objects), kind, &name);
            self.is_dirty = true;
        }
        state.ahead.insert(name, Ahead { at: now, what: Written::Deleted(uid) });
    }

    fn put(&mut self, kind: Kind, name: &Name, object: Object) {
        let held = kind::stamp(&self.objects, kind, name);
        let version = &object.metadata().resource_version;
        if held.as_ref().is_some_and(|held| held.version.is_some() && held.version == *version) {
            return;
        }
        if held.is_some() && kind.is_read_only() && kind::differs_by_version_only(&self.objects, &object) {
            return;
        }
        Arc::make_mut(&mut self.objects).insert(object);
        self.is_dirty = true;
    }

    /// Whether every kind has been read, or is known not to be readable for now.
    pub(crate) fn is_ready(&self) -> bool {
        self.states.values().all(|state| state.known != Known::Nothing || state.refused.is_some())
    }

    /// Whether every kind has been listed, or is known not to be readable for now: nothing need stand in for it.
    pub(crate) fn is_listed(&self) -> bool {
        self.states.values().all(|state| state.known == Known::Listed || state.refused.is_some())
    }

    /// Whether the view is worth more on the disk than an older one: current, and whole but for kinds that speak of routers alone and
    /// that the API server does not serve us. Layer 2 starts from it without them.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.states.iter().all(|(kind, state)| {
            let is_current = state.known == Known::Listed && state.lost.is_none();
            is_current || (state.refused.is_some() && Freshness::of_routers(kind.name()).is_some())
        })
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self, gauges: &Gauges, now: Instant) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut refused = 0;
        for (kind, state) in &self.states {
            let of = OfKind { kind: kind.name() };
            gauges.objects.get_or_create(&of).set(number(kind::count(&self.objects, *kind)));
            if let Some(heard) = state.heard {
                let ago = jiff::SignedDuration::try_from(now.duration_since(heard)).unwrap_or_default();
                gauges.heard.get_or_create(&of).set((Timestamp::now() - ago).as_second());
            }
            let lists = gauges.lists.get_or_create(&of);
            lists.inc_by(state.lists.saturating_sub(lists.get()));
            refused += state.broken.len() + usize::from(state.refused.is_some());
        }
        let freshness = self.freshness(now);
        gauges.refused.set(number(refused));
        gauges.stale.set(i64::from(freshness.stale_since.is_some()));
        gauges.unknown.set(number(freshness.unknown.len()));
    }

    /// Whether the view differs from what [`Self::view`] gave last, at `now`.
    pub(crate) fn is_dirty(&self, now: Instant) -> bool {
        self.is_dirty || self.objects.freshness != self.freshness(now)
    }

    /// When the view changes by the mere passing of time: when it becomes stale.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let lost = self.states.values().filter_map(|state| Some(state.lost?.at + GRACE));
        lost.filter(|deadline| *deadline > now).min()
    }

    /// The view at `now`.
    pub(crate) fn view(&mut self, now: Instant) -> Arc<Objects> {
        if self.is_dirty(now) {
            let freshness = self.freshness(now);
            let refused: Vec<Refusal> = self
                .states
                .values()
                .flat_map(|state| state.refused.iter().chain(state.broken.values()))
                .cloned()
                .collect();
            if self.objects.freshness != freshness || self.objects.refused != refused {
                let objects = Arc::make_mut(&mut self.objects);
                objects.freshness = freshness;
                objects.refused = refused;
            }
            self.is_dirty = false;
        }
        Arc::clone(&self.objects)
    }

    fn freshness(&self, now: Instant) -> Freshness {
        let stale = self.states.values().filter_map(|state| {
            let lost = state.lost?;
            let is_stale = state.known == Known::Kept || now.duration_since(lost.at) >= GRACE;
            // A kind that was never read is unknown rather than stale.
            (is_stale && state.is_known()).then_some(lost.since)
        });
        let unknown: BTreeSet<&'static str> =
            self.states.iter().filter(|(_, state)| !state.is_known()).map(|(kind, _)| kind.name()).collect();
        Freshness { stale_since: stale.min(), unknown }
    }
}

impl State {
    fn is_known(&self) -> bool {
        match self.known {
            Known::Nothing | Known::KeptAway => false,
            Known::Kept | Known::Listed => true,
        }
    }

    /// The watch has come to `version`; whether the kind had been lost.
    fn come_to(&mut self, version: Option<&String>, now: Instant) -> bool {
        self.reached = self.reached.max(number(version));
        self.found(now)
    }

    /// The API server was heard of; whether it had been lost.
    fn found(&mut self, now: Instant) -> bool {
        self.heard = Some(now);
        // What was kept on disk is as old as it is until it has been listed.
        if self.known == Known::Kept {
            return false;
        }
        let was_refused = self.refused.take().is_some();
        self.lost.take().is_some() || was_refused
    }

    /// Whether a write of ours is newer than an object that the watch delivers with that stamp. A write that the watch
    /// has come to is forgotten.
    fn is_ahead_of(&mut self, name: &Name, stamp: &Stamp) -> bool {
        let is_ahead = match self.ahead.get(name).map(|ahead| &ahead.what) {
            None => return false,
            Some(Written::Put(written)) => {
                number(stamp.version.as_ref()).is_some_and(|delivered| delivered < *written)
            }
            Some(Written::Deleted(uid)) => *uid == stamp.uid,
        };
        if !is_ahead {
            self.ahead.remove(name);
        }
        is_ahead
    }
}

/// A resourceVersion as a number: since Kubernetes 1.35 they may be compared (KEP-5504), and with etcd always could.
fn number(version: Option<&String>) -> Option<u64> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests;
