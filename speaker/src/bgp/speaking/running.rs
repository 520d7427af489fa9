// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One router that this node is to speak to, and what came of it.

use std::collections::BTreeMap;
use std::future;
use std::net::SocketAddr;
use std::sync::Arc;

use ferrolb_bgp::Stop;
use ferrolb_config::api::BGPSession;
use ferrolb_config::snapshot::{self, PeerTarget};
use futures::future::select_all;
use tokio::sync::watch;

use super::super::picture::{Live, Seen};
use super::super::sight::{Now, Sight, Watch};
use super::super::{Session, Wish};
use super::lookouts::Place;
use crate::intent::{Obstacle, Router};

/// A router that this node speaks to, or would if it could.
pub(super) struct Running {
    pub(super) router: Arc<Router>,
    pub(super) wishes: watch::Sender<Option<Arc<Wish>>>,
    pub(super) course: Course,
}

/// What came of it.
pub(super) enum Course {
    Session {
        session: Session,
        /// Where the router is.
        place: Box<Place>,
        /// Why it cannot connect to us, though it should be able to.
        closed: Option<String>,
        sight: Sight,
        live: Live,
        /// Why nobody watches the path, though somebody should.
        unwatched: Option<String>,
    },
    /// This node cannot try.
    Blocked(Arc<BGPSession>),
}

impl Running {
    pub(super) async fn stop(self, stop: Stop) {
        let Self { course, wishes, .. } = self;
        if let Course::Session { session, .. } = course {
            session.stop(stop).await;
        }
        // A session whose wishes end before it was told how to end is one that is no longer configured.
        drop(wishes);
    }

    pub(super) fn has_session(&self) -> bool {
        matches!(self.course, Course::Session { .. })
    }

    /// Whether the session shall be begun anew, where the router is now. One that stands shows that its router is there, whatever
    /// others advertise on the link.
    pub(super) fn has_moved(&self, now: &Result<Place, Obstacle>) -> bool {
        match (&self.course, now) {
            (Course::Session { place, live, .. }, Ok(now)) => {
                place.at != now.at && (scope(place.at) != scope(now.at) || !live.is_established())
            }
            (Course::Session { .. }, Err(_)) => false,
            (Course::Blocked(_), Ok(_)) => true,
            (Course::Blocked(told), Err(now)) => told.message.as_deref() != Some(&now.message),
        }
    }

    /// Whether the session stands where its router is no more.
    pub(super) fn stays_behind(&self, now: &Result<Place, Obstacle>) -> bool {
        match (&self.course, now) {
            (Course::Session { place, .. }, Ok(now)) => place.at != now.at,
            _ => false,
        }
    }

    /// People should know of the router what this says.
    pub(super) async fn note(&mut self, now: &Place) {
        if let Course::Session { session, place, closed, .. } = &mut self.course
            && place.note != now.note
        {
            place.note.clone_from(&now.note);
            session.note(notes(now, closed.as_deref())).await;
        }
    }

    /// Returns when its session has shown something.
    async fn changed(&mut self) {
        match &mut self.course {
            Course::Session { live, .. } => live.changed().await,
            Course::Blocked(_) => future::pending().await,
        }
    }

    /// Whether there is something new to tell.
    pub(super) fn look(&mut self, now: Now) -> bool {
        let Course::Session { sight, live, unwatched, .. } = &mut self.course else { return false };
        let standing = live.path();
        let watch = match (unwatched, &standing) {
            (Some(why), _) => Watch::Failed(why),
            (None, Some(standing)) => Watch::By(standing),
            (None, None) => Watch::Unasked,
        };
        sight.look(&live.view(), watch, now)
    }

    pub(super) fn seen(&self) -> Seen {
        match &self.course {
            Course::Session { sight, live, .. } => {
                Seen { told: Arc::clone(sight.told()), live: Some(live.clone()) }
            }
            Course::Blocked(told) => Seen { told: Arc::clone(told), live: None },
        }
    }
}

/// Returns when one of the sessions has shown something.
pub(super) async fn changed(sessions: &mut BTreeMap<String, Running>) {
    let changes: Vec<_> = sessions.values_mut().map(|running| Box::pin(running.changed())).collect();
    if changes.is_empty() {
        future::pending().await
    }
    select_all(changes).await;
}

/// What people should know of a router.
pub(super) fn notes(place: &Place, closed: Option<&str>) -> Option<String> {
    let notes = [place.note.as_deref(), closed].into_iter().flatten().map(str::to_owned);
    notes.reduce(|all, next| format!("{all}; {next}"))
}

/// The interface of a link-local address; a new number is another interface, and connections over the old one are dead.
fn scope(place: SocketAddr) -> u32 {
    match place {
        SocketAddr::V6(place) => place.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

/// Where the router is, as it was asked for.
pub(super) fn asked_for(settings: &snapshot::PeerSettings) -> String {
    match &settings.target {
        PeerTarget::Address(address) => {
            SocketAddr::new(address.to_canonical(), settings.port.get()).to_string()
        }
        PeerTarget::Interface(interface) => interface.clone(),
    }
}
