// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The task of one peer: what happens goes into the machine, and what it asks for is done.

mod attempt;
mod telling;

use std::future;
use std::sync::Arc;
use std::time::Instant;

use ferrolb_bgp::peer::{Event, Input, Output};
use ferrolb_bgp::{ConnectionId, Ending, Message, Peer, Stop};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::attempt::{Attempt, Failure};
use self::telling::Telling;
use super::link::{self, Link, Stir};
use super::session::Command;
use super::writer::Progress;
use super::{Arrivals, PeerSettings, View, Wish};
use crate::deadline::until;

/// How often one connection is read before the others have their turn.
const READS: usize = 64;

/// Everything of one peer.
pub(super) struct Driver {
    settings: PeerSettings,
    peer: Peer,
    wishes: watch::Receiver<Option<Arc<Wish>>>,
    arrivals: Option<Arrivals>,
    orders: mpsc::Receiver<Command>,
    attempt: Option<Attempt>,
    /// Two at most, as the machine has connections.
    links: Vec<Link>,
    telling: Telling,
    /// Connections that are being closed.
    closing: JoinSet<()>,
    stopping: Option<Stop>,
    stopped: bool,
    hint: Option<String>,
    note: Option<String>,
    view: watch::Sender<View>,
}

/// What woke the task up.
enum Woken {
    Wish(Result<(), watch::error::RecvError>),
    Order(Option<Command>),
    Arrival(TcpStream),
    Attempt(ConnectionId, Result<TcpStream, Failure>),
    Link(ConnectionId, Stir),
    Deadline,
}

impl Driver {
    pub(super) fn new(
        settings: PeerSettings,
        wishes: watch::Receiver<Option<Arc<Wish>>>,
        arrivals: Option<Arrivals>,
        orders: mpsc::Receiver<Command>,
    ) -> (Self, watch::Receiver<View>) {
        let peer = Peer::new(settings.machine.clone(), fastrand::u64(..));
        let first =
            View { peer: peer.view(), ends: None, hint: None, note: None, routes: Default::default() };
        let (view, seen) = watch::channel(first);
        let driver = Self {
            settings,
            peer,
            wishes,
            arrivals,
            orders,
            attempt: None,
            links: Vec::with_capacity(2),
            telling: Telling::default(),
            closing: JoinSet::new(),
            stopping: None,
            stopped: false,
            hint: None,
            note: None,
            view,
        };
        (driver, seen)
    }

    pub(super) async fn run(mut self) {
        self.wishes.mark_changed();
        while !self.stopped {
            let woken = self.wait().await;
            self.take(woken);
            self.pump();
            self.publish();
            while self.closing.try_join_next().is_some() {}
        }
        // Each takes a few seconds at most.
        while self.closing.join_next().await.is_some() {}
    }

    async fn wait(&mut self) -> Woken {
        let goes_on = self.stopping.is_none();
        let deadline = self.peer.next_deadline().map(Into::into);
        let telling = &self.telling;
        let links = self.links.iter_mut().map(|link| {
            let wants_room = !link.pending.is_empty() || telling.wants_room(link.id);
            Box::pin(link.stir(wants_room))
        });
        let mut links: Vec<_> = links.collect();
        let stir = async {
            if links.is_empty() {
                return future::pending().await;
            }
            let ((id, stir), ..) = futures::future::select_all(&mut links).await;
            (id, stir)
        };
        let attempt = async {
            match &mut self.attempt {
                Some(attempt) => attempt.outcome().await,
                None => future::pending().await,
            }
        };
        let arrival = async {
            match &mut self.arrivals {
                Some(arrivals) => arrivals.next().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            // A stop is the last thing that anybody wants.
            changed = self.wishes.changed(), if goes_on => Woken::Wish(changed),
            order = self.orders.recv(), if goes_on => Woken::Order(order),
            stream = arrival => Woken::Arrival(stream),
            (id, outcome) = attempt => Woken::Attempt(id, outcome),
            (id, stir) = stir => Woken::Link(id, stir),
            () = until(deadline) => Woken::Deadline,
        }
    }

    fn take(&mut self, woken: Woken) {
        let now = Instant::now();
        match woken {
            Woken::Wish(Ok(())) => self.wish(now),
            // Nobody wishes any more: whoever configured the peer is gone, and with it everything that it announced.
            Woken::Wish(Err(_)) | Woken::Order(None) => self.stop(now, Stop::Deconfigured),
            Woken::Order(Some(Command::Stop(stop))) => self.stop(now, stop),
            Woken::Order(Some(Command::BfdDown(words))) => self.give(now, Input::BfdDown(words)),
            Woken::Order(Some(Command::Reset(words))) => self.give(now, Input::Reset(words)),
            Woken::Order(Some(Command::Note(words))) => self.note = words,
            Woken::Arrival(stream) => self.arrived(now, stream),
            Woken::Attempt(id, outcome) => self.attempted(now, id, outcome),
            Woken::Link(id, Stir::Readable) => self.read(now, id, READS),
            Woken::Link(_, Stir::Room) => {}
            Woken::Link(id, Stir::Progress(progress)) => match progress {
                Progress::Flows => self.give(now, Input::Writer(id, None)),
                Progress::Stuck(since) => self.give(now, Input::Writer(id, Some(since))),
                Progress::Failed(kind) => self.give(now, Input::Closed(id, kind)),
            },
            Woken::Deadline => {
                // Nobody is given up whose message waits in a buffer.
                for id in self.links.iter().map(|link| link.id).collect::<Vec<_>>() {
                    self.read(now, id, READS);
                }
                self.give(now, Input::Timeout);
            }
        }
    }

    fn wish(&mut self, now: Instant) {
        let wish = self.wishes.borrow_and_update().clone();
        if let Some(wish) = wish.filter(|_| self.stopping.is_none()) {
            self.telling.wish(wish);
            self.give(now, Input::Ready);
        }
    }

    /// Everything is withdrawn before the last words, unless the routes shall stay.
    fn stop(&mut self, now: Instant, stop: Stop) {
        if stop == Stop::Upgrade || !self.telling.has_session() {
            self.give(now, Input::Stop(stop));
        } else if self.stopping.is_none() {
            self.telling.wish(Arc::default());
            self.stopping = Some(stop);
        }
    }

    fn give(&mut self, now: Instant, input: Input<'_>) {
        self.peer.handle(now, input);
        self.obey(now);
    }

    fn arrived(&mut self, now: Instant, stream: TcpStream) {
        if let Err(error) = self.settings.transport.adopt(&stream) {
            self.hint = Some(format!("a connection of the peer was not taken: {error}"));
            return;
        }
        match self.peer.accept(now) {
            Ok(id) => self.connected(now, id, stream),
            Err(reason) => {
                self.closing.spawn(link::turn_away(stream, reason));
            }
        }
        self.obey(now);
    }

    fn attempted(&mut self, now: Instant, id: ConnectionId, outcome: Result<TcpStream, Failure>) {
        self.attempt = None;
        match outcome {
            Ok(stream) => {
                self.peer.handle(now, Input::Connected(id));
                self.connected(now, id, stream);
                self.obey(now);
            }
            Err(failure) => {
                self.give(now, Input::ConnectFailed(id, failure.kind()));
                self.hint = failure.hint();
            }
        }
    }

    /// Before the machine is obeyed, which may want to send.
    fn connected(&mut self, now: Instant, id: ConnectionId, stream: TcpStream) {
        self.hint = None;
        match Link::new(id, stream) {
            Ok(link) => self.links.push(link),
            Err(error) => self.peer.handle(now, Input::Closed(id, error.kind())),
        }
    }

    /// Reads what waits, `most` times at most.
    fn read(&mut self, now: Instant, id: ConnectionId, most: usize) {
        for _ in 0..most {
            let Some(link) = self.links.iter_mut().find(|link| link.id == id) else { return };
            match link.read() {
                None => return,
                Some(Ok(())) => self.messages(now, id),
                Some(Err(kind)) => self.give(now, Input::Closed(id, kind)),
            }
        }
    }

    fn messages(&mut self, now: Instant, id: ConnectionId) {
        loop {
            let Some(link) = self.links.iter_mut().find(|link| link.id == id) else { return };
            let input = match link.framer.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => match Message::decode(frame) {
                    Ok(message) => Input::Message(id, message),
                    Err(fault) => Input::Fault(id, fault),
                },
                Err(fault) => Input::Fault(id, fault),
            };
            self.peer.handle(now, input);
            self.obey(now);
        }
    }

    /// Does what the machine asks for.
    fn obey(&mut self, now: Instant) {
        while let Some(output) = self.peer.poll_output() {
            match output {
                Output::Connect(id) => {
                    self.attempt = Some(Attempt::start(id, self.settings.transport.clone()));
                }
                Output::Send(id, message) => {
                    if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
                        message.encode(&mut link.pending);
                    }
                }
                Output::Close(id) => self.close(id),
                Output::Event(event) => self.hear(now, event),
            }
        }
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(attempt) = self.attempt.take_if(|attempt| attempt.id() == id) {
            self.hint = attempt.hint();
        }
        if let Some(place) = self.links.iter().position(|link| link.id == id) {
            self.telling.ended(id);
            self.closing.spawn(self.links.remove(place).close());
        }
    }

    fn hear(&mut self, now: Instant, event: Event) {
        let peer = &self.settings.name;
        match event {
            Event::Established(id, agreed) => {
                tracing::info!(peer, "session established");
                if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
                    if agreed.extended_message {
                        link.framer.allow_extended();
                    }
                    self.telling.begin(id, *agreed, link.ends());
                }
            }
            Event::Refresh(family) => self.telling.refresh(family),
            Event::EndOfRib(family) => tracing::debug!(peer, %family, "the peer has sent all its routes"),
            Event::Down(ending @ Ending::Stopped(_)) => tracing::info!(peer, "session ended: {ending}"),
            Event::Down(ending) => tracing::warn!(peer, "session ended: {ending}"),
            Event::Failed(ending) => tracing::debug!(peer, "no session: {ending}"),
            Event::Stopped => self.stopped = true,
        }
        if self.stopping.is_some() && !self.stopped && !self.telling.has_session() {
            self.finish(now);
        }
    }

    /// Puts what is to be said into the queues, as far as there is room.
    fn pump(&mut self) {
        let now = Instant::now();
        let mut all_sent = None;
        for link in &mut self.links {
            let id = link.id;
            let idle = link.pump(|chunk| self.telling.fill(id, chunk));
            if idle && self.telling.is_first_time(id) {
                all_sent = Some(id);
            }
        }
        if let Some(id) = all_sent {
            self.give(now, Input::RoutesSent(id));
        }
        if self.stopping.is_some() && self.telling.is_idle() {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Instant) {
        if let Some(stop) = self.stopping.take() {
            self.peer.handle(now, Input::Stop(stop));
            self.obey(now);
        }
    }

    fn publish(&self) {
        let ends = self.links.iter().max_by_key(|link| self.telling.is_for(link.id)).map(Link::ends);
        let routes = self.telling.view();
        let (hint, note) = (self.hint.clone(), self.note.clone());
        self.view.send_replace(View { peer: self.peer.view(), ends, hint, note, routes });
    }
}
