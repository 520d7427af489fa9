// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The task that owns the view: it takes what watches and writers bring, and publishes at a pace that readers can
//! follow.

mod keeper;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::{Object, Objects};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;
use tracing::{info, warn};

use super::decode::Broken;
use super::gauges::Gauges;
use super::kept::Kept;
use super::kind::{Kind, Name};
use super::store::{Listing, Store};
use super::trouble::Trouble;
use crate::pace::{Pace, Terms, Work};
use keeper::Keeper;

/// A view is copied on the first change after it was published: that is the work. Many changes are published together, a few each
/// at once.
const PACE: Terms = Terms {
    share: 8,
    least: Duration::from_micros(250),
    free: Duration::from_millis(2),
    longest: Duration::from_millis(250),
};
/// How many messages are taken in one go.
const BATCH: usize = 256;

/// What watches and writers bring.
#[derive(Debug)]
pub(crate) enum Message {
    /// Everything of one kind.
    Listed(Kind, Box<Listing>),
    /// An object is new or has changed.
    Changed(Object),
    /// An object is gone.
    Removed(Kind, Name, Option<String>),
    /// An object came that cannot be read.
    Broken(Kind, Box<Broken>),
    /// The watch of a kind stands, and has come to this resourceVersion if it says so.
    Reached(Kind, Option<String>),
    /// A kind cannot be read at the moment.
    Troubled(Kind, Trouble),
    /// The API server confirmed a write of ours.
    Wrote(Object),
    /// The API server confirmed that an object with that uid is gone by our hand.
    Deleted(Kind, Name, Option<String>),
    /// Publish what came before, and say when that is done.
    Settle(oneshot::Sender<()>),
}

/// Runs until the last receiver of `sender` is gone.
pub(crate) async fn publish(
    mut store: Store,
    mut inbox: mpsc::Receiver<Message>,
    sender: watch::Sender<Arc<Objects>>,
    kept: Option<Kept>,
    gauges: Gauges,
) {
    let mut pace = Pace::new(PACE);
    // Whether the next change copies the view.
    let mut is_shared = false;
    let mut batch = Vec::with_capacity(BATCH);
    let mut settling = Vec::new();
    let mut keeper = Keeper::new(kept, gauges.unsaved.clone(), Instant::now());
    loop {
        let now = Instant::now();
        let due = (store.is_ready() && store.is_dirty(now)).then(|| pace.next().unwrap_or(now));
        let wake = [due, store.next_deadline(now), keeper.next_deadline()].into_iter().flatten().min();
        tokio::select! {
            taken = inbox.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {}
            () = sender.closed() => return,
        }
        let (now, work) = (Instant::now(), Work::begin());
        for message in batch.drain(..) {
            take(&mut store, message, now, &mut settling);
        }
        if store.is_dirty(now) && std::mem::take(&mut is_shared) {
            pace.worked(work.took(), now);
        }
        if store.is_listed() {
            keeper.need_not_load();
        } else if let Some((objects, saved)) = keeper.load(Instant::now()).await {
            store.take_kept(objects, Instant::now(), saved);
        }
        let now = Instant::now();
        store.measure(&gauges, now);
        if !store.is_ready() {
            settling.clear();
            continue;
        }
        if store.is_dirty(now) && (pace.is_due(now) || !settling.is_empty()) {
            let before = Arc::clone(&sender.borrow());
            let view = store.view(now);
            tell(&before, &view);
            sender.send_replace(view);
            is_shared = true;
            keeper.changed(now);
        }
        keeper.save(&sender.borrow(), store.is_worth_keeping(), now);
        for settled in settling.drain(..) {
            // Whoever asked may have lost interest.
            let _ = settled.send(());
        }
    }
}

fn take(store: &mut Store, message: Message, now: Instant, settling: &mut Vec<oneshot::Sender<()>>) {
    match message {
        Message::Listed(kind, listing) => store.listed(kind, *listing, now),
        Message::Changed(object) => store.changed(object, now),
        Message::Removed(kind, name, version) => store.removed(kind, &name, version, now),
        Message::Broken(kind, broken) => store.broken(kind, *broken, now),
        Message::Reached(kind, version) => store.reached(kind, version.as_ref(), now),
        Message::Troubled(kind, trouble) => store.troubled(kind, &trouble, now, Timestamp::now()),
        Message::Wrote(object) => store.wrote(object, now),
        Message::Deleted(kind, name, uid) => store.deleted(kind, name, uid, now),
        Message::Settle(settled) => settling.push(settled),
    }
}

/// Logs what is new about the view as a whole.
fn tell(before: &Objects, now: &Objects) {
    for refusal in now.refused.iter().filter(|refusal| !before.refused.contains(refusal)) {
        warn!("{refusal}");
    }
    match (before.freshness.stale_since, now.freshness.stale_since) {
        (None, Some(since)) => warn!(%since, "the API server is out of reach; what is known stays in force"),
        (Some(_), None) => info!("the view is current again"),
        (Some(_), Some(_)) | (None, None) => {}
    }
}
