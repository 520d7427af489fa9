// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The task of all sessions: what arrives goes into the engine, with the time at which it arrived, and what it asks for is done.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use ferrolb_bfd::{AddError, Arrival, Discriminator, Engine, Event, Hops, Input, Output, Path};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::{Order, PathSettings, Standing};
use crate::deadline::until;
use crate::kernel::bfd_socket::{BfdDatagram, BfdReceiver, BfdSender, MULTI_HOP_PORT, SINGLE_HOP_PORT};
use crate::kernel::{Batch, Family};

/// How often sessions that changed nothing but their counters are shown, and failed senders tried again.
const TICK: Duration = Duration::from_secs(1);
/// Batches of one socket before the deadlines have their turn.
const BATCHES: usize = 16;

pub(super) struct Driver {
    engine: Engine,
    receivers: Vec<Receiver>,
    batch: Batch,
    paths: BTreeMap<Discriminator, Watched>,
    orders: mpsc::Receiver<Order>,
}

/// One of BFD's ports.
struct Receiver {
    hops: Hops,
    socket: BfdReceiver,
    /// The same socket, as the runtime waits on it.
    ready: UdpSocket,
}

/// A path that somebody looks at.
struct Watched {
    settings: PathSettings,
    sender: Option<BfdSender>,
    hindrance: Option<String>,
    standing: watch::Sender<Standing>,
    /// Nobody looks any more: the neighbour is being told.
    stopping: bool,
}

impl Driver {
    pub(super) fn new(orders: mpsc::Receiver<Order>) -> io::Result<Self> {
        let mut receivers = Vec::new();
        for (hops, port) in [(Hops::Single, SINGLE_HOP_PORT), (Hops::Multi, MULTI_HOP_PORT)] {
            receivers.push(Receiver::new(hops, BfdReceiver::open(Family::V4, port)?)?);
            match BfdReceiver::open(Family::V6, port) {
                Ok(socket) => receivers.push(Receiver::new(hops, socket)?),
                // A node without IPv6 has no IPv6 routers either.
                Err(error) => tracing::info!("BFD goes without IPv6: {error}"),
            }
        }
        let engine = Engine::new(fastrand::u64(..));
        Ok(Self { engine, receivers, batch: Batch::new(), paths: BTreeMap::new(), orders })
    }

    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.engine.next_deadline().map(Into::into);
            tokio::select! {
                () = readable(&self.receivers) => {}
                () = until(deadline) => {}
                _ = tick.tick() => self.tick(),
                order = self.orders.recv() => match order {
                    Some(Order::Watch(settings, give)) => {
                        // Who asked may have gone: then nobody looks, and the next tick ends it.
                        let _asked = give.send(self.watch(settings));
                    }
                    Some(Order::Stop) | None => break,
                },
            }
            self.round();
        }
        for id in self.paths.keys().copied().collect::<Vec<_>>() {
            self.stop(id);
        }
        self.obey();
    }

    /// Reads what waits, then serves the deadlines with how far that was.
    fn round(&mut self) {
        let heard_until = Instant::now();
        for Receiver { hops, socket, .. } in &mut self.receivers {
            for _ in 0..BATCHES {
                match socket.receive(&mut self.batch) {
                    Ok(datagrams) => datagrams.for_each(|datagram| give(&mut self.engine, *hops, &datagram)),
                    Err(error) => tracing::debug!("reading BFD packets: {error}"),
                }
                if !self.batch.is_full() {
                    break;
                }
            }
        }
        let now = Instant::now();
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.handle(now, Input::Timeout { heard_until });
        }
        self.obey();
    }

    /// Does what the engine asks for.
    fn obey(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { session, payload } => {
                    if let Some(path) = self.paths.get_mut(&session) {
                        path.send(&payload);
                    }
                }
                Output::Event { session, event } => {
                    if let Event::Down(down) = &event {
                        tracing::warn!(%session, "BFD session down: {down}");
                    }
                    self.show(session);
                    if event == Event::Gone {
                        self.paths.remove(&session);
                    }
                }
            }
        }
    }

    fn watch(&mut self, settings: PathSettings) -> Result<watch::Receiver<Standing>, AddError> {
        let id = match self.engine.add(Instant::now(), settings.session) {
            Err(AddError::SamePath(known)) => match self.take_over(known, &settings) {
                Some(standing) => return Ok(standing),
                None => self.engine.add(Instant::now(), settings.session)?,
            },
            added => added?,
        };
        let (standing, seen) = watch::channel(Standing::default());
        let mut path = Watched { settings, sender: None, hindrance: None, standing, stopping: false };
        path.open();
        self.paths.insert(id, path);
        self.show(id);
        Ok(seen)
    }

    /// Who watches a path that is watched already, as a peer with other settings does, goes on with the session of before. Only how it
    /// is watched can be another; what else is not the same makes it another session, for which this one ends.
    fn take_over(&mut self, id: Discriminator, wanted: &PathSettings) -> Option<watch::Receiver<Standing>> {
        let path = self.paths.get_mut(&id)?;
        let known = std::mem::replace(&mut path.settings, wanted.clone());
        let standing = path.standing.subscribe();
        let sent_alike = (known.source, &known.interface) == (wanted.source, &wanted.interface);
        let changed =
            known.session == wanted.session || self.engine.change(Instant::now(), id, wanted.session).is_ok();
        if sent_alike && changed {
            return Some(standing);
        }
        self.stop(id);
        self.obey();
        self.paths.remove(&id);
        None
    }

    fn tick(&mut self) {
        for id in self.paths.keys().copied().collect::<Vec<_>>() {
            let Some(path) = self.paths.get_mut(&id) else { continue };
            path.open();
            let ends = path.standing.is_closed() && !path.stopping;
            if ends {
                path.stopping = true;
                self.stop(id);
            }
            self.show(id);
        }
    }

    fn stop(&mut self, id: Discriminator) {
        if let Err(error) = self.engine.stop(Instant::now(), id) {
            tracing::debug!("{error}");
        }
    }

    fn show(&self, id: Discriminator) {
        if let Some(path) = self.paths.get(&id) {
            let session = self.engine.view(id);
            path.standing.send_replace(Standing { session, hindrance: path.hindrance.clone() });
        }
    }
}

impl Watched {
    /// Opens a socket to send by, if there is none.
    fn open(&mut self) {
        if self.sender.is_some() {
            return;
        }
        let (port, interface) = match self.settings.session.path {
            Path::SingleHop { interface, .. } => (SINGLE_HOP_PORT, interface),
            Path::MultiHop { .. } => (MULTI_HOP_PORT, None),
        };
        let source = match self.settings.session.path {
            Path::SingleHop { .. } => self.settings.source,
            Path::MultiHop { local, .. } => Some(local),
        };
        let name = self.settings.interface.as_deref();
        let link = name.map(|name| (name, interface.map_or(0, std::num::NonZeroU32::get)));
        match BfdSender::open(self.settings.session.path.peer(), port, source, link) {
            Ok(sender) => (self.sender, self.hindrance) = (Some(sender), None),
            Err(error) => self.hindrance = Some(format!("cannot open a socket to send by: {error}")),
        }
    }

    fn send(&mut self, payload: &[u8]) {
        let Some(sender) = &self.sender else { return };
        self.hindrance = match sender.send(payload) {
            Ok(()) => None,
            // The neighbour says so, not this node.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Some("the neighbour does not listen for BFD".to_owned())
            }
            Err(error) => Some(format!("cannot send: {error}")),
        };
    }
}

fn give(engine: &mut Engine, hops: Hops, datagram: &BfdDatagram<'_>) {
    let &BfdDatagram { payload, ttl, source, destination, interface, received } = datagram;
    let arrival = Arrival { source, destination, interface, hops, ttl, received };
    engine.handle(Instant::now(), Input::Packet { payload, arrival });
}

impl Receiver {
    fn new(hops: Hops, socket: BfdReceiver) -> io::Result<Self> {
        let ready = UdpSocket::from_std(socket.waits()?)?;
        Ok(Self { hops, socket, ready })
    }
}

/// Waits until something has come. What came before is forgotten, so everything has to be read after it.
async fn readable(receivers: &[Receiver]) {
    let waits = receivers.iter().map(|receiver| {
        Box::pin(async move {
            if receiver.ready.readable().await.is_ok() {
                let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                let _forgotten = receiver.ready.try_io(Interest::READABLE, forget);
            }
        })
    });
    futures::future::select_all(waits).await;
}
