// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What goes over the wires, and when.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ferrolb_layer2::{
    Budget, ClusterId, Destination, GroupIntent, Heard, Incarnation, Input, KeyRing, LinkState, MacAddr,
    NodeId, Output, Segment, SegmentConfig, Timing, frame,
};
use ferrolb_speaker::kernel::links::LinkIndex;
use ferrolb_speaker::layer2::{Placement, SegmentPlan};

use super::{CLUSTER, Cluster, client};

/// How long a packet is on its way.
const FLIGHT: Duration = Duration::from_micros(200);

/// An interface of a node, or of the client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Station {
    pub(super) node: String,
    pub(super) wire: LinkIndex,
}

/// A packet.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    Hello { source: IpAddr, payload: Rc<Vec<u8>> },
    Frame(Rc<Vec<u8>>),
}

/// A packet on its way.
pub(super) struct Flight {
    lands: Instant,
    to: Station,
    packet: Packet,
}

/// A frame that a node sent.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// How long after the beginning.
    pub at: Duration,
    /// The interface that it left by.
    pub mac: MacAddr,
    /// What it says.
    pub heard: Heard,
}

/// The engine of one interface, as a driver keeps it.
pub(super) struct Engine {
    segment: Segment,
    link: LinkState,
    groups: Vec<GroupIntent>,
    /// What arrived since it stands still.
    pub(super) frozen: Option<VecDeque<(Instant, Packet)>>,
    pub(super) drained: bool,
}

impl Cluster {
    /// The interfaces of the node carry what is placed on them.
    pub(super) fn carry(&mut self, node: &str, placement: &Placement) {
        for station in self.stations_of(node) {
            if !placement.segments.contains_key(&station.wire) {
                self.give(&station, Input::Leave);
                self.engines.remove(&station);
            }
        }
        for (wire, plan) in &placement.segments {
            let station = Station { node: node.to_owned(), wire: *wire };
            if !self.engines.contains_key(&station) {
                self.runs += 1;
                let engine = Engine::new(node, plan, self.runs, self.now);
                self.engines.insert(station.clone(), engine);
                self.give(&station, Input::Link(plan.link.clone()));
            }
            self.follow_plan(&station, plan);
        }
    }

    fn follow_plan(&mut self, station: &Station, plan: &SegmentPlan) {
        let engine = self.engines.get_mut(station).unwrap();
        if engine.link != plan.link {
            engine.link.clone_from(&plan.link);
            self.give(station, Input::Link(plan.link.clone()));
        }
        let engine = self.engines.get_mut(station).unwrap();
        if engine.groups != plan.groups {
            engine.groups.clone_from(&plan.groups);
            self.give(station, Input::Groups(plan.groups.clone()));
        }
    }

    /// Gives an engine something, and sends what it answers.
    pub(super) fn give(&mut self, station: &Station, input: Input<'_>) {
        let Some(engine) = self.engines.get_mut(station) else { return };
        engine.segment.handle(self.now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| engine.segment.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Hello { to, payload } => self.send_hello(station, to, payload),
                Output::Frame(bytes) => self.say(station, bytes),
                Output::Event(event) => self.events.push((station.node.clone(), event)),
                Output::Drained => self.engines.get_mut(station).unwrap().drained = true,
            }
        }
    }

    /// An engine reads what arrived at `received`.
    pub(super) fn hand_in(&mut self, station: &Station, packet: Packet, received: Instant) {
        match packet {
            Packet::Hello { source, payload } => {
                self.give(station, Input::Hello { payload: &payload, hop_limit: 255, source, received });
            }
            Packet::Frame(bytes) => self.give(station, Input::Frame { bytes: &bytes, received }),
        }
    }

    fn send_hello(&mut self, from: &Station, to: Destination, payload: Vec<u8>) {
        let source = self.engines[from].link.addresses[0].addr();
        let packet = Packet::Hello { source, payload: Rc::new(payload) };
        let is_meant = |engine: &Engine| match to {
            Destination::Multicast => true,
            Destination::Unicast(address) => engine.link.addresses.iter().any(|net| net.addr() == address),
        };
        let hearing = self.engines.iter().filter(|(other, engine)| {
            other.wire == from.wire && other.node != from.node && engine.link.up && is_meant(engine)
        });
        let hearing: Vec<Station> = hearing.map(|(station, _)| station.clone()).collect();
        hearing.into_iter().for_each(|station| self.fly(station, packet.clone()));
    }

    fn say(&mut self, from: &Station, bytes: Vec<u8>) {
        let mac = self.engines[from].link.mac;
        let heard = frame::parse(&bytes).unwrap().expect("engines send ARP and neighbour discovery");
        self.said.push(Said { at: self.elapsed(), mac, heard });
        self.send_frame(from, bytes);
    }

    /// Puts a frame on the wire.
    pub(super) fn send_frame(&mut self, from: &Station, bytes: Vec<u8>) {
        let destination = MacAddr(*bytes.first_chunk().unwrap());
        let packet = Packet::Frame(Rc::new(bytes));
        let nodes = self.engines.iter().filter(|(_, engine)| engine.link.up);
        let nodes = nodes.map(|(station, engine)| (station.clone(), engine.link.mac));
        let receivers: Vec<Station> = nodes
            .chain([(client::station(from.wire), client::mac(from.wire))])
            .filter(|(station, mac)| {
                station.wire == from.wire
                    && station.node != from.node
                    && (destination.is_multicast() || destination == *mac)
            })
            .map(|(station, _)| station)
            .collect();
        receivers.into_iter().for_each(|station| self.fly(station, packet.clone()));
    }

    fn fly(&mut self, to: Station, packet: Packet) {
        self.flying.push_back(Flight { lands: self.now + FLIGHT, to, packet });
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            while self.flying.front().is_some_and(|flight| flight.lands <= self.now) {
                let Flight { to, packet, .. } = self.flying.pop_front().unwrap();
                self.land(&to, packet);
            }
            let now = self.now;
            let due = self.engines.iter().filter(|(_, engine)| engine.deadline().is_some_and(|at| at <= now));
            let due: Vec<Station> = due.map(|(station, _)| station.clone()).collect();
            due.iter().for_each(|station| self.give(station, Input::Timeout));
        }
        self.now = end;
    }

    fn next_moment(&self) -> Option<Instant> {
        let landing = self.flying.front().map(|flight| flight.lands);
        self.engines.values().filter_map(Engine::deadline).chain(landing).min()
    }

    fn land(&mut self, to: &Station, packet: Packet) {
        if *to == client::station(to.wire) {
            self.client_hears(to, &packet);
            return;
        }
        let Some(engine) = self.engines.get_mut(to) else { return };
        if let Some(answer) = engine.kernel_answer(&packet) {
            self.send_frame(to, answer);
        }
        let now = self.now;
        match self.engines.get_mut(to).and_then(|engine| engine.frozen.as_mut()) {
            Some(waiting) => waiting.push_back((now, packet)),
            None => self.hand_in(to, packet, now),
        }
    }
}

impl Engine {
    fn new(node: &str, plan: &SegmentPlan, run: u64, now: Instant) -> Self {
        let config = SegmentConfig {
            cluster: ClusterId::of(CLUSTER),
            node: NodeId::of(CLUSTER, node),
            incarnation: Incarnation::from_random(run),
            seed: run,
            keys: KeyRing::default_for(CLUSTER),
            timing: Timing::DEFAULT,
            budget: Budget::DEFAULT,
        };
        let segment = Segment::new(config, now);
        Self { segment, link: plan.link.clone(), groups: Vec::new(), frozen: None, drained: false }
    }

    fn deadline(&self) -> Option<Instant> {
        self.segment.next_deadline().filter(|_| self.frozen.is_none())
    }

    /// What the node's kernel says for the node's own addresses.
    fn kernel_answer(&self, packet: &Packet) -> Option<Vec<u8>> {
        let Packet::Frame(bytes) = packet else { return None };
        let heard = frame::parse(bytes).ok().flatten()?;
        heard.asked().filter(|asked| self.link.addresses.iter().any(|net| net.addr() == *asked))?;
        frame::answer(&heard, self.link.mac)
    }
}
