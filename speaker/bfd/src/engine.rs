// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! All sessions of a node: packets, wishes and deadlines in; packets and events out.
//!
//! Whoever drives it does, per wake-up and in this order: read the clock; give in every packet that waits in the sockets
//! ([`Input::Packet`], with the time at which the kernel received it); give in [`Input::Timeout`] with what the clock said before
//! the sockets were found empty, so that nobody is given up whose packet lies in a buffer; then do what [`Engine::poll_output`]
//! yields until it yields nothing. One task serves all sessions. The times passed in never go back.
//!
//! [`Engine::next_deadline`] says when to wake up. It may stay due after a [`Input::Timeout`] whose sockets were read before the
//! deadline: then read them again.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    num::NonZeroU32,
    time::Instant,
};

use thiserror::Error;

use crate::{
    agenda::Agenda,
    discard::{Counters, Discard},
    output::{Event, Output},
    packet::{Discriminator, Packet},
    path::{Ends, Hops, Path},
    punctuality::Punctuality,
    session::{Context, Session},
    state::State,
    timing::{Role, Timing},
    view::SessionView,
};

/// So many sessions at most, those that are being stopped included.
pub const MAX_SESSIONS: usize = 4096;

/// A session that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Its ends.
    pub path: Path,
    /// Whether we speak first.
    pub role: Role,
    /// Its times.
    pub timing: Timing,
}

/// Something happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A datagram arrived at one of the two ports.
    Packet {
        /// Its UDP payload.
        payload: &'a [u8],
        /// How it came here.
        arrival: Arrival,
    },
    /// [`Engine::next_deadline`] has passed.
    Timeout {
        /// Every packet that the kernel had received by then was given in.
        heard_until: Instant,
    },
}

/// How a datagram came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Who sent it.
    pub source: IpAddr,
    /// Which of our addresses it was sent to.
    pub destination: IpAddr,
    /// Index of the interface that it came in by.
    pub interface: Option<NonZeroU32>,
    /// Which port it came to.
    pub hops: Hops,
    /// Its time to live, or hop limit, on arrival.
    pub ttl: u8,
    /// When the kernel received it, at or before now.
    pub received: Instant,
}

/// Why there is no such session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddError {
    /// There are as many as there may be.
    #[error("there are {MAX_SESSIONS} BFD sessions already: remove one first")]
    TooMany,
    /// One has the same ends.
    #[error("BFD session {0} has the same ends: use that one for both peers")]
    SamePath(Discriminator),
    /// A link-local neighbour without interface, or beyond a router.
    #[error("{0} is link-local: name its interface, and use no multihop session")]
    LinkLocal(IpAddr),
}

/// The session ended, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no BFD session {0}")]
pub struct UnknownSession(pub Discriminator);

/// Why a session does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// It ended, or never was.
    #[error(transparent)]
    Unknown(#[from] UnknownSession),
    /// What is wanted is another session.
    #[error("BFD session {0} has other ends: begin another one")]
    OtherEnds(Discriminator),
}

/// All sessions of a node.
#[derive(Debug)]
pub struct Engine {
    sessions: BTreeMap<Discriminator, Session>,
    by_ends: BTreeMap<Ends, Discriminator>,
    agenda: Agenda,
    random: fastrand::Rng,
    punctuality: Punctuality,
    discards: Counters,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// No sessions yet. Discriminators and jitter follow from `seed`, which strangers must not guess.
    pub fn new(seed: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            agenda: Agenda::default(),
            random: fastrand::Rng::with_seed(seed),
            punctuality: Punctuality::default(),
            discards: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins a session. One with the same ends that is being stopped ends at once.
    ///
    /// # Errors
    ///
    /// Too many sessions, one with the same ends, or a link-local neighbour without its interface.
    pub fn add(&mut self, now: Instant, config: SessionConfig) -> Result<Discriminator, AddError> {
        let SessionConfig { path, role, timing } = config;
        let ends = path.ends().ok_or(AddError::LinkLocal(path.peer()))?;
        if let Some(&other) = self.by_ends.get(&ends) {
            if self.sessions.get(&other).is_some_and(|session| session.view().state != State::AdminDown) {
                return Err(AddError::SamePath(other));
            }
            self.forget(other);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(AddError::TooMany);
        }
        let id = self.unused();
        self.sessions.insert(id, Session::new(id, path, role, timing));
        self.by_ends.insert(ends, id);
        self.with(now, id, Session::begin);
        Ok(id)
    }

    /// Goes on with a session as `config` says: its times, its role and how far away the neighbour may be. A neighbour that is up is
    /// asked before the times change (RFC 5880 section 6.8.3).
    ///
    /// # Errors
    ///
    /// There is no such session, or its ends are others.
    pub fn change(
        &mut self,
        now: Instant,
        session: Discriminator,
        config: SessionConfig,
    ) -> Result<(), ChangeError> {
        let path = self.sessions.get(&session).ok_or(UnknownSession(session))?.path();
        if path.ends() != config.path.ends() {
            return Err(ChangeError::OtherEnds(session));
        }
        self.with(now, session, |session, ctx| session.change(config, ctx)).ok_or(UnknownSession(session))?;
        Ok(())
    }

    /// Ends a session on purpose: the neighbour is told, which takes it for no failure. [`Event::Gone`] follows once it answered or
    /// was told for its detection time; a process that ends need not wait for that, the first packet is among the outputs now.
    ///
    /// # Errors
    ///
    /// There is no such session.
    pub fn stop(&mut self, now: Instant, session: Discriminator) -> Result<(), UnknownSession> {
        self.with(now, session, Session::stop).ok_or(UnknownSession(session))
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.punctuality.acts(now, self.agenda.next());
        match input {
            Input::Packet { payload, arrival } => {
                if let Err(discard) = self.packet(now, payload, arrival) {
                    self.discards.record(&discard);
                }
            }
            Input::Timeout { heard_until } => {
                for id in self.agenda.due(now) {
                    self.with(now, id, |session, ctx| session.tick(heard_until.min(now), ctx));
                }
            }
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give in [`Input::Timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// A session at this moment.
    pub fn view(&self, session: Discriminator) -> Option<SessionView> {
        self.sessions.get(&session).map(Session::view)
    }

    /// All sessions at this moment.
    pub fn views(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.values().map(Session::view)
    }

    /// How many packets were discarded, and why.
    pub fn discards(&self) -> &Counters {
        &self.discards
    }

    /// How often this process acted too late.
    pub fn stalls(&self) -> u64 {
        self.punctuality.stalls()
    }

    fn packet(&mut self, now: Instant, payload: &[u8], arrival: Arrival) -> Result<(), Discard> {
        let packet = Packet::decode(payload)?;
        let id = match packet.your_discriminator {
            Some(id) => id,
            None => self.by_sender(&arrival).ok_or(Discard::UnknownSender)?,
        };
        let received = arrival.received.min(now);
        let receive = |session: &mut Session, ctx: &mut Context<'_>| {
            let verdict = session.path().admits(arrival.hops, arrival.ttl);
            let verdict = verdict.and_then(|()| session.receive(&packet, received, ctx));
            verdict.inspect_err(|_| session.count_discarded())
        };
        self.with(now, id, receive).unwrap_or(Err(Discard::UnknownDiscriminator))
    }

    /// The session with the sender of a packet that names none (RFC 5881 section 3, RFC 5883 section 4).
    fn by_sender(&self, arrival: &Arrival) -> Option<Discriminator> {
        let source = arrival.source.to_canonical();
        let find = |ends| self.by_ends.get(&ends).copied();
        match arrival.hops {
            Hops::Single => {
                find(Ends::Single(source, arrival.interface)).or_else(|| find(Ends::Single(source, None)))
            }
            Hops::Multi => find(Ends::Multi(source, arrival.destination.to_canonical())),
        }
    }

    /// Does something to a session and brings its deadline in line; `None` if there is no such session.
    fn with<T>(
        &mut self,
        now: Instant,
        id: Discriminator,
        act: impl FnOnce(&mut Session, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let session = self.sessions.get_mut(&id)?;
        let mut ctx = Context {
            now,
            random: &mut self.random,
            outputs: &mut self.outputs,
            punctuality: &self.punctuality,
        };
        let done = act(session, &mut ctx);
        if session.is_over(now) {
            self.forget(id);
        } else {
            self.agenda.set(id, session.next_deadline());
        }
        Some(done)
    }

    fn forget(&mut self, id: Discriminator) {
        let Some(session) = self.sessions.remove(&id) else { return };
        if let Some(ends) = session.path().ends() {
            self.by_ends.remove(&ends);
        }
        self.agenda.set(id, None);
        self.outputs.push_back(Output::Event { session: id, event: Event::Gone });
    }

    /// A number that no session has; far more are free than are taken.
    fn unused(&mut self) -> Discriminator {
        loop {
            let id = Discriminator::new(self.random.u32(1..));
            if let Some(id) = id.filter(|id| !self.sessions.contains_key(id)) {
                return id;
            }
        }
    }
}
