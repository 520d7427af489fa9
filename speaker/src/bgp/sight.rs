// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A session as statuses tell it: pure. It changes where something happened, and not with every message or attempt.

use std::sync::Arc;
use std::time::Instant;

use ferrolb_bfd::{SessionView, State};
use ferrolb_bgp::{Ending, Negotiated, PeerView};
use ferrolb_config::api::{BFDSession, BGPSession, SessionEnd, SessionState, SessionTerms};
use ferrolb_config::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{View, words};
use crate::bfd::Standing;
use crate::intent::Obstacle;

/// The longest text that a status takes, in characters.
const LONGEST: usize = 512;
/// The state of a path that nobody watches, though somebody should.
const NOT_WATCHED: &str = "NotWatched";

/// How the path to a router is watched.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watch<'a> {
    /// Nobody asked for it.
    Unasked,
    /// This node cannot, and why.
    Failed(&'a str),
    /// It is.
    By(&'a Standing),
}

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) clock: Timestamp,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { instant: Instant::now(), clock: Timestamp::now() }
    }

    /// A moment of the past, in whole seconds: what the API keeps.
    pub(super) fn time(self, at: Instant) -> Time {
        let ago = SignedDuration::try_from(self.instant.saturating_duration_since(at)).unwrap_or_default();
        let then = self.clock.saturating_sub(ago).unwrap_or(self.clock);
        Time(Timestamp::from_second(then.as_second()).unwrap_or(then))
    }
}

/// What is told of one session.
#[derive(Debug)]
pub(super) struct Sight {
    told: Arc<BGPSession>,
    /// When the session began that is told of.
    established: Option<Instant>,
    /// When the path came up that is told of.
    up_since: Option<Instant>,
}

impl Sight {
    /// Of a session that is about to be tried.
    pub(super) fn new(peer: &str, router: String, now: Now) -> Self {
        let since = Some(now.time(now.instant));
        let told = BGPSession { peer: peer.to_owned(), router, since, ..BGPSession::default() };
        Self { told: Arc::new(told), established: None, up_since: None }
    }

    /// Of a router that this node cannot even try to reach.
    pub(super) fn blocked(peer: &str, router: String, obstacle: &Obstacle, now: Now) -> BGPSession {
        BGPSession {
            peer: peer.to_owned(),
            router,
            state: SessionState::Blocked,
            since: Some(now.time(now.instant)),
            reason: Some(obstacle.reason.to_string()),
            message: Some(cut(&obstacle.message)),
            ..BGPSession::default()
        }
    }

    pub(super) fn told(&self) -> &Arc<BGPSession> {
        &self.told
    }

    /// Takes a new look; whether there is something new to tell.
    pub(super) fn look(&mut self, view: &View, watch: Watch<'_>, now: Now) -> bool {
        let mut told = BGPSession::clone(&self.told);
        self.session(&mut told, view, now);
        self.path(&mut told, watch, now);
        unsendable(&mut told, view);
        told.note = view.note.as_deref().map(cut);
        let is_new = *self.told != told;
        if is_new {
            self.told = Arc::new(told);
        }
        is_new
    }

    fn session(&mut self, told: &mut BGPSession, view: &View, now: Now) {
        let begun = view.peer.established.filter(|_| view.is_established());
        if self.established != begun && self.established.is_some() {
            let end = view.peer.last_error.as_ref().map(|(at, ending)| end(*at, ending, now));
            told.since = end.as_ref().map(|end| end.at.clone()).or_else(|| Some(now.time(now.instant)));
            told.last_end = end;
        }
        if let Some(at) = begun.filter(|at| self.established != Some(*at)) {
            told.since = Some(now.time(at));
        }
        self.established = begun;
        if begun.is_some() {
            told.state = SessionState::Established;
            told.agreed = terms(view);
            (told.reason, told.message) = (None, None);
        } else {
            told.state = SessionState::Connecting;
            told.agreed = None;
            told.message = view.last_error().map(|words| cut(&words));
            told.reason = told.message.as_ref().map(|_| Reason::RouterNotReached.to_string());
        }
    }

    fn path(&mut self, told: &mut BGPSession, watch: Watch<'_>, now: Now) {
        let path = match watch {
            Watch::Unasked => {
                told.bfd = None;
                return;
            }
            Watch::Failed(why) => {
                BFDSession { state: NOT_WATCHED.to_owned(), message: Some(cut(why)), ..BFDSession::default() }
            }
            Watch::By(standing) => match &standing.session {
                Some(session) => self.watched(told.bfd.as_ref(), session, standing.hindrance.as_deref(), now),
                // It ends, and so does the session of BGP.
                None => return,
            },
        };
        told.bfd = Some(path);
    }

    fn watched(
        &mut self,
        before: Option<&BFDSession>,
        session: &SessionView,
        hindrance: Option<&str>,
        now: Now,
    ) -> BFDSession {
        let since = match session.up_since {
            // The wall clock may have been set meanwhile; the path has come up once.
            Some(at) if self.up_since == Some(at) => before.and_then(|before| before.since.clone()),
            Some(at) => Some(now.time(at)),
            None => None,
        };
        self.up_since = session.up_since;
        let message = (session.state != State::Up).then(|| why_down(before, session, hindrance)).flatten();
        BFDSession { state: session.state.as_str().to_owned(), since, message, ..BFDSession::default() }
    }
}

/// What hinders a packet shows at every other one only, so it is told until the path is up.
fn why_down(before: Option<&BFDSession>, session: &SessionView, hindrance: Option<&str>) -> Option<String> {
    let down = session.last_down.map(|(_, down)| down.to_string());
    let words = match (down, hindrance) {
        (Some(down), Some(hindrance)) => Some(format!("{down}; {hindrance}")),
        (down, hindrance) => down.or_else(|| hindrance.map(str::to_owned)),
    };
    let words = words.map(|words| cut(&words));
    let known = before.and_then(|before| before.message.as_ref());
    match (known, &words) {
        (Some(known), None) => Some(known.clone()),
        (Some(known), Some(words)) if known.starts_with(words.as_str()) => Some(known.clone()),
        _ => words,
    }
}

fn end(at: Instant, ending: &Ending, now: Now) -> SessionEnd {
    SessionEnd { at: now.time(at), message: cut(&ending.to_string()) }
}

fn terms(view: &View) -> Option<SessionTerms> {
    let (local, remote) = view.ends?;
    let PeerView { ours, theirs, negotiated, .. } = &view.peer;
    let (ours, theirs) = (ours.as_ref()?, theirs.as_ref()?);
    let Negotiated { local_as, peer_as, hold_time, families, .. } = negotiated.as_ref()?;
    Some(SessionTerms {
        local_address: local.to_string(),
        peer_address: remote.to_string(),
        local_asn: local_as.get(),
        peer_asn: peer_as.get(),
        peer_router_id: theirs.router_id.get().to_string(),
        hold_seconds: hold_time.as_secs(),
        families: families.iter().map(|family| family.to_string()).collect(),
        capabilities_sent: words::of(&ours.capabilities),
        capabilities_received: words::of(&theirs.capabilities),
    })
}

/// Which of many routes is the example does not matter, so it is not told anew.
fn unsendable(told: &mut BGPSession, view: &View) {
    let examples = &view.routes.unsendable_examples;
    let known = told.unsendable.take();
    let stays = known.filter(|known| examples.iter().any(|(_, why)| known.starts_with(&why.to_string())));
    let first = || examples.first().map(|(prefix, why)| cut(&format!("{why}; for example {prefix}")));
    told.unsendable = stays.or_else(first);
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
pub(super) mod tests;
