// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! All that concerns one peer: when to connect, which of two connections to keep, when to pause (RFC 4271, sections 6.8 and 8).
//!
//! Whoever drives it gives in what happened, then does what [`Peer::poll_output`] yields until it yields nothing, and wakes up at
//! [`Peer::next_deadline`]. The times passed in never go back. Routes are no matter of this machine: after
//! [`Event::Established`] a [`RibOut`](crate::RibOut) says what to send.

mod ending;
mod input;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::VecDeque,
    io::ErrorKind,
    time::{Duration, Instant},
};

pub use input::{ConnectionId, Direction, Event, Input, Output, PeerConfig, Role};
pub use view::{Counts, PeerView};

use crate::{
    error::Ending,
    fsm::{Connection, Step},
    message::Message,
    notification::{Code, Notification},
    open::Open,
    state::State,
    timers::Backoff,
};

/// Bounds of how long an attempt to connect may take.
const ATTEMPT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The session machine of one peer.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
    /// Sessions are wanted.
    running: bool,
    attempt: Option<(ConnectionId, Instant)>,
    /// At most one of each direction.
    connections: Vec<(ConnectionId, Connection)>,
    pause: Pause,
    backoff: Backoff,
    established: Option<Instant>,
    last_error: Option<(Instant, Ending)>,
    counts: Counts,
    numbers: u64,
    random: fastrand::Rng,
    outputs: VecDeque<Output>,
}

/// What we do while there is neither connection nor attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    /// The peer could not be reached. It may connect meanwhile.
    Active(Instant),
    /// A connection ended. The peer is not let in meanwhile: what failed a moment ago would fail again.
    Idle(Instant),
}

impl Pause {
    fn until(self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Active(at) | Self::Idle(at) => Some(at),
        }
    }
}

impl Peer {
    /// Nothing happens before [`Input::Ready`]. Jitter follows from `seed`.
    pub fn new(config: PeerConfig, seed: u64) -> Self {
        Self {
            config,
            running: false,
            attempt: None,
            connections: Vec::with_capacity(2),
            pause: Pause::None,
            backoff: Backoff::default(),
            established: None,
            last_error: None,
            counts: Counts::default(),
            numbers: 0,
            random: fastrand::Rng::with_seed(seed),
            outputs: VecDeque::new(),
        }
    }

    /// The peer has connected.
    ///
    /// # Errors
    /// It is not wanted now: send this, and close the connection.
    pub fn accept(&mut self, now: Instant) -> Result<ConnectionId, Notification> {
        if !self.running || matches!(self.pause, Pause::Idle(_)) {
            return Err(Notification::new(Code::CONNECTION_REJECTED));
        }
        if let Some((id, session)) = self.established() {
            // RFC 4724, section 5: a peer that restarts does not say so, it just connects again.
            let restarts = session.negotiated().and_then(|agreed| agreed.peer_restart);
            if restarts.is_none_or(|restart| restart.families.is_empty()) {
                return Err(Notification::new(Code::CONNECTION_COLLISION));
            }
            self.end(now, id, Ending::Superseded);
            self.pause = Pause::None;
        }
        // Of two that the peer made, it believes in the later one.
        if let Some(id) = self.of(Direction::Incoming) {
            self.end(now, id, Ending::Collision);
        }
        let id = self.number(Direction::Incoming);
        self.open(now, id);
        Ok(id)
    }

    /// Takes in what happened at `now`. What is said of a connection that ended is ignored.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Ready => {
                if !self.running {
                    self.running = true;
                    self.backoff.reset();
                    self.proceed(now);
                }
            }
            Input::Connected(id) => {
                if self.attempt.take_if(|(attempt, _)| *attempt == id).is_some() {
                    self.open(now, id);
                }
            }
            Input::ConnectFailed(id, kind) => {
                if self.attempt.take_if(|(attempt, _)| *attempt == id).is_some() {
                    self.unreachable(now, kind);
                }
            }
            Input::Message(id, message) => self.receive(now, id, &message),
            Input::Fault(id, fault) => self.end(now, id, fault.into()),
            Input::Closed(id, kind) => self.end(now, id, Ending::Broke(kind)),
            Input::Writer(id, stuck_since) => {
                if let Some(connection) = self.connection(id) {
                    connection.writer(stuck_since);
                }
            }
            Input::RoutesSent(id) => {
                let established = self.established().is_some_and(|(other, _)| other == id);
                if let Some(restart) = self.config.restart.as_mut().filter(|_| established) {
                    restart.routes_sent();
                }
            }
            Input::BfdDown(words) => {
                if let Some((id, _)) = self.established() {
                    self.end(now, id, Ending::BfdDown(words));
                }
            }
            Input::Reset(text) => self.reset(now, text),
            Input::Stop(stop) => self.stop(now, stop),
            Input::Timeout => self.tick(now),
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give in [`Input::Timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let connections = self.connections.iter().filter_map(|(_, connection)| connection.next_deadline());
        let attempt = self.attempt.map(|(_, until)| until);
        connections.chain(attempt).chain(self.pause.until()).min()
    }

    /// The state of the connection that is furthest, or of what is done to get one.
    pub fn state(&self) -> State {
        match self.furthest() {
            Some((_, connection)) => connection.state(),
            None if self.attempt.is_some() => State::Connect,
            None if !self.running || matches!(self.pause, Pause::Idle(_)) => State::Idle,
            None => State::Active,
        }
    }

    /// The peer at this moment.
    pub fn view(&self) -> PeerView {
        let (id, furthest) = self.furthest().unzip();
        PeerView {
            state: self.state(),
            direction: id.map(ConnectionId::direction),
            ours: furthest.map(|connection| connection.ours().clone()),
            theirs: furthest.and_then(Connection::theirs).cloned(),
            negotiated: furthest.and_then(Connection::negotiated).cloned(),
            established: self.established,
            next_attempt: self.pause.until(),
            last_error: self.last_error.clone(),
            counts: self.counts,
        }
    }

    fn receive(&mut self, now: Instant, id: ConnectionId, message: &Message<'_>) {
        let Some((_, connection)) = self.connections.iter_mut().find(|(other, _)| *other == id) else {
            return;
        };
        Counts::count(&mut self.counts.received, message.kind());
        let step = connection.receive(now, message, self.config.peer_as);
        self.take(now, id, step);
    }

    fn tick(&mut self, now: Instant) {
        if let Some((id, _)) = self.attempt.take_if(|(_, until)| *until <= now) {
            self.close(id);
            self.unreachable(now, ErrorKind::TimedOut);
        }
        let due = |(id, connection): &(ConnectionId, Connection)| {
            connection.next_deadline().is_some_and(|at| at <= now).then_some(*id)
        };
        for id in self.connections.iter().filter_map(due).collect::<Vec<_>>() {
            let Some((_, connection)) = self.connections.iter_mut().find(|(other, _)| *other == id) else {
                continue;
            };
            let step = connection.tick(now, &mut self.random);
            self.take(now, id, step);
        }
        if self.pause.until().is_some_and(|at| at <= now) {
            self.pause = Pause::None;
            self.proceed(now);
        }
    }

    /// Does what a connection's step asks for.
    fn take(&mut self, now: Instant, id: ConnectionId, step: Step) {
        match step {
            Step::Stays => {}
            Step::Opened => self.opened(now, id),
            Step::Keepalive => self.send(id, Message::Keepalive),
            Step::Established => self.session_begins(now, id),
            Step::Routes(heard) => {
                let counts = &mut self.counts;
                counts.routes_announced = counts.routes_announced.saturating_add(heard.announced);
                counts.routes_withdrawn = counts.routes_withdrawn.saturating_add(heard.withdrawn);
                counts.attribute_faults = counts.attribute_faults.saturating_add(heard.faults);
                if let Some(family) = heard.end_of_rib {
                    self.outputs.push_back(Output::Event(Event::EndOfRib(family)));
                }
            }
            Step::Refresh(family) => self.outputs.push_back(Output::Event(Event::Refresh(family))),
            Step::Ended(ending) => self.end(now, id, ending),
        }
    }

    /// The peer's OPEN is acceptable: of two connections this is when one is given up (RFC 4271, section 6.8).
    fn opened(&mut self, now: Instant, id: ConnectionId) {
        let other = self.connections.iter().find(|(other, connection)| {
            *other != id && matches!(connection.state(), State::OpenConfirm | State::Established)
        });
        let loser = other.map(|(other, connection)| {
            let keeps =
                if connection.state() == State::Established { other.direction } else { self.preferred(id) };
            if keeps == id.direction { *other } else { id }
        });
        if let Some(loser) = loser {
            self.end(now, loser, Ending::Collision);
        }
        let Some((_, connection)) = self.connections.iter_mut().find(|(other, _)| *other == id) else {
            return;
        };
        connection.confirm(now, self.config.keepalive, &mut self.random);
        self.send(id, Message::Keepalive);
    }

    /// The connection is kept that the side with the higher identifier made; of equal ones, the higher autonomous system (RFC
    /// 6286, section 2.3).
    fn preferred(&self, id: ConnectionId) -> Direction {
        let connection = self.connections.iter().find(|(other, _)| *other == id);
        let rank = |open: &Open| (open.router_id, open.asn);
        let theirs = connection.and_then(|(_, connection)| connection.theirs().map(rank));
        if theirs > Some((self.config.router_id, self.config.local_as)) {
            Direction::Incoming
        } else {
            Direction::Outgoing
        }
    }

    fn session_begins(&mut self, now: Instant, id: ConnectionId) {
        // Whatever else is under way is not needed any more.
        if let Some((attempt, _)) = self.attempt.take() {
            self.close(attempt);
        }
        let others = self.connections.iter().map(|(other, _)| *other).filter(|other| *other != id);
        for other in others.collect::<Vec<_>>() {
            self.end(now, other, Ending::Collision);
        }
        self.pause = Pause::None;
        self.established = Some(now);
        self.counts.sessions = self.counts.sessions.saturating_add(1);
        if let Some(agreed) = self.connection(id).and_then(|connection| connection.negotiated().cloned()) {
            self.outputs.push_back(Output::Event(Event::Established(id, Box::new(agreed))));
        }
    }

    /// Connects, if that is for us to do and nothing is under way.
    fn proceed(&mut self, now: Instant) {
        let idle = self.attempt.is_none() && self.connections.is_empty();
        if self.running && idle && self.config.role == Role::Active {
            let id = self.number(Direction::Outgoing);
            let (least, most) = ATTEMPT;
            self.attempt = Some((id, now + self.config.retry.clamp(least, most)));
            self.outputs.push_back(Output::Connect(id));
        }
    }

    /// The transport connection is there.
    fn open(&mut self, now: Instant, id: ConnectionId) {
        self.pause = Pause::None;
        let mut capabilities = self.config.capabilities.clone();
        let families = capabilities.families();
        capabilities.graceful_restart = self.config.restart.map(|restart| restart.capability(families));
        let ours = Open {
            asn: self.config.local_as,
            hold_time: self.config.hold_time,
            router_id: self.config.router_id,
            capabilities,
        };
        self.connections.push((id, Connection::new(now, ours.clone())));
        self.send(id, Message::Open(ours));
    }

    fn send(&mut self, id: ConnectionId, message: Message<'static>) {
        Counts::count(&mut self.counts.sent, message.kind());
        self.outputs.push_back(Output::Send(id, message));
    }

    fn close(&mut self, id: ConnectionId) {
        self.outputs.push_back(Output::Close(id));
    }

    fn number(&mut self, direction: Direction) -> ConnectionId {
        self.numbers = self.numbers.wrapping_add(1);
        ConnectionId { number: self.numbers, direction }
    }

    fn of(&self, direction: Direction) -> Option<ConnectionId> {
        self.connections.iter().map(|(id, _)| *id).find(|id| id.direction == direction)
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|(other, _)| *other == id).map(|(_, connection)| connection)
    }

    fn established(&self) -> Option<(ConnectionId, &Connection)> {
        self.furthest().filter(|(_, connection)| connection.state() == State::Established)
    }

    fn furthest(&self) -> Option<(ConnectionId, &Connection)> {
        let furthest = self.connections.iter().max_by_key(|(_, connection)| connection.state());
        furthest.map(|(id, connection)| (*id, connection))
    }
}
