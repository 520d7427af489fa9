// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The event loop: one virtual clock, one queue, everything that happens in order.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    ClusterId, Destination, Event, GroupId, Heard, Input, KeyRing, MacAddr, NodeId, Output, SegmentView,
    Timing, frame,
};

use crate::{
    book::{Book, Scene, Violation},
    faults::Fault,
    network::{Network, Port},
    node::{Datagram, GroupPlan, Node, SCHEDULING, Step},
    station::Station,
};

/// Hellos remembered for whoever replays them.
const RECORDED: usize = 400;
/// How often what must hold between events is checked beside after every event.
const CHECK_EVERY: Duration = Duration::from_millis(20);
/// How long a speaker that was asked to end waits for its groups to be taken.
const GRACE: Duration = Duration::from_secs(3);

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything random follows from it.
    pub seed: u64,
    /// Nodes, all candidates of all groups.
    pub nodes: usize,
    /// Groups; every second one has an IPv6 address beside the IPv4 one.
    pub groups: usize,
    /// Clients that ask for addresses now and then.
    pub clients: usize,
    /// A router that answers ARP, but never asks.
    pub gateway: Option<Ipv4Addr>,
    /// The wire.
    pub delay: Duration,
    /// The wire.
    pub jitter: Duration,
    /// Pause between two questions of a client, about.
    pub question_every: Duration,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its keys.
    pub keys: KeyRing,
    /// Print everything that happens.
    pub verbose: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 3,
            groups: 2,
            clients: 1,
            gateway: None,
            delay: Duration::from_micros(200),
            jitter: Duration::from_millis(1),
            question_every: Duration::from_millis(100),
            cluster: ClusterId::of("simulated"),
            keys: KeyRing::default_for("simulated"),
            verbose: false,
        }
    }
}

/// Nodes, stations and the wire between them.
pub struct World {
    setup: Setup,
    start: Instant,
    now: Instant,
    random: fastrand::Rng,
    queue: BinaryHeap<Reverse<(Instant, u64, Occurrence)>>,
    queued: u64,
    nodes: Vec<Node>,
    stations: Vec<Station>,
    network: Network,
    book: Book,
    addresses: BTreeMap<IpAddr, GroupId>,
    recorded: Vec<Recording>,
    trace: Vec<String>,
}

#[derive(Clone)]
struct Recording {
    payload: Rc<Vec<u8>>,
    source: IpAddr,
}

/// Something that is going to happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Occurrence {
    Run(usize),
    Hello { from: Option<Port>, to: usize, source: IpAddr, payload: Rc<Vec<u8>> },
    Frame { to: Port, bytes: Rc<Vec<u8>> },
    Ask(usize),
    Exit(usize),
    Check,
}

impl World {
    /// A world in which every node starts its speaker within the first milliseconds.
    pub fn new(setup: Setup) -> Self {
        let start = Instant::now();
        let ports = setup.nodes + setup.clients + usize::from(setup.gateway.is_some());
        let id = |n: usize| NodeId::of("simulated", &format!("node-{n}"));
        let mut world = Self {
            start,
            now: start,
            random: fastrand::Rng::with_seed(setup.seed),
            queue: BinaryHeap::new(),
            queued: 0,
            nodes: (0..setup.nodes).map(|n| Node::new(n, id(n), start)).collect(),
            stations: Vec::new(),
            network: Network::new(ports, setup.delay, setup.jitter),
            book: Book::new(start, Timing::DEFAULT),
            addresses: BTreeMap::new(),
            recorded: Vec::new(),
            trace: Vec::new(),
            setup,
        };
        world.plug_in_stations();
        for group in 0..world.setup.groups {
            world.plan_group(group);
        }
        world.later(CHECK_EVERY, Occurrence::Check);
        world
    }

    fn plug_in_stations(&mut self) {
        for client in 0..self.setup.clients {
            let port = Port(self.setup.nodes + client);
            let last = u8::try_from(client % 50).unwrap_or(0).saturating_add(200);
            self.stations.push(Station::new(client, port, Ipv4Addr::new(192, 0, 2, last)));
            let pause = self.pause();
            self.later(pause, Occurrence::Ask(client));
        }
        if let Some(address) = self.setup.gateway {
            let port = Port(self.setup.nodes + self.setup.clients);
            self.stations.push(Station::new(self.setup.clients, port, address));
        }
    }

    /// Configures a group on every node; takes effect with the next [`Fault::Configure`] or start.
    fn plan_group(&mut self, number: usize) {
        let id = Self::group(number);
        let byte = u16::try_from(number).unwrap_or(0).saturating_add(10);
        let [high, low] = byte.to_be_bytes();
        let mut addresses = vec![IpAddr::from([198, 51, 100u8.saturating_add(high), low])];
        if number % 2 == 1 {
            addresses.push(IpAddr::from([0xfe80, 0, 0, 0, 1, 0, 0, byte]));
        }
        self.addresses.extend(addresses.iter().map(|address| (*address, id)));
        let candidates: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        for node in &mut self.nodes {
            let plan =
                GroupPlan { addresses: addresses.clone(), candidates: candidates.clone(), ready: true };
            node.plan.insert(id, plan);
        }
    }

    /// The identity of a group by its number.
    pub fn group(number: usize) -> GroupId {
        GroupId::of(&format!("group-{number}"))
    }

    /// The identity of a node by its number.
    pub fn id(&self, node: usize) -> NodeId {
        self.nodes.get(node).map_or(NodeId([0; 16]), |node| node.id)
    }

    /// How much virtual time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// What the engines said, and what followed.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The last lines of what happened.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// The wire, to change its behaviour.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// What a node's engine shows.
    pub fn view(&self, node: usize) -> Option<SegmentView> {
        Some(self.nodes.get(node)?.speaker.as_ref()?.segment.view(self.now))
    }

    /// The nodes that answer for a group now.
    pub fn answering(&self, group: usize) -> Vec<usize> {
        self.book.answering(Self::group(group), self.scene())
    }

    /// The MAC that a client believes to have the address.
    pub fn table(&self, client: usize, address: IpAddr) -> Option<MacAddr> {
        self.stations.get(client)?.table.get(&address).copied()
    }

    /// A node's MAC.
    pub fn mac(&self, node: usize) -> Option<MacAddr> {
        self.nodes.get(node).map(|node| node.mac)
    }

    /// Some hello sent lately, as an attacker could have recorded it.
    pub fn record(&mut self) -> Option<Vec<u8>> {
        let choice = self.random.usize(..self.recorded.len().max(1));
        self.recorded.get(choice).map(|recording| recording.payload.to_vec())
    }

    fn scene(&self) -> Scene<'_> {
        Scene { now: self.now, nodes: &self.nodes, network: &self.network }
    }

    fn later(&mut self, after: Duration, what: Occurrence) {
        self.queued += 1;
        self.queue.push(Reverse((self.now + after, self.queued, what)));
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>10.3} ms  {}", self.elapsed().as_secs_f64() * 1e3, line());
        if self.setup.verbose {
            eprintln!("{line}");
        }
        self.trace.push(line);
    }

    fn pause(&mut self) -> Duration {
        self.setup.question_every.mul_f64(0.4 + 1.2 * self.random.f64())
    }

    /// Lets virtual time pass.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        let end = self.now + time;
        while let Some(Reverse((at, ..))) = self.queue.peek()
            && *at <= end
            && let Some(Reverse((at, _, what))) = self.queue.pop()
        {
            self.now = at;
            self.happen(what)?;
            let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
            self.book.check(&self.addresses, scene)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, what: Occurrence) -> Result<(), Violation> {
        match what {
            Occurrence::Run(node) => self.run(node),
            Occurrence::Hello { from, to, source, payload } => {
                self.deliver_hello(from, to, source, &payload);
                Ok(())
            }
            Occurrence::Frame { to, bytes } => {
                self.deliver_frame(to, &bytes);
                Ok(())
            }
            Occurrence::Ask(client) => {
                self.ask(client);
                Ok(())
            }
            Occurrence::Exit(node) => self.exit(node),
            Occurrence::Check => {
                self.later(CHECK_EVERY, Occurrence::Check);
                Ok(())
            }
        }
    }

    fn run(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        // Runs that were planned before an earlier one are void.
        if node.speaker.as_ref().is_none_or(|speaker| speaker.wake != Some(now)) {
            return Ok(());
        }
        let steps = node.run(now);
        self.follow(number, steps)
    }

    /// Sends what a speaker put out, and plans its next run.
    pub(crate) fn follow(&mut self, number: usize, steps: Vec<Step>) -> Result<(), Violation> {
        for step in steps {
            for output in step.outputs {
                let prompted_at = step.prompted_by.as_ref().map(|(_, at)| *at);
                self.put_out(number, output, prompted_at)?;
            }
        }
        self.plan_run(number, None);
        Ok(())
    }

    /// Plans a run when the engine wants one, or at `at` if that is earlier.
    fn plan_run(&mut self, number: usize, at: Option<Instant>) {
        let (now, late) = (self.now, (SCHEDULING / 2).mul_f64(self.random.f64()));
        let Some(node) = self.nodes.get_mut(number) else { return };
        let wanted = node.next_run(now).map(|next| next.max(now) + late);
        let Some(next) = at.into_iter().chain(wanted).min() else { return };
        let Some(speaker) = node.speaker.as_mut() else { return };
        if speaker.wake.is_none_or(|planned| planned > next || planned <= now) {
            speaker.wake = Some(next);
            self.later(next.saturating_duration_since(now), Occurrence::Run(number));
        }
    }

    fn put_out(
        &mut self,
        number: usize,
        output: Output,
        prompted_at: Option<Instant>,
    ) -> Result<(), Violation> {
        match output {
            Output::Hello { to, payload } => {
                self.book.hello_sent(number, self.now)?;
                self.send_hello(number, to, payload);
                Ok(())
            }
            Output::Frame(bytes) => {
                if let Ok(Some(heard)) = frame::parse(&bytes) {
                    let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
                    self.book.frame_sent(number, &heard, prompted_at, &self.addresses, scene)?;
                }
                self.send_frame(Port(number), bytes);
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
        let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
        self.book.event(number, event, scene)
    }

    fn send_hello(&mut self, number: usize, to: Destination, payload: Vec<u8>) {
        let Some(sender) = self.nodes.get(number).filter(|node| node.reachable()) else { return };
        let (from, source) = (sender.port, IpAddr::V4(sender.address));
        let payload = Rc::new(payload);
        if self.recorded.len() >= RECORDED {
            let replaced = self.random.usize(..RECORDED);
            self.recorded.swap_remove(replaced);
        }
        self.recorded.push(Recording { payload: Rc::clone(&payload), source });
        let receivers: Vec<usize> = (0..self.nodes.len())
            .filter(|other| *other != number)
            .filter(|other| match to {
                Destination::Multicast => true,
                Destination::Unicast(address) => {
                    self.nodes.get(*other).is_some_and(|node| IpAddr::V4(node.address) == address)
                }
            })
            .collect();
        for to in receivers {
            for flight in self.network.flights(from, Port(to), &mut self.random) {
                let payload = Rc::clone(&payload);
                self.later(flight, Occurrence::Hello { from: Some(from), to, source, payload });
            }
        }
    }

    fn deliver_hello(&mut self, from: Option<Port>, to: usize, source: IpAddr, payload: &[u8]) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(to).filter(|node| node.reachable()) else { return };
        let datagram = Datagram { payload: payload.to_vec(), source, received: now };
        if node.buffer_hello(datagram) {
            if let Some(from) = from {
                self.book.heard(from, Port(to), now);
            }
            self.wake(to);
        }
    }

    fn wake(&mut self, number: usize) {
        let soon = self.now + SCHEDULING.mul_f64(self.random.f64());
        self.plan_run(number, Some(soon));
    }

    fn send_frame(&mut self, from: Port, bytes: Vec<u8>) {
        if self.nodes.get(from.0).is_some_and(|node| !node.reachable()) {
            return;
        }
        let Some(destination) = bytes.first_chunk().map(|mac| MacAddr(*mac)) else { return };
        let bytes = Rc::new(bytes);
        let nodes = self.nodes.iter().map(|node| (node.port, node.mac));
        let stations = self.stations.iter().map(|station| (station.port, station.mac));
        let receivers: Vec<Port> = nodes
            .chain(stations)
            .filter(|(port, mac)| *port != from && (destination.is_multicast() || destination == *mac))
            .map(|(port, _)| port)
            .collect();
        for to in receivers {
            for flight in self.network.flights(from, to, &mut self.random) {
                self.later(flight, Occurrence::Frame { to, bytes: Rc::clone(&bytes) });
            }
        }
    }

    fn deliver_frame(&mut self, to: Port, bytes: &[u8]) {
        let Ok(Some(heard)) = frame::parse(bytes) else { return };
        if let Some(station) = self.stations.iter_mut().find(|station| station.port == to) {
            if let Some(answer) = station.hear(&heard) {
                self.send_frame(to, answer);
            }
            return;
        }
        self.deliver_to_node(to.0, bytes, &heard);
    }

    fn deliver_to_node(&mut self, number: usize, bytes: &[u8], heard: &Heard) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number).filter(|node| node.reachable()) else { return };
        let answer = node.kernel_answer(heard);
        let runs = node.buffer_frame(bytes.to_vec(), now);
        if let Some(answer) = answer {
            self.send_frame(Port(number), answer);
        }
        if runs {
            self.wake(number);
        }
    }

    /// A client asks for some address.
    fn ask(&mut self, client: usize) {
        let pause = self.pause();
        self.later(pause, Occurrence::Ask(client));
        let choice = self.random.usize(..self.addresses.len().max(1));
        let Some(target) = self.addresses.keys().nth(choice).copied() else { return };
        let Some(station) = self.stations.get(client) else { return };
        let (port, question) = (station.port, station.question(target));
        self.book.client_spoke(self.now);
        self.send_frame(port, question);
    }

    /// Ends a draining process with its last words.
    fn exit(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        if node.speaker.as_ref().is_none_or(|speaker| !speaker.draining || speaker.frozen) {
            return Ok(());
        }
        let steps = node.give(now, Input::Leave);
        self.follow(number, steps)?;
        self.end_process(number);
        Ok(())
    }

    fn end_process(&mut self, number: usize) {
        if let Some(node) = self.nodes.get_mut(number) {
            node.speaker = None;
            node.changed = self.now;
        }
        self.book.process_ended(number);
    }

    /// Makes something happen now.
    ///
    /// # Errors
    /// A rule that was broken at once.
    pub fn inflict(&mut self, fault: &Fault) -> Result<(), Violation> {
        self.note(|| format!("--- {fault:?}"));
        let now = self.now;
        match *fault {
            Fault::Crash(number) => {
                self.end_process(number);
                self.change(number, |node| node.powered = false);
            }
            Fault::Kill(number) => self.end_process(number),
            Fault::Start(number) => {
                self.change(number, |node| node.powered = true);
                return self.start_speaker(number);
            }
            Fault::Freeze(number) => self.change(number, |node| {
                if let Some(speaker) = node.speaker.as_mut() {
                    speaker.frozen = true;
                }
            }),
            Fault::Thaw(number) => return self.thaw(number),
            Fault::Cable(number, plugged) => {
                self.change(number, |node| node.link = plugged);
                return self.tell_link(number);
            }
            Fault::NewMac(number) => {
                self.change(number, |node| {
                    let [a, b, c, d, e, last] = node.mac.0;
                    node.mac = MacAddr([a, b, c, d, e ^ 0x10, last]);
                });
                return self.tell_link(number);
            }
            Fault::Terminate(number) => {
                self.change(number, |node| {
                    if let Some(speaker) = node.speaker.as_mut() {
                        speaker.draining = true;
                    }
                });
                self.later(GRACE, Occurrence::Exit(number));
                return self.give(number, Input::Drain);
            }
            Fault::HandOver { node, group, to } => {
                let to = to.map(|to| self.id(to));
                self.change(node, |_| {});
                return self.give(node, Input::HandOver { group: Self::group(group), to });
            }
            Fault::Ready { node, group, ready } => {
                self.change(node, |node| {
                    if let Some(plan) = node.plan.get_mut(&Self::group(group)) {
                        plan.ready = ready;
                    }
                });
                return self.configure(node);
            }
            Fault::Configure(number) => return self.configure(number),
            Fault::Block { from, to } => self.network.block(Port(from), Port(to), true, now),
            Fault::Split(ref side) => {
                let inside = |port: &Port| side.contains(&port.0);
                let all = (0..self.network.ports).map(Port);
                let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
                let pairs: Vec<_> = pairs.filter(|(a, b)| inside(a) != inside(b)).collect();
                pairs.into_iter().for_each(|(a, b)| self.network.block(a, b, true, now));
            }
            Fault::Lose(part) => self.network.lose(part, now),
            Fault::Heal => self.network.heal(now),
            Fault::Replay => self.attack(|payload, _| payload),
            Fault::Forge => self.attack(|mut payload, random| {
                let bit = random.usize(..payload.len().max(1) * 8);
                if let Some(byte) = payload.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                if random.bool() {
                    payload.truncate(random.usize(..payload.len().max(1)));
                }
                payload
            }),
        }
        Ok(())
    }

    fn change(&mut self, number: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(number) {
            change(node);
            node.changed = self.now;
        }
    }

    /// Somebody sends all nodes a hello that he recorded, perhaps changed.
    fn attack(&mut self, change: impl FnOnce(Vec<u8>, &mut fastrand::Rng) -> Vec<u8>) {
        let choice = self.random.usize(..self.recorded.len().max(1));
        let Some(Recording { payload, source }) = self.recorded.get(choice).cloned() else { return };
        let payload = Rc::new(change(payload.to_vec(), &mut self.random));
        for to in 0..self.nodes.len() {
            let payload = Rc::clone(&payload);
            self.later(self.setup.delay, Occurrence::Hello { from: None, to, source, payload });
        }
    }

    fn start_speaker(&mut self, number: usize) -> Result<(), Violation> {
        let (now, incarnation) = (self.now, self.random.u64(..));
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        if node.speaker.is_some() {
            return Ok(());
        }
        let steps = node.start(&self.setup, incarnation, now);
        self.follow(number, steps)
    }

    fn thaw(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        self.change(number, |node| {
            if let Some(speaker) = node.speaker.as_mut() {
                speaker.frozen = false;
            }
        });
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let mut steps = node.run(now);
        // What changed meanwhile is told by netlink and the watches once the process runs.
        let (link, groups) = (node.link_state(&self.setup), node.intents());
        steps.extend(node.give(now, Input::Link(link)));
        steps.extend(node.give(now, Input::Groups(groups)));
        self.follow(number, steps)
    }

    fn tell_link(&mut self, number: usize) -> Result<(), Violation> {
        let Some(node) = self.nodes.get(number) else { return Ok(()) };
        let link = node.link_state(&self.setup);
        self.give(number, Input::Link(link))
    }

    fn configure(&mut self, number: usize) -> Result<(), Violation> {
        let Some(node) = self.nodes.get(number) else { return Ok(()) };
        let groups = node.intents();
        self.give(number, Input::Groups(groups))
    }

    fn give(&mut self, number: usize, input: Input<'_>) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let steps = node.give(now, input);
        self.follow(number, steps)
    }
}
