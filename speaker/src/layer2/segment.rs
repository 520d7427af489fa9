// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One segment: an engine, and the sockets through which it hears and speaks.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_layer2::frame::carried::{self, Wish};
use ferrolb_layer2::{
    Budget, ClusterId, Destination, Event, Genuine, GroupId, Incarnation, Input, KeyRing, LinkState, NodeId,
    Output, Phase, Segment, SegmentConfig, Timing, Witness,
};
use tracing::{info, warn};

use super::following::Side;
use super::observed::SegmentReport;
use super::paths::{Paths, Way};
use super::placement::SegmentPlan;
use super::sockets::Sockets;
use super::taking::Taking;
use crate::bound::Binder;
use crate::kernel::links::LinkIndex;
use crate::kernel::{Batch, HelloDatagram, Place};

/// Hellos read from one socket in one round. More than a segment of a thousand nodes sends in 100 ms, so that only a
/// flood is cut.
const HELLOS_PER_ROUND: usize = 2048;
/// Frames read from one socket in one round, so that a flood of ARP never keeps the hellos waiting.
const FRAMES_PER_ROUND: usize = 64;
/// What is claimed is announced once it is on the interface, but at most so much later: less than peers tolerate.
const BIND_PATIENCE: Duration = Duration::from_millis(20);

/// Who this node is on every segment.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The node itself.
    pub node: NodeId,
    /// Keys of the hellos.
    pub keys: KeyRing,
    /// The protocol's times.
    pub timing: Timing,
    /// How many announcements may be sent on a segment.
    pub budget: Budget,
}

/// The nodes of the cluster with their own addresses.
pub type Neighbours = BTreeMap<NodeId, Vec<IpAddr>>;

/// A segment's engine and sockets.
pub(super) struct SegmentDriver {
    opened: Instant,
    index: LinkIndex,
    name: String,
    link: LinkState,
    /// What is to be carried; the engine may not have been told all of it yet.
    plan: Arc<SegmentPlan>,
    taking: Option<Taking>,
    binder: Option<Binder>,
    engine: Segment,
    /// Asks for what others carry; the engine does not know of it.
    witness: Witness,
    sockets: Sockets,
    me: NodeId,
    paths: Paths,
    /// Who was heard by a detour when that was last told.
    detours_told: BTreeMap<NodeId, Way>,
    events: Vec<(Instant, Event)>,
    drained: bool,
}

impl SegmentDriver {
    /// Opens the sockets on the interface and starts an engine. Every engine is an incarnation of its own, because
    /// its hellos count from the beginning.
    pub(super) fn open(
        identity: &Identity,
        binder: Option<&Binder>,
        index: LinkIndex,
        plan: &Arc<SegmentPlan>,
    ) -> io::Result<Self> {
        let sockets = Sockets::open(index, &plan.name)?;
        let config = SegmentConfig {
            cluster: identity.cluster,
            node: identity.node,
            incarnation: Incarnation::from_random(fastrand::u64(..)),
            seed: fastrand::u64(..),
            keys: identity.keys.clone(),
            timing: identity.timing,
            budget: identity.budget,
        };
        let mut segment = Self {
            opened: Instant::now(),
            index,
            name: plan.name.clone(),
            link: plan.link.clone(),
            plan: Arc::clone(plan),
            taking: None,
            binder: binder.cloned(),
            engine: Segment::new(config, Instant::now()),
            witness: Witness::new(identity.node, fastrand::u64(..)),
            sockets,
            me: identity.node,
            paths: Paths::new(identity.timing),
            detours_told: BTreeMap::new(),
            events: Vec::new(),
            drained: false,
        };
        segment.handle(Input::Link(plan.link.clone()));
        segment.take_over(plan);
        Ok(segment)
    }

    /// The interface's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the engine has answered [`Input::Drain`].
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }

    /// Takes what has changed in the interface and in what it is to carry: groups part by part, with [`Self::take_part`].
    pub(super) fn follow(&mut self, plan: &Arc<SegmentPlan>) {
        if Arc::ptr_eq(&self.plan, plan) {
            return;
        }
        if self.link != plan.link {
            self.link = plan.link.clone();
            self.handle(Input::Link(plan.link.clone()));
        }
        self.take_over(plan);
    }

    fn take_over(&mut self, plan: &Arc<SegmentPlan>) {
        self.plan = Arc::clone(plan);
        self.taking = Some(Taking::new(Arc::clone(plan)));
        let addresses = plan.groups.iter().flat_map(|group| &group.addresses);
        let solicited: Vec<Ipv6Addr> = addresses
            .filter_map(|address| match address {
                IpAddr::V6(address) => Some(*address),
                IpAddr::V4(_) => None,
            })
            .collect();
        self.sockets.join(solicited);
    }

    /// Tells the engine a part of what it has not been told of the plan yet.
    pub(super) fn take_part(&mut self) {
        let Some(taking) = &mut self.taking else { return };
        match taking.part(&self.engine) {
            Some(Input::Change { set, gone }) if set.is_empty() && gone.is_empty() => {}
            Some(input) => self.handle(input),
            None => self.taking = None,
        }
    }

    /// Gives the engine an input and sends what it answers.
    pub(super) fn handle(&mut self, input: Input<'_>) {
        self.handle_at(Instant::now(), input);
    }

    fn handle_at(&mut self, now: Instant, input: Input<'_>) {
        self.engine.handle(now, input);
        let mut patience = BIND_PATIENCE;
        while let Some(output) = self.engine.poll_output() {
            if let Output::Event(Event::Claimed { group, .. }) = output {
                self.bind(group, &mut patience);
            }
            match output {
                Output::Hello { to, payload } => self.send_hello(to, &payload),
                Output::Frame(frame) => self.sockets.send_frame(&frame),
                Output::Event(event) => self.events.push((Instant::now(), event)),
                Output::Drained => self.drained = true,
            }
        }
    }

    /// Sends a hello, and copies of it by other ways where it may be missed.
    fn send_hello(&mut self, to: Destination, payload: &[u8]) {
        self.sockets.send_hello(to, payload, &self.link);
        let now = Instant::now();
        let raw = match to {
            Destination::Unicast(address) => self.paths.copy_to_one(address, now),
            Destination::Multicast => {
                let copies = self.paths.copies(now);
                for address in copies.unicast {
                    self.sockets.send_hello(Destination::Unicast(address), payload, &self.link);
                }
                copies.raw
            }
        };
        let addresses = &self.link.addresses;
        let own = addresses.iter().find(|net| net.addr().is_ipv4()).or_else(|| addresses.first());
        if let (Some(wish), Some(own)) = (raw, own) {
            self.sockets.send_carried(&carried::wrap(self.link.mac, own.addr(), wish, payload));
        }
    }

    /// The nodes that should be on this segment are the candidates of what it carries and those with an address in one of its
    /// subnets; not those all of whose addresses are elsewhere.
    pub(super) fn expect(&mut self, nodes: &Neighbours) {
        let on_link = |address: &&IpAddr| self.link.addresses.iter().any(|net| net.contains(*address));
        let known = nodes.iter().map(|(node, addresses)| {
            (*node, addresses.iter().filter(on_link).copied().collect::<Vec<IpAddr>>())
        });
        let mut expected: BTreeMap<NodeId, Vec<IpAddr>> =
            known.filter(|(_, on_link)| !on_link.is_empty()).collect();
        let mut before = None;
        for group in &self.plan.groups {
            // Most groups have the candidates of the one before.
            if before.replace(&group.candidates) == Some(&group.candidates) {
                continue;
            }
            let elsewhere = |node: &NodeId| nodes.get(node).is_some_and(|addresses| !addresses.is_empty());
            for node in group.candidates.iter().filter(|node| !elsewhere(node)) {
                expected.entry(*node).or_default();
            }
        }
        expected.remove(&self.me);
        self.witness.expect(expected.iter().map(|(node, addresses)| (*node, addresses.as_slice())));
        self.paths.expect(expected, Instant::now());
    }

    /// Gives the engine a hello, and notes by which way it came if it was genuine.
    fn hear(&mut self, hello: &HelloDatagram<'_>, way: Way, wish: Wish, now: Instant) {
        let HelloDatagram { payload, hop_limit, source, received, .. } = *hello;
        self.handle_at(now, Input::Hello { payload, hop_limit, source, received });
        let Some(Genuine { node, new }) = self.engine.heard_from() else { return };
        if new {
            self.paths.heard(node, way, source, received);
        }
        if wish.concerns(self.me) {
            self.paths.wished_for(received);
        }
    }

    /// Has what was claimed put on the interface before the announcements, which come next, draw clients here.
    fn bind(&self, claimed: GroupId, patience: &mut Duration) {
        let Some(binder) = &self.binder else { return };
        let claimed: Vec<Place> = self.places(|group| group == claimed).collect();
        if !claimed.is_empty() {
            let begin = Instant::now();
            binder.claim(&claimed, *patience);
            *patience = patience.saturating_sub(begin.elapsed());
        }
    }

    fn places(&self, of: impl Fn(GroupId) -> bool) -> impl Iterator<Item = Place> {
        let bound = self.plan.bound.iter().filter(move |(_, group)| of(**group));
        bound.map(|(address, _)| Place { link: self.index, address: *address })
    }

    /// The addresses that this node owns and that belong on the interface.
    pub(super) fn held(&self) -> impl Iterator<Item = Place> {
        self.places(|group| self.engine.owns(group))
    }

    /// Its part of every group for which `spans` holds.
    pub(super) fn sides(&self, spans: impl Fn(GroupId) -> bool) -> impl Iterator<Item = Side> {
        self.plan.groups.iter().filter(move |group| spans(group.id)).filter_map(|group| {
            let lowest = group.addresses.iter().min().copied()?;
            Some(Side { group: group.id, segment: self.index, lowest, owner: self.engine.owner(group.id) })
        })
    }

    /// Whether what it owns is certain: after a stall others may have taken over.
    pub(super) fn is_certain(&self) -> bool {
        self.engine.phase() != Phase::Stalled
    }

    /// Reads all hellos that are waiting, and answers how many there were.
    pub(super) fn read_hellos(&mut self, batch: &mut Batch, buffer: &mut [u8]) -> u32 {
        let (sockets, _) = self.sockets.counts();
        let mut all = 0_usize;
        for socket in 0..sockets {
            let mut read = 0_usize;
            while read < HELLOS_PER_ROUND {
                let Some(hellos) = self.sockets.next_hellos(socket, batch) else { break };
                // One look at the clock for all of them: none came later.
                let (before, now) = (read, Instant::now());
                for hello in hellos {
                    read = read.saturating_add(1);
                    let way = if hello.is_unicast { Way::Unicast } else { Way::Multicast };
                    self.hear(&hello, way, Wish::Nothing, now);
                }
                self.sockets.heard(read.saturating_sub(before));
                if !batch.is_full() {
                    break;
                }
            }
            all = all.saturating_add(read);
        }
        u32::try_from(all.saturating_add(self.read_carried(buffer))).unwrap_or(u32::MAX)
    }

    /// Reads the hellos that came in frames, and answers how many frames there were. No router forwards those.
    fn read_carried(&mut self, buffer: &mut [u8]) -> usize {
        for read in 0..HELLOS_PER_ROUND {
            let Some(frame) = self.sockets.next_carried(buffer) else { return read };
            let received = frame.received;
            let Some(carried) = carried::unwrap(frame.bytes) else { continue };
            let (payload, source) = (carried.hello, carried.source);
            let hello = HelloDatagram { payload, hop_limit: 255, source, is_unicast: false, received };
            self.hear(&hello, Way::Raw, carried.wish, Instant::now());
        }
        HELLOS_PER_ROUND
    }

    /// Lets the engine act on a deadline that has passed.
    pub(super) fn run_timers(&mut self) {
        let now = Instant::now();
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.handle(Input::Timeout);
        }
        if self.witness.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.witness.act(now);
            self.send_questions();
        }
    }

    /// Reads some of the frames that are waiting, and answers whether there may be more.
    pub(super) fn read_frames(&mut self, buffer: &mut [u8]) -> bool {
        let (_, sockets) = self.sockets.counts();
        let mut more = false;
        for socket in 0..sockets {
            more |= self.read_some(socket, buffer);
        }
        for family in 0..2 {
            more |= self.read_port_answers(family, buffer);
        }
        more
    }

    fn read_some(&mut self, socket: usize, buffer: &mut [u8]) -> bool {
        for _ in 0..FRAMES_PER_ROUND {
            let Some(frame) = self.sockets.next_frame(socket, buffer) else { return false };
            self.handle(Input::Frame { bytes: frame.bytes, received: frame.received });
            self.witness.hear(frame.bytes, Instant::now());
        }
        true
    }

    fn read_port_answers(&mut self, family: usize, buffer: &mut [u8]) -> bool {
        for _ in 0..FRAMES_PER_ROUND {
            let Some(frame) = self.sockets.next_port_answer(family, buffer) else { return false };
            self.witness.hear_port(frame.bytes, Instant::now());
            self.send_questions();
        }
        true
    }

    fn send_questions(&mut self) {
        while let Some(frame) = self.witness.poll_output() {
            self.sockets.send_frame(&frame);
        }
    }

    /// When the engine or the witness wants to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.taking.is_some() {
            return Some(Instant::now());
        }
        self.engine.next_deadline().into_iter().chain(self.witness.next_deadline()).min()
    }

    /// The sockets of hellos, to wait for.
    pub(super) fn hello_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.hello_fds()
    }

    /// The sockets of frames, to wait for.
    pub(super) fn frame_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.frame_fds()
    }

    /// What has happened since the last call, and when.
    pub(super) fn take_events(&mut self) -> Vec<(Instant, Event)> {
        std::mem::take(&mut self.events)
    }

    /// The state for people, which the witness follows too.
    pub(super) fn report(&mut self) -> SegmentReport {
        let now = Instant::now();
        let view = self.engine.view(now);
        self.witness.follow(&view, &self.link, &self.plan.tcp_ports, now);
        self.sockets.listen_for_ports(self.witness.tries_ports());
        if self.sockets.is_deaf_for_ports() {
            self.witness.follow(&view, &self.link, &BTreeMap::new(), now);
        }
        let detours = self.paths.detours(now);
        self.tell_detours(&detours);
        let (testimonies, questions) = (self.witness.testimonies().collect(), self.witness.questions());
        let (age, traffic) = (now.saturating_duration_since(self.opened), self.sockets.traffic());
        SegmentReport { age, view, traffic, testimonies, questions, detours }
    }

    /// Says in the log when a filter appears between the nodes, and when it is gone.
    fn tell_detours(&mut self, detours: &BTreeMap<NodeId, Way>) {
        if self.detours_told == *detours {
            return;
        }
        let segment = &self.name;
        match detours.values().max() {
            Some(way) => {
                warn!(segment, nodes = detours.len(), "some nodes are heard {way} only; {}", way.remedy())
            }
            None => info!(segment, "all nodes that are heard are heard by multicast again"),
        }
        self.detours_told.clone_from(detours);
    }
}
