// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What speakers put out, and how it gets to others.

use std::{
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{Destination, Event, MacAddr, Output};

use super::{Occurrence, Recording, Sender, World};
use crate::{
    book::{Scene, Violation},
    network::Port,
    node::{Datagram, Frame, SCHEDULING},
    random::at_most,
};

/// Hellos remembered for whoever replays them.
const RECORDED: usize = 400;

impl World {
    pub(super) fn put_out(
        &mut self,
        number: usize,
        output: Output,
        prompted_at: Option<Instant>,
    ) -> Result<(), Violation> {
        match output {
            Output::Hello { to, payload } => {
                let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
                self.book.hello_sent(number, to, scene)?;
                self.send_hello(number, to, payload);
                Ok(())
            }
            Output::Frame(bytes) => {
                let frame = Frame::new(bytes);
                if let Some(heard) = &frame.heard {
                    let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
                    self.book.frame_sent(number, heard, prompted_at, &self.addresses, scene)?;
                }
                self.send(Port(number), frame);
                Ok(())
            }
            Output::Event(event) => self.hear_event(number, event),
            Output::Drained => {
                self.note(|| format!("node {number}: drained"));
                self.later(Duration::from_millis(1), Occurrence::Exit(number));
                Ok(())
            }
        }
    }

    fn hear_event(&mut self, number: usize, event: Event) -> Result<(), Violation> {
        self.note(|| format!("node {number}: {event:?}"));
        if let Some(node) = self.nodes.get_mut(number) {
            node.follow_event(&event, self.now);
        }
        let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
        self.book.event(number, event, scene)
    }

    fn send_hello(&mut self, number: usize, destination: Destination, payload: Vec<u8>) {
        let Some(sender) = self.nodes.get(number).filter(|node| node.reachable()) else { return };
        let (from, source) = (sender.port, IpAddr::V4(sender.address));
        let payload = Rc::new(payload);
        let to_all = destination == Destination::Multicast;
        self.record_for_replay(from, source, &payload);
        for to in (0..self.nodes.len()).filter(|other| *other != number) {
            let address = self.nodes.get(to).map(|node| IpAddr::V4(node.address));
            if destination != Destination::Multicast && address.map(Destination::Unicast) != Some(destination)
            {
                continue;
            }
            for flight in self.network.flights((from, Port(to)), to_all, &mut self.random) {
                let payload = Rc::clone(&payload);
                self.later(flight, Occurrence::Hello { from: Sender::Node(from), to, source, payload });
            }
        }
    }

    /// What nobody hears, no attacker hears either.
    fn record_for_replay(&mut self, from: Port, source: IpAddr, payload: &Rc<Vec<u8>>) {
        let (_, mute) = self.network.cut_off(from);
        if mute {
            return;
        }
        if self.recorded.len() >= RECORDED {
            let replaced = self.random.usize(..RECORDED);
            self.recorded.swap_remove(replaced);
        }
        self.recorded.push(Recording { payload: Rc::clone(payload), source, at: self.now });
    }

    pub(super) fn deliver_hello(&mut self, from: Sender, to: usize, source: IpAddr, payload: Rc<Vec<u8>>) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(to).filter(|node| node.reachable()) else { return };
        let forged = from == Sender::Forger;
        let datagram = Datagram { payload, forged, source, received: now };
        if node.buffer_hello(datagram) {
            if let Sender::Node(from) = from {
                self.book.heard(from, Port(to), now);
            }
            self.wake(to);
        }
    }

    fn wake(&mut self, number: usize) {
        let soon = self.elapsed + at_most(SCHEDULING, &mut self.random);
        // What is planned is due no later than the engine's deadline.
        if self.wakes.of(number).is_none_or(|planned| planned > soon || planned <= self.elapsed) {
            self.plan_run(number, Some(soon));
        }
    }

    pub(super) fn send_frame(&mut self, from: Port, bytes: Vec<u8>) {
        self.send(from, Frame::new(bytes));
    }

    fn send(&mut self, from: Port, frame: Frame) {
        if self.nodes.get(from.0).is_some_and(|node| !node.reachable()) {
            return;
        }
        let Some(destination) = frame.bytes.first_chunk().map(|mac| MacAddr(*mac)) else { return };
        let frame = Rc::new(frame);
        for number in 0..self.nodes.len() + self.stations.len() {
            let to = Port(number);
            let hears = destination.is_multicast() || self.mac_at(to) == Some(destination);
            if to == from || !hears {
                continue;
            }
            for flight in self.network.flights((from, to), false, &mut self.random) {
                self.later(flight, Occurrence::Frame { to, frame: Rc::clone(&frame) });
            }
        }
    }

    /// Ports of nodes come first, those of stations then.
    fn mac_at(&self, port: Port) -> Option<MacAddr> {
        let station = || Some(self.stations.get(port.0.checked_sub(self.nodes.len())?)?.mac);
        self.nodes.get(port.0).map(|node| node.mac).or_else(station)
    }

    pub(super) fn deliver_frame(&mut self, to: Port, frame: Rc<Frame>) {
        let Some(heard) = &frame.heard else { return };
        if let Some(number) = to.0.checked_sub(self.nodes.len()) {
            let answer = self.stations.get_mut(number).and_then(|station| station.hear(heard));
            if let Some(answer) = answer {
                self.send_frame(to, answer);
            }
            return;
        }
        self.deliver_to_node(to.0, frame);
    }

    fn deliver_to_node(&mut self, number: usize, frame: Rc<Frame>) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number).filter(|node| node.reachable()) else { return };
        let answer = frame.heard.as_ref().and_then(|heard| node.kernel_answer(heard, now));
        let runs = node.buffer_frame(frame, now);
        if let Some(answer) = answer {
            self.send_frame(Port(number), answer);
        }
        if runs {
            self.wake(number);
        }
    }
}
