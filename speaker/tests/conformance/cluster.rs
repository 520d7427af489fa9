// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Speakers without sockets and clocks: everything that is pure, put together as the drivers do, on wires that lose
//! nothing, with a client that asks.
//!
//! A node `n1` has the interfaces `eth0` and `eth1`, unless it is given others; all interfaces of one name are on one wire.

mod client;
mod machine;
mod traffic;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::{Objects, ServiceName};
use ferrolb_layer2::{Event, Input};

use self::machine::Machine;
pub use self::machine::{link, links};
pub use self::traffic::Said;
use self::traffic::{Flight, Station};
use crate::manifests::{self, POOL};

/// The name that the speakers know their cluster by.
const CLUSTER: &str = "conformance";
/// Longer than a silent node is believed in, and its successor needs.
pub const FAILOVER: Duration = Duration::from_millis(500);
/// Longer than a lone address takes that nobody could carry for a moment: its segment listens again, and searches for it.
pub const FROM_NOTHING: Duration = Duration::from_millis(2_000);
pub const MS: Duration = Duration::from_millis(1);

/// Nodes on wires, and the objects that they follow.
pub struct Cluster {
    objects: Arc<Objects>,
    machines: BTreeMap<String, Machine>,
    engines: BTreeMap<Station, traffic::Engine>,
    flying: VecDeque<Flight>,
    started: Instant,
    now: Instant,
    /// Runs of engines so far.
    runs: u64,
    said: Vec<Said>,
    events: Vec<(String, Event)>,
}

impl Cluster {
    /// Nodes `n1` to `n<nodes>`, each with a Node object, and everything of the pool advertised from everywhere.
    pub fn of(nodes: u8) -> Self {
        let mut cluster = Self::bare(nodes);
        cluster.apply(&[manifests::advertisement("all", "")]);
        cluster
    }

    /// The same without an advertisement.
    pub fn bare(nodes: u8) -> Self {
        let now = Instant::now();
        let mut cluster = Self {
            objects: Arc::default(),
            machines: BTreeMap::new(),
            engines: BTreeMap::new(),
            flying: VecDeque::new(),
            started: now,
            now,
            runs: 0,
            said: Vec::new(),
            events: Vec::new(),
        };
        cluster.apply(&[POOL.to_owned()]);
        for number in 1..=nodes {
            let machine = Machine::new(number);
            cluster.apply(&[manifests::node(&machine.name, "")]);
            cluster.machines.insert(machine.name.clone(), machine);
        }
        cluster
    }

    /// Writes these objects, one text each; those of the same names are replaced.
    pub fn apply(&mut self, texts: &[String]) {
        for text in texts {
            let objects = Arc::make_mut(&mut self.objects);
            manifests::objects(text).into_iter().for_each(|object| objects.insert(object));
        }
        self.follow();
    }

    /// Changes the objects by hand.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Objects)) {
        edit(Arc::make_mut(&mut self.objects));
        self.follow();
    }

    /// Deletes the record of an address.
    pub fn release(&mut self, address: &str) {
        let name = ferrolb_config::address::virtual_ip_name(ip(address));
        self.edit(|objects| assert!(objects.virtual_ips.remove(&name).is_some()));
    }

    /// Deletes a Service with its endpoints.
    pub fn delete_service(&mut self, name: &str) {
        let of = |name: &str| ServiceName { namespace: "default".into(), name: name.into() };
        self.edit(|objects| {
            assert!(objects.services.remove(&of(name)).is_some());
            objects.endpoint_slices.remove(&of(&format!("{name}-1")));
        });
    }

    /// Every running speaker takes the objects as they are.
    fn follow(&mut self) {
        for node in self.nodes() {
            self.follow_on(&node);
        }
    }

    fn follow_on(&mut self, node: &str) {
        let Some(machine) = self.machines.get_mut(node).filter(|machine| machine.runs) else { return };
        let placement = machine.place(&self.objects);
        self.carry(node, &placement);
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> Vec<String> {
        self.machines.keys().cloned().collect()
    }

    /// The node's interfaces have become these.
    pub fn rewire(&mut self, node: &str, links: ferrolb_speaker::kernel::links::Links) {
        self.machines.get_mut(node).unwrap().links = links;
        self.follow_on(node);
    }

    /// Takes the node's power away.
    pub fn crash(&mut self, node: &str) {
        self.machines.get_mut(node).unwrap().runs = false;
        self.engines.retain(|station, _| station.node != node);
    }

    /// Gives the node power again, with a speaker that knows nothing.
    pub fn start(&mut self, node: &str) {
        let machine = self.machines.get_mut(node).unwrap();
        assert!(!machine.runs, "{node} runs");
        machine.forget();
        self.follow_on(node);
    }

    /// The node's speaker stands still; what it is sent waits.
    pub fn freeze(&mut self, node: &str) {
        self.engines_of(node).for_each(|engine| engine.frozen = Some(VecDeque::new()));
    }

    /// It goes on, and finds what it was sent.
    pub fn thaw(&mut self, node: &str) {
        let stations: Vec<Station> = self.stations_of(node);
        for station in stations {
            let engine = self.engines.get_mut(&station).unwrap();
            for (at, packet) in engine.frozen.take().expect("it was frozen") {
                self.hand_in(&station, packet, at);
            }
            self.give(&station, Input::Timeout);
        }
    }

    /// The speaker is asked to end: it gives away what it has.
    pub fn drain(&mut self, node: &str) {
        for station in self.stations_of(node) {
            self.give(&station, Input::Drain);
        }
    }

    /// Whether it has given away everything.
    pub fn is_drained(&mut self, node: &str) -> bool {
        self.engines_of(node).all(|engine| engine.drained)
    }

    /// It says good-bye and ends.
    pub fn leave(&mut self, node: &str) {
        for station in self.stations_of(node) {
            self.give(&station, Input::Leave);
        }
        self.crash(node);
    }

    fn engines_of(&mut self, node: &str) -> impl Iterator<Item = &mut traffic::Engine> {
        self.engines.iter_mut().filter(move |(station, _)| station.node == node).map(|(_, engine)| engine)
    }

    fn stations_of(&self, node: &str) -> Vec<Station> {
        self.engines.keys().filter(|station| station.node == node).cloned().collect()
    }

    /// Why no interface of the node carries the address.
    pub fn refusal(&self, node: &str, address: &str) -> Option<ferrolb_config::reason::Reason> {
        self.machines[node].refusals.get(&ip(address)).map(|refusal| refusal.reason)
    }

    /// What the node means to do with the address.
    pub fn intent(&self, node: &str, address: &str) -> Option<&ferrolb_speaker::intent::VipIntent> {
        self.machines[node].intent().vips.get(&ip(address)).map(Arc::as_ref)
    }

    /// What its data path is to do.
    pub fn data_path(&self, node: &str) -> ferrolb_speaker::datapath::DataPath {
        self.machines[node].intent().data_path()
    }

    /// Frames that nodes sent so far.
    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// What the engines told so far, by node.
    pub fn events(&self) -> &[(String, Event)] {
        &self.events
    }

    /// How often some node claimed something so far.
    pub fn claims(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Claimed { .. })).count()
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now - self.started
    }
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
