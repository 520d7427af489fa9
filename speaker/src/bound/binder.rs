// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The thread that keeps owned addresses on the interfaces.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::ledger::{Ledger, Owned, Step};
use super::{LIFETIME, Unbindable};
use crate::kernel::{BoundAddresses, Place};

/// How long the thread sleeps when it has nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// How the layer-2 thread says what it owns.
#[derive(Debug, Clone)]
pub(crate) struct Binder(Arc<Shared>);

/// The running thread; when this is dropped, it removes what is bound and ends.
#[derive(Debug)]
pub(crate) struct BinderThread {
    binder: Binder,
    unbindable: watch::Receiver<Unbindable>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    owned: Owned,
    ledger: Ledger,
    ended: bool,
}

impl Shared {
    /// Whoever panicked left nothing half done: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Binder {
    /// These addresses are owned now, and no others. Unless that is certain, nothing is added or renewed for it.
    pub(crate) fn hold(&self, places: BTreeSet<Place>, certain: bool) {
        let mut state = self.0.lock();
        let said = if certain { Instant::now() } else { state.owned.said };
        state.owned = Owned { places, said };
        drop(state);
        self.0.changed.notify_all();
    }

    /// These addresses are owned too. Returns when they are in place or cannot be, at the latest after `patience`: who is
    /// about to say to the network that they are here waits that long.
    pub(crate) fn claim(&self, places: &[Place], patience: Duration) {
        let mut state = self.0.lock();
        state.owned.places.extend(places);
        state.owned.said = Instant::now();
        self.0.changed.notify_all();
        let unsettled =
            |state: &mut State| !state.ended && !places.iter().all(|place| state.ledger.is_settled(*place));
        let waited = self.0.changed.wait_timeout_while(state, patience, unsettled);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl BinderThread {
    /// Starts the thread in the network namespace of the calling one. What a dead process left is removed first.
    ///
    /// # Errors
    /// No thread or no socket is to be had.
    pub(crate) fn start() -> io::Result<Self> {
        let mut kernel = BoundAddresses::open()?;
        remove_leftovers(&mut kernel);
        let owned = Owned { places: BTreeSet::new(), said: Instant::now() };
        let state = State { owned, ledger: Ledger::default(), ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (tell, unbindable) = watch::channel(Unbindable::default());
        let binder = Binder(Arc::clone(&shared));
        // Not joined: that the channel of what cannot be bound closes says that the thread has ended.
        thread::Builder::new().name("bound".into()).spawn(move || keep(&shared, &mut kernel, &tell))?;
        Ok(Self { binder, unbindable })
    }

    /// For the layer-2 thread.
    pub(crate) fn binder(&self) -> Binder {
        self.binder.clone()
    }

    /// What cannot be bound, as it becomes.
    pub(crate) fn unbindable(&self) -> watch::Receiver<Unbindable> {
        self.unbindable.clone()
    }

    /// Takes everything off the interfaces; returns when that is done.
    pub(crate) async fn finish(self) {
        let mut unbindable = self.unbindable.clone();
        drop(self);
        while unbindable.changed().await.is_ok() {}
    }
}

impl Drop for BinderThread {
    fn drop(&mut self) {
        self.binder.0.lock().ended = true;
        self.binder.0.changed.notify_all();
    }
}

fn remove_leftovers(kernel: &mut BoundAddresses) {
    match kernel.list() {
        Ok(places) => {
            for place in places {
                match kernel.remove(place) {
                    Ok(()) => {
                        info!(address = %place.address, "removed an address that a dead process had bound")
                    }
                    Err(error) => warn!(address = %place.address, %error, "cannot remove a bound address"),
                }
            }
        }
        Err(error) => warn!(%error, "cannot list the addresses that a dead process may have left"),
    }
}

fn keep(shared: &Shared, kernel: &mut BoundAddresses, tell: &watch::Sender<Unbindable>) {
    let mut state = shared.lock();
    while !state.ended {
        let now = Instant::now();
        let owned = state.owned.clone();
        let steps = state.ledger.steps(&owned, now);
        if steps.is_empty() {
            publish(&state.ledger, tell);
            let idle = state.ledger.next().map_or(IDLE, |next| next.saturating_duration_since(now));
            // A stale word asks for nothing, however late it is.
            let idle = idle.clamp(Duration::from_millis(100), IDLE);
            state = shared.changed.wait_timeout(state, idle).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        for step in steps {
            // The kernel may make us wait, and the layer-2 thread must not wait for that.
            drop(state);
            let outcome = take(kernel, step);
            state = shared.lock();
            match outcome {
                Ok(()) => state.ledger.done(step, Instant::now()),
                Err(why) => {
                    warn!("{why}");
                    state.ledger.failed(step, why, Instant::now());
                }
            }
            shared.changed.notify_all();
        }
    }
    let bound: Vec<Place> = state.ledger.bound().collect();
    drop(state);
    for place in bound {
        if let Err(error) = kernel.remove(place) {
            warn!(address = %place.address, %error, "cannot remove a bound address; the kernel does within seconds");
        }
    }
}

fn take(kernel: &mut BoundAddresses, step: Step) -> Result<(), String> {
    match step {
        Step::Add(place) => kernel.add(place, LIFETIME).map_err(|error| told(&error)),
        Step::Renew(place) => kernel.renew(place, LIFETIME).map_err(|error| told(&error)),
        Step::Remove(place) => kernel
            .remove(place)
            .map_err(|error| format!("cannot take {} off its interface: {error}", place.address)),
    }
}

fn told(error: &crate::kernel::BindError) -> String {
    error.to_string()
}

fn publish(ledger: &Ledger, tell: &watch::Sender<Unbindable>) {
    let now: Unbindable =
        Arc::new(ledger.resting().map(|(place, why)| (place.address, why.to_owned())).collect());
    tell.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
}
