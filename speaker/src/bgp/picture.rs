// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! All routers of a node as people see them. What happened is told; what is only counted is looked up by who wants to know.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;

use ferrolb_bgp::Kind;
use ferrolb_config::api::BGPSession;
use tokio::sync::watch;

use super::{View, Wish};
use crate::bfd::Standing;

/// The routers that this node is to speak to, by the names of their BGPPeers.
pub(crate) type Picture = BTreeMap<String, Seen>;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What became of it, without counters.
    pub(crate) told: Arc<BGPSession>,
    /// `None` where no session is tried.
    pub(crate) live: Option<Live>,
}

/// A session as it is at any moment. Not to be held for long: a path is watched as long as somebody looks.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(super) view: watch::Receiver<View>,
    pub(super) path: Option<watch::Receiver<Standing>>,
    pub(super) wishes: watch::Receiver<Option<Arc<Wish>>>,
}

impl Seen {
    /// What is told, with the counters as they are now.
    pub(crate) fn counted(&self) -> BGPSession {
        let mut told = BGPSession::clone(&self.told);
        if let Some(live) = &self.live {
            told.counters = counters(&live.view.borrow());
            let path =
                live.path.as_ref().and_then(|path| Some(path_counters(path.borrow().session.as_ref()?)));
            if let (Some(bfd), Some(counters)) = (&mut told.bfd, path) {
                bfd.counters = counters;
            }
        }
        told
    }
}

impl Live {
    /// The session at this moment.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Whether there is a session at this moment.
    pub(crate) fn is_established(&self) -> bool {
        self.view.borrow().is_established()
    }

    /// The path at this moment, where it is watched.
    pub(crate) fn path(&self) -> Option<Standing> {
        self.path.as_ref().map(|path| path.borrow().clone())
    }

    /// Returns when something has happened, be it a message.
    pub(super) async fn changed(&mut self) {
        let path = async {
            match &mut self.path {
                Some(path) => wait(path).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = wait(&mut self.view) => {}
            () = path => {}
        }
    }
}

/// Never returns once nobody shows anything any more.
async fn wait<T>(shown: &mut watch::Receiver<T>) {
    if shown.changed().await.is_err() {
        future::pending().await
    }
}

fn counters(view: &View) -> BTreeMap<String, u64> {
    let (counts, routes) = (&view.peer.counts, &view.routes);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut counters: BTreeMap<String, u64> = [
        ("sessions", counts.sessions),
        ("failures", counts.failures),
        ("routesAnnounced", number(routes.sent)),
        ("routesWanted", number(routes.wished.unwrap_or_default())),
        ("routesWaiting", number(routes.waiting)),
        ("routesUnsendable", number(routes.unsendable)),
        ("updatesSent", routes.messages),
        ("routesReceived", counts.routes_announced),
        ("routesWithdrawnByPeer", counts.routes_withdrawn),
        ("attributeFaults", counts.attribute_faults),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count))
    .collect();
    for kind in Kind::ALL {
        let name = kind.name();
        counters.insert(format!("received.{name}"), counts.received(kind));
        // Those that carry routes are counted as updatesSent.
        if kind != Kind::Update {
            counters.insert(format!("sent.{name}"), counts.sent(kind));
        }
    }
    counters
}

fn path_counters(session: &ferrolb_bfd::SessionView) -> BTreeMap<String, u64> {
    let counts = &session.counts;
    [
        ("ups", counts.ups),
        ("downs", counts.downs),
        ("sent", counts.sent),
        ("received", counts.received),
        ("discarded", counts.discarded),
    ]
    .into_iter()
    .map(|(name, count)| (name.to_owned(), count))
    .collect()
}

/// A session that has counted a little; it is shown as long as the second part lives.
#[cfg(test)]
pub(crate) fn live_in_tests() -> (Live, impl Sized) {
    use super::sight::tests::{idle, path};

    let mut view = idle();
    view.peer.counts.received = Kind::ALL.map(|kind| if kind == Kind::Notification { 3 } else { 0 });
    view.routes.waiting = 5;
    let mut standing = path(ferrolb_bfd::State::Up, None, None, None);
    standing.session.iter_mut().for_each(|session| session.counts.downs = 2);
    let (show, view) = watch::channel(view);
    let (stand, path) = watch::channel(standing);
    let (wish, wishes) = watch::channel(None);
    (Live { view, path: Some(path), wishes }, (show, stand, wish))
}
