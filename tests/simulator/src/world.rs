// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The event loop: one virtual clock, one queue, everything that happens in order.

mod clients;
mod inflict;
mod verdict;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{ClusterId, GroupId, MacAddr, NodeId, SegmentView, Timing};

use crate::{
    book::{Book, Scene, Violation},
    kernel::RENEWED,
    key_change::Signing,
    network::{Network, Port},
    node::{Frame, GroupPlan, Node, SCHEDULING, Step},
    random::at_most,
    schedule::Schedule,
    station::Station,
    wakes::Wakes,
};

/// How often what must hold between events is checked beside after every event.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// The times of nodes of another version or configuration.
const SLOWER: Timing = Timing {
    hello: Duration::from_millis(100),
    dead: Duration::from_millis(350),
    suspect: Duration::from_millis(225),
    ..Timing::DEFAULT
};

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything random follows from it.
    pub seed: u64,
    /// Which of the site's segments it is.
    pub segment: u64,
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
    /// How its hellos are authenticated.
    pub signing: Signing,
    /// Hellos a second that a node bears, if not as many as by default.
    pub hellos_borne: Option<u32>,
    /// How many of the nodes, the last ones, still have the slower times of another version.
    pub slower: usize,
    /// The addresses of all groups are on their owner's interface.
    pub bound: bool,
    /// The last node has the identity of the first one.
    pub twin: bool,
    /// Print everything that happens.
    pub verbose: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            segment: 0,
            nodes: 3,
            groups: 2,
            clients: 1,
            gateway: None,
            delay: Duration::from_micros(200),
            jitter: Duration::from_millis(1),
            question_every: Duration::from_millis(100),
            cluster: ClusterId::of("simulated"),
            signing: Signing::Hmac,
            hellos_borne: None,
            slower: 0,
            bound: false,
            twin: false,
            verbose: false,
        }
    }
}

impl Setup {
    /// The times of so many nodes that all speak less often if they are too many.
    fn pace_among(&self, nodes: usize) -> Timing {
        let t = Timing::DEFAULT;
        let borne = self.hellos_borne.unwrap_or(t.hellos_borne).max(1);
        let hello = Duration::from_secs(1) * u32::try_from(nodes).unwrap_or(u32::MAX) / borne;
        let more = hello.saturating_sub(t.hello);
        Timing { hello: t.hello + more, dead: t.dead + more * 3, suspect: t.suspect + more * 2, ..t }
    }
}

/// Nodes, stations and the wire between them.
pub struct World {
    setup: Setup,
    start: Instant,
    now: Instant,
    /// From `start` to `now`.
    elapsed: Duration,
    random: fastrand::Rng,
    queue: Schedule<Occurrence>,
    wakes: Wakes,
    nodes: Vec<Node>,
    stations: Vec<Station>,
    network: Network,
    book: Book,
    addresses: BTreeMap<IpAddr, GroupId>,
    /// When rules were last checked that depend on the clock alone.
    checked: Instant,
    recorded: Vec<Recording>,
    trace: Vec<String>,
}

#[derive(Clone)]
struct Recording {
    payload: Rc<Vec<u8>>,
    source: IpAddr,
    at: Instant,
}

/// Where a hello comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Node(Port),
    /// An attacker who repeats one.
    Replayer,
    /// An attacker who damaged one.
    Forger,
}

/// Something that is going to happen.
#[derive(Clone, Debug)]
enum Occurrence {
    Hello { from: Sender, to: usize, source: IpAddr, payload: Rc<Vec<u8>> },
    Frame { to: Port, frame: Rc<Frame> },
    Ask(usize),
    Exit(usize),
    Part { node: usize, born: Instant },
    Renew,
    Check,
}

impl World {
    /// A world in which every node starts its speaker within the first milliseconds.
    pub fn new(setup: Setup) -> Self {
        let start = Instant::now();
        let ports = setup.nodes + setup.clients + usize::from(setup.gateway.is_some());
        let cluster = format!("simulated-{}", setup.seed);
        let original = |n: usize| if setup.twin && n + 1 == setup.nodes { 0 } else { n };
        let id = |n: usize| NodeId::of(&cluster, &format!("node-{}", original(n)));
        let slow = |n: usize| n + setup.slower >= setup.nodes;
        let hellos_borne = setup.hellos_borne.unwrap_or(Timing::DEFAULT.hellos_borne);
        let timing = |n: usize| Timing { hellos_borne, ..if slow(n) { SLOWER } else { Timing::DEFAULT } };
        let slowest = if setup.slower > 0 { SLOWER } else { setup.pace_among(setup.nodes) };
        let mut world = Self {
            start,
            now: start,
            elapsed: Duration::ZERO,
            random: fastrand::Rng::with_seed(setup.seed ^ setup.segment.rotate_left(40)),
            queue: Schedule::new(),
            wakes: Wakes::new(setup.nodes),
            nodes: (0..setup.nodes).map(|n| Node::new(n, id(n), timing(n), start)).collect(),
            stations: Vec::new(),
            network: Network::new(ports, setup.delay, setup.jitter),
            book: Book::new(start, slowest, setup.nodes),
            addresses: BTreeMap::new(),
            checked: start,
            recorded: Vec::new(),
            trace: Vec::new(),
            setup,
        };
        world.plug_in_stations();
        for group in 0..world.setup.groups {
            world.plan_group(group);
        }
        world.later(CHECK_EVERY, Occurrence::Check);
        if world.setup.bound {
            world.later(RENEWED, Occurrence::Renew);
        }
        world
    }

    /// Configures a group on every node; takes effect with the next [`crate::Fault::Configure`] or start.
    fn plan_group(&mut self, number: usize) {
        let id = Self::group(number);
        let byte = u16::try_from(number).unwrap_or(0).saturating_add(10);
        let [high, low] = byte.to_be_bytes();
        let mut addresses = vec![IpAddr::from([198, 51, 100u8.saturating_add(high), low])];
        if number % 2 == 1 {
            addresses.push(IpAddr::from([0xfe80, 0, 0, 0, 1, 0, 0, byte]));
        }
        self.addresses.extend(addresses.iter().map(|address| (*address, id)));
        let candidates: BTreeSet<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let candidates: Vec<NodeId> = candidates.into_iter().collect();
        for node in &mut self.nodes {
            let plan = GroupPlan {
                addresses: addresses.clone(),
                candidates: candidates.clone(),
                ready: true,
                bound: self.setup.bound,
            };
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
        self.elapsed
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

    /// Some hello sent more than a second ago, as an attacker could have recorded it.
    pub fn record(&mut self) -> Option<(Vec<u8>, IpAddr)> {
        let choice = self.random.usize(..self.recorded.len().max(1));
        let old = |recording: &&Recording| {
            self.now.saturating_duration_since(recording.at) > Duration::from_secs(1)
        };
        let recording = self.recorded.get(choice).filter(old)?;
        Some((recording.payload.to_vec(), recording.source))
    }

    fn scene(&self) -> Scene<'_> {
        Scene { now: self.now, nodes: &self.nodes, network: &self.network }
    }

    fn later(&mut self, after: Duration, what: Occurrence) {
        self.queue.plan(self.elapsed + after, what);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>10.3} ms  {}", self.elapsed().as_secs_f64() * 1e3, line());
        if self.setup.verbose {
            eprintln!("{line}");
        }
        self.trace.push(line);
    }

    /// Lets virtual time pass.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        let end = self.elapsed + time;
        loop {
            let run = self.wakes.next().map(|(at, node)| (at.max(self.elapsed), node));
            let run = run.filter(|(at, _)| *at <= end);
            match (self.queue.next_until(run.map_or(end, |(at, _)| at)), run) {
                (Some((at, what)), _) => {
                    self.pass_to(at);
                    self.happen(what)?;
                }
                (None, Some((at, node))) => {
                    self.pass_to(at);
                    self.run(node)?;
                }
                (None, None) => break,
            }
            let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
            self.book.check_overlaps(scene)?;
            if self.now.saturating_duration_since(self.checked) >= CHECK_EVERY {
                self.checked = self.now;
                self.book.check(&self.addresses, scene)?;
            }
        }
        self.pass_to(end);
        Ok(())
    }

    fn pass_to(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
        self.now = self.start + elapsed;
    }

    fn happen(&mut self, what: Occurrence) -> Result<(), Violation> {
        match what {
            Occurrence::Hello { from, to, source, payload } => {
                self.deliver_hello(from, to, source, payload);
                Ok(())
            }
            Occurrence::Frame { to, frame } => {
                self.deliver_frame(to, frame);
                Ok(())
            }
            Occurrence::Ask(client) => {
                self.ask(client);
                Ok(())
            }
            Occurrence::Exit(node) => self.exit(node),
            Occurrence::Renew => {
                self.nodes.iter_mut().for_each(|node| node.renew_addresses(self.now));
                self.later(RENEWED, Occurrence::Renew);
                Ok(())
            }
            Occurrence::Part { node, born } => self.tell_part(node, born),
            Occurrence::Check => {
                self.later(CHECK_EVERY, Occurrence::Check);
                Ok(())
            }
        }
    }

    fn run(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        self.wakes.set(number, None);
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let steps = node.run(now);
        self.follow(number, steps)
    }

    /// Sends what a speaker put out, and plans its next run.
    pub(crate) fn follow(&mut self, number: usize, steps: Vec<Step>) -> Result<(), Violation> {
        for step in steps {
            if step.fooled {
                return Err(Violation(format!("S17: a damaged hello changed what node {number} believes")));
            }
            let scene = Scene { now: self.now, nodes: &self.nodes, network: &self.network };
            self.book.check_causes(number, &step, scene)?;
            for output in step.outputs {
                self.put_out(number, output, step.prompted_at)?;
            }
        }
        self.plan_run(number, None);
        Ok(())
    }

    /// Plans a run when the engine wants one, or at `at` if that is earlier.
    fn plan_run(&mut self, number: usize, at: Option<Duration>) {
        let (now, late) = (self.now, at_most(SCHEDULING / 2, &mut self.random));
        let Some(node) = self.nodes.get(number).filter(|node| node.speaker.is_some()) else { return };
        let wanted = node.next_run(now).map(|next| self.elapsed.max(next.duration_since(self.start)) + late);
        let Some(next) = at.into_iter().chain(wanted).min() else { return };
        if self.wakes.of(number).is_none_or(|planned| planned > next || planned <= self.elapsed) {
            self.wakes.set(number, Some(next));
        }
    }
}
