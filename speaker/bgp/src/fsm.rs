// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One connection to a peer, from its OPEN to its end (RFC 4271, section 8.2.2). What is before that, and two connections at once,
//! is [`Peer`](crate::Peer)'s.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::{
    error::{Ending, PeerAs, Refusal},
    family::Family,
    message::Message,
    negotiated::Negotiated,
    open::Open,
    refresh::RouteRefresh,
    state::State,
    timers::{Due, Timers},
};

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to tell.
    Stays,
    /// The peer's OPEN is acceptable: [`Connection::confirm`] it, unless another connection is kept.
    Opened,
    /// Routes may be sent.
    Established,
    /// Say that we are there.
    Keepalive,
    /// The peer sent routes.
    Routes(RoutesHeard),
    /// The peer wants our routes once more.
    Refresh(Family),
    /// It is over.
    Ended(Ending),
}

/// How many routes an UPDATE had; they are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoutesHeard {
    pub(crate) announced: u64,
    pub(crate) withdrawn: u64,
    /// Wrong attributes that the session survives (RFC 7606).
    pub(crate) faults: u64,
    pub(crate) end_of_rib: Option<Family>,
}

#[derive(Debug)]
enum Stage {
    OpenSent,
    /// The OPEN was acceptable and has not been answered.
    Judging(Session),
    OpenConfirm(Session),
    Established(Session),
}

/// What two OPENs came to, and the peer's.
#[derive(Clone, Debug)]
struct Session {
    agreed: Box<Negotiated>,
    theirs: Box<Open>,
}

/// A connection whose OPEN was sent.
#[derive(Debug)]
pub(crate) struct Connection {
    ours: Open,
    stage: Stage,
    timers: Timers,
}

impl Connection {
    /// The transport connection is there, and `ours` is sent.
    pub(crate) fn new(now: Instant, ours: Open) -> Self {
        Self { ours, stage: Stage::OpenSent, timers: Timers::new(now) }
    }

    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::OpenSent | Stage::Judging(_) => State::OpenSent,
            Stage::OpenConfirm(_) => State::OpenConfirm,
            Stage::Established(_) => State::Established,
        }
    }

    /// What both sides agreed on, once the peer's OPEN was accepted.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.session().map(|session| &*session.agreed)
    }

    /// The peer's OPEN, once it was acceptable.
    pub(crate) fn theirs(&self) -> Option<&Open> {
        self.session().map(|session| &*session.theirs)
    }

    pub(crate) fn ours(&self) -> &Open {
        &self.ours
    }

    /// A plain NOTIFICATION would leave our routes in force at the peer.
    pub(crate) fn survives_notification(&self) -> bool {
        self.negotiated().is_some_and(|agreed| agreed.survives_notification)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Since when the peer has taken nothing; `None`: it takes.
    pub(crate) fn writer(&mut self, stuck_since: Option<Instant>) {
        self.timers.writer(stuck_since);
    }

    /// The peer's OPEN is answered by a KEEPALIVE. Keepalives go out as often as `keepalive` says, if the hold time does not want them more often.
    pub(crate) fn confirm(&mut self, now: Instant, keepalive: Option<Duration>, random: &mut fastrand::Rng) {
        if let Stage::Judging(session) = &self.stage {
            self.timers.agree(now, session.agreed.hold_time, keepalive, random);
            self.stage = Stage::OpenConfirm(session.clone());
        }
    }

    /// The peer, which may be of the autonomous system that is said, sent a message.
    pub(crate) fn receive(&mut self, now: Instant, message: &Message<'_>, peer_as: PeerAs) -> Step {
        let state = self.state();
        match (&self.stage, message) {
            (_, Message::Notification(said)) => Step::Ended(Ending::Told(said.clone())),
            (Stage::OpenSent, Message::Open(theirs)) => match judge(&self.ours, theirs, peer_as) {
                Ok(agreed) => {
                    let (agreed, theirs) = (Box::new(agreed), Box::new(theirs.clone()));
                    self.stage = Stage::Judging(Session { agreed, theirs });
                    Step::Opened
                }
                Err(refusal) => Step::Ended(refusal.into()),
            },
            (Stage::OpenConfirm(session), Message::Keepalive) => {
                self.stage = Stage::Established(session.clone());
                self.timers.established();
                self.timers.heard(now);
                Step::Established
            }
            (Stage::Established(_), Message::Keepalive) => {
                self.timers.heard(now);
                Step::Stays
            }
            (Stage::Established(session), Message::Update(body)) => match body.read(&session.agreed) {
                Ok(update) => {
                    self.timers.heard(now);
                    Step::Routes(RoutesHeard {
                        announced: update.announced().count() as u64,
                        withdrawn: update.withdrawn().count() as u64,
                        faults: update.discarded().len() as u64 + u64::from(update.fault().is_some()),
                        end_of_rib: update.end_of_rib(),
                    })
                }
                Err(fault) => Step::Ended(fault.into()),
            },
            (Stage::Established(session), Message::RouteRefresh(refresh)) => {
                let agreed = session.agreed.families;
                self.timers.heard(now);
                match refresh {
                    // RFC 2918, section 4: other families are ignored.
                    RouteRefresh::Request(family) if agreed.contains(*family) => Step::Refresh(*family),
                    _ => Step::Stays,
                }
            }
            (_, message) => Step::Ended(Ending::Unexpected { kind: message.kind(), state }),
        }
    }

    /// A timer may be due.
    pub(crate) fn tick(&mut self, now: Instant, random: &mut fastrand::Rng) -> Step {
        match self.timers.due(now) {
            None => Step::Stays,
            Some(Due::Keepalive) => {
                self.timers.spoke(now, random);
                Step::Keepalive
            }
            Some(Due::SendHold(time)) => Step::Ended(Ending::SendHoldTimerExpired(time)),
            Some(Due::Answer) => Step::Ended(Ending::NoAnswer(self.state())),
            Some(Due::Hold(time)) => Step::Ended(Ending::HoldTimerExpired(time)),
        }
    }

    fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::OpenSent => None,
            Stage::Judging(session) | Stage::OpenConfirm(session) | Stage::Established(session) => {
                Some(session)
            }
        }
    }
}

/// Whether the peer is the one that is meant, and what both can do (RFC 4271, section 6.2).
fn judge(ours: &Open, theirs: &Open, wanted: PeerAs) -> Result<Negotiated, Refusal> {
    let right = match wanted {
        PeerAs::Exactly(asn) => theirs.asn == asn,
        PeerAs::Internal => theirs.asn == ours.asn,
        PeerAs::External => theirs.asn != ours.asn,
    };
    if !right {
        return Err(Refusal::PeerAs { wanted, got: theirs.asn });
    }
    // RFC 6286, section 2.2: a router id need only be the only one of its autonomous system.
    if theirs.router_id == ours.router_id && theirs.asn == ours.asn {
        return Err(Refusal::RouterId(theirs.router_id));
    }
    let agreed = Negotiated::new(ours, theirs);
    if agreed.families.is_empty() {
        return Err(Refusal::NoFamily { ours: ours.capabilities.families() });
    }
    Ok(agreed)
}
