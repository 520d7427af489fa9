// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How connections end, and the pause after them.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use super::{ConnectionId, Direction, Event, Output, Pause, Peer};
use crate::{
    error::{Ending, Stop},
    message::Message,
    notification::Code,
    state::State,
};

/// A session that lasted so long was a good one: after it the pauses begin anew.
const STABLE: Duration = Duration::from_secs(30);

impl Peer {
    /// Ends a connection, tells the peer and everybody else, and pauses if it was the last.
    pub(super) fn end(&mut self, now: Instant, id: ConnectionId, ending: Ending) {
        let Some(place) = self.connections.iter().position(|(other, _)| *other == id) else { return };
        let (_, connection) = self.connections.remove(place);
        if let Some(said) = ending.notification(connection.survives_notification()) {
            self.send(id, Message::Notification(said));
        }
        self.close(id);
        if self.is_no_news(&ending, connection.state()) {
            return;
        }
        self.last_error = Some((now, ending.clone()));
        let pause = pause_after(id.direction, connection.state(), &ending);
        let event = if connection.state() == State::Established {
            let since = self.established.take();
            if since.is_some_and(|since| now.saturating_duration_since(since) >= STABLE) {
                self.backoff.reset();
            }
            Event::Down(ending)
        } else {
            self.counts.failures = self.counts.failures.saturating_add(1);
            Event::Failed(ending)
        };
        self.outputs.push_back(Output::Event(event));
        if self.running && self.connections.is_empty() && self.attempt.is_none() {
            self.pause = pause(now + self.backoff.next(self.config.retry, &mut self.random));
        }
    }

    /// Nobody needs to hear of the one of two connections that was not kept, nor of one without a session that we stopped.
    fn is_no_news(&self, ending: &Ending, state: State) -> bool {
        match ending {
            _ if state == State::Established => false,
            Ending::Collision | Ending::Stopped(_) => true,
            Ending::Told(said) => said.code() == Code::CONNECTION_COLLISION && !self.connections.is_empty(),
            _ => false,
        }
    }

    fn end_all(&mut self, now: Instant, ending: &Ending) {
        for id in self.connections.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(now, id, ending.clone());
        }
    }

    /// Ends the session to begin anew; or the pause, since something changed.
    pub(super) fn reset(&mut self, now: Instant, text: String) {
        self.backoff.reset();
        match self.pause {
            Pause::None => self.end_all(now, &Ending::Reset(text)),
            Pause::Active(_) => self.pause = Pause::Active(now),
            Pause::Idle(_) => self.pause = Pause::Idle(now),
        }
    }

    /// Ends everything.
    pub(super) fn stop(&mut self, now: Instant, stop: Stop) {
        self.running = false;
        self.pause = Pause::None;
        if let Some((attempt, _)) = self.attempt.take() {
            self.close(attempt);
        }
        self.end_all(now, &Ending::Stopped(stop));
        self.outputs.push_back(Output::Event(Event::Stopped));
    }

    /// The attempt to connect failed.
    pub(super) fn unreachable(&mut self, now: Instant, kind: ErrorKind) {
        let ending = Ending::NoConnection(kind);
        self.last_error = Some((now, ending.clone()));
        self.counts.failures = self.counts.failures.saturating_add(1);
        self.outputs.push_back(Output::Event(Event::Failed(ending)));
        if self.connections.is_empty() {
            let pause = self.backoff.next(self.config.retry, &mut self.random);
            self.pause = Pause::Active(now + pause);
        }
    }
}

/// How to pause after a connection. Two sides that both pause and let nobody in would turn each other away for ever: so a peer that
/// did not want our connection may come by itself.
fn pause_after(direction: Direction, state: State, ending: &Ending) -> fn(Instant) -> Pause {
    let turned_away = matches!(ending, Ending::Told(_) | Ending::Broke(_)) && state == State::OpenSent;
    if turned_away && direction == Direction::Outgoing { Pause::Active } else { Pause::Idle }
}
