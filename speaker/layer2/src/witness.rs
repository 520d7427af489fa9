// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Proof that an address answers: what the owner of an address cannot see itself, another node of the segment does.
//!
//! A filter between (port security, dynamic ARP inspection, a hypervisor's anti-spoofing) may take away a node's answers
//! for virtual IPs while its hellos pass. So one other node, the same for all who know the same nodes, asks for each
//! address as a client does, a second after each claim that it hears of and every minute, and tries a TCP port.
//!
//! What that node cannot see is an address that its own kernel holds, and after the death of one of two nobody is left to
//! ask. So the owner looks, too, whether anybody but itself answers the probes that it sends anyway; if so, it asks again.
//!
//! The election takes no part in this and does not know of it. Sans-IO like the engine: feed it the engine's view
//! ([`Witness::follow`]) and frames, call [`Witness::act`] at [`Witness::next_deadline`], send what
//! [`Witness::poll_output`] yields.

mod asking;
mod own;
mod stations;
mod testimony;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    num::NonZeroU16,
    time::{Duration, Instant},
};

pub use testimony::{Testimony, Verdict};
use watch::{Next, Step, Watch};

use crate::{
    frame::{self, tcp},
    identity::{GroupId, MacAddr, NodeId},
    input::LinkState,
    rank::score,
    view::{GroupView, Phase, SegmentView},
};

/// After a claim: the announcements have had their time.
const AFTER_CLAIM: Duration = Duration::from_secs(1);
/// Between two checks of an address that answers, give or take [`JITTER`] of it.
const EVERY: Duration = Duration::from_secs(60);
/// Between two checks of one that does not: whoever mends something wants to see it.
const EVERY_WHILE_AWAY: Duration = Duration::from_secs(10);
const JITTER: f64 = 0.2;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Nodes asked for their own addresses at once, to learn whose a station is.
const ASKED_AT_ONCE: usize = 16;

/// One node as a witness for the addresses that others carry on a segment.
#[derive(Debug)]
pub struct Witness {
    me: NodeId,
    link: Option<LinkState>,
    /// The other nodes that are heard, and the addresses that they speak from.
    peers: BTreeMap<NodeId, IpAddr>,
    /// Addresses of all nodes ever known: the kernels of those that are not heard, or not any more, may still answer.
    acquainted: BTreeMap<IpAddr, NodeId>,
    /// The owners that were looked at, and whether this node is the witness.
    known: BTreeMap<GroupId, (NodeId, bool)>,
    watches: BTreeMap<IpAddr, Watch>,
    /// One entry a watch: when its next step is due.
    agenda: BTreeSet<(Instant, IpAddr)>,
    /// The stations of nodes' own addresses, as far as they were learned.
    stations: BTreeMap<IpAddr, MacAddr>,
    asking: usize,
    /// Watches of addresses that this node carries itself.
    own: usize,
    /// No question before this.
    ready_at: Option<Instant>,
    outputs: VecDeque<Vec<u8>>,
    questions: u64,
    random: fastrand::Rng,
}

impl Witness {
    /// A witness that knows of nothing yet; `seed` decides the jitter.
    #[must_use]
    pub fn new(me: NodeId, seed: u64) -> Self {
        Self {
            me,
            link: None,
            peers: BTreeMap::new(),
            acquainted: BTreeMap::new(),
            known: BTreeMap::new(),
            watches: BTreeMap::new(),
            agenda: BTreeSet::new(),
            stations: BTreeMap::new(),
            asking: 0,
            own: 0,
            ready_at: None,
            outputs: VecDeque::new(),
            questions: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The segment is like this now. `ports` names the TCP port to try, for addresses where one may be tried. A node that
    /// cannot act, or that nobody hears, is no witness.
    pub fn follow(
        &mut self,
        view: &SegmentView,
        link: &LinkState,
        ports: &BTreeMap<IpAddr, NonZeroU16>,
        now: Instant,
    ) {
        if self.link.as_ref() != Some(link) {
            self.link = Some(link.clone());
            self.stations.clear();
        }
        let sees = link.up && view.phase == Phase::Active && view.proven;
        let peers = view.peers.iter().map(|peer| (peer.node, peer.source));
        let peers = if sees { peers.collect() } else { BTreeMap::new() };
        if self.peers != peers {
            self.peers = peers;
            self.known.clear();
        }
        view.peers.iter().for_each(|peer| self.acquaint(peer.node, peer.source));
        for group in &view.groups {
            match group.owner {
                Some(owner) if owner == self.me && link.up && view.phase == Phase::Active => {
                    self.follow_own(group);
                }
                _ => self.follow_group(group, ports, now),
            }
        }
        let listed: BTreeSet<IpAddr> =
            view.groups.iter().flat_map(|group| group.addresses.iter().copied()).collect();
        let gone: Vec<IpAddr> =
            self.watches.keys().filter(|address| !listed.contains(address)).copied().collect();
        gone.into_iter().for_each(|address| self.forget(address));
        self.known.retain(|id, _| view.groups.binary_search_by_key(id, |group| group.id).is_ok());
    }

    fn follow_group(&mut self, group: &GroupView, ports: &BTreeMap<IpAddr, NonZeroU16>, now: Instant) {
        let id = group.id;
        let watched = group.owner.and_then(|owner| Some((owner, *self.peers.get(&owner)?)));
        let watched = watched.filter(|(owner, _)| match self.known.get(&id) {
            Some((known, is_witness)) if known == owner => *is_witness,
            _ => {
                let is_witness = self.is_witness(id, *owner);
                self.known.insert(id, (*owner, is_witness));
                is_witness
            }
        });
        for address in &group.addresses {
            let Some((owner, owner_ip)) = watched else {
                self.forget(*address);
                continue;
            };
            let (port, term) = (ports.get(address).copied(), group.term);
            match self.watches.get_mut(address) {
                Some(watch) if (watch.group, watch.owner, watch.term) == (id, owner, term) => {
                    (watch.owner_ip, watch.port) = (owner_ip, port);
                }
                _ => {
                    self.forget(*address);
                    let at = now + AFTER_CLAIM;
                    self.agenda.insert((at, *address));
                    let watch = Watch::resting(id, owner, term, owner_ip, at);
                    self.watches.insert(*address, Watch { port, ..watch });
                }
            }
        }
    }

    /// Of the nodes that are heard and do not own the group the first by rendezvous rank.
    fn is_witness(&self, group: GroupId, owner: NodeId) -> bool {
        let key = |node: NodeId| (score(group, node), Reverse(node));
        let mine = key(self.me);
        owner != self.me && self.peers.keys().all(|peer| *peer == owner || key(*peer) < mine)
    }

    /// An ARP or neighbour discovery frame arrived.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) {
        if !self.is_asking() && self.own == 0 {
            return;
        }
        let Ok(Some(heard)) = frame::parse(bytes) else { return };
        let Some((address, station)) = heard.asserted() else { return };
        let own_mac = self.link.as_ref().map(|link| link.mac);
        if own_mac == Some(station) {
            return;
        }
        let me = self.me;
        if !self.watches.contains_key(&address) && self.is_asking() && self.is_of_a_node(address) {
            self.stations.insert(address, station);
        }
        match self.watches.get_mut(&address) {
            Some(_) if !asking::is_answered_by(&heard, own_mac) => {}
            // Before that time whoever had the address may not have yielded yet, or a check is due anyway. What a killed
            // process left on an interface is gone before the last of the questions.
            Some(watch) if watch.owner == me && !watch.is_asking() && watch.at <= now => {
                self.agenda.remove(&(watch.at, address));
                watch.at = now + PATIENCE;
                self.agenda.insert((watch.at, address));
            }
            Some(watch) => watch.answered(station),
            None => {}
        }
    }

    /// A frame with TCP arrived.
    pub fn hear_port(&mut self, bytes: &[u8], now: Instant) {
        let Some(answer) = tcp::parse(bytes) else { return };
        let address = answer.from.ip();
        let Some(knock) = self.knock_of(address, answer.station) else { return };
        let Some(Watch { step: Step::Knocking { sequence, .. }, .. }) = self.watches.get(&address) else {
            return;
        };
        let next = sequence.wrapping_add(1);
        if knock.target != answer.from || knock.own_ip != answer.to || answer.acknowledged != next {
            return;
        }
        if answer.open {
            self.outputs.extend(tcp::reset(&knock, next));
        }
        self.conclude(address, Verdict::Reachable, now);
    }

    /// Takes the steps that are due.
    pub fn act(&mut self, now: Instant) {
        while let Some(&(at, address)) = self.agenda.first()
            && at <= now
            && self.ready_at.is_none_or(|ready| ready <= now)
        {
            self.step(address, now);
        }
    }

    /// When to call [`Witness::act`]; a moment that has passed means now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let (at, _) = self.agenda.first()?;
        Some(self.ready_at.map_or(*at, |ready| ready.max(*at)))
    }

    /// The next frame to send.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front()
    }

    /// Whether answers are waited for: otherwise no frame is of interest.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asking > 0
    }

    /// Whether TCP ports are to be tried, by the families of their addresses: IPv4, IPv6.
    #[must_use]
    pub fn tries_ports(&self) -> (bool, bool) {
        let with_port = || self.watches.iter().filter(|(_, watch)| watch.port.is_some());
        (with_port().any(|(address, _)| address.is_ipv4()), with_port().any(|(address, _)| address.is_ipv6()))
    }

    /// What was seen of the addresses that this node is the witness of, and who else answers for those that it carries.
    pub fn testimonies(&self) -> impl Iterator<Item = Testimony> {
        self.watches.iter().filter_map(|(address, watch)| {
            Some(Testimony { address: *address, owner: watch.owner, verdict: watch.verdict? })
        })
    }

    /// Questions sent since the start.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions
    }

    fn step(&mut self, address: IpAddr, now: Instant) {
        let Some(watch) = self.watches.get(&address) else { return };
        let owner_ip = watch.owner_ip;
        let is_own = watch.owner == self.me;
        let owner_mac = self.stations.get(&owner_ip).copied();
        let next = match is_own {
            true => watch.next_of_own(|mac| self.node_of(mac)),
            false => watch.next(owner_mac, |mac| self.node_of(mac)),
        };
        match next {
            Next::Rest => self.rest(address, now),
            Next::Conclude(verdict) => self.conclude(address, verdict, now),
            Next::Ask { tries, stranger } => {
                if is_own {
                    self.ask_as_nobody(address, now);
                } else {
                    self.ask(address, now);
                }
                // Without the owner's own address nobody could tell a filter of virtual IPs from one of all ARP, nor the
                // owner's answer from another's. Once silent it is asked again: what was learned may be out of date.
                if !is_own && (owner_mac.is_none() || tries > 1) {
                    self.stations.remove(&owner_ip);
                    self.ask(owner_ip, now);
                }
                if stranger {
                    let unknown = self.acquainted.keys().filter(|ip| !self.stations.contains_key(ip));
                    // Some never answer, and must not keep the others from being asked.
                    let mut unknown: Vec<IpAddr> = unknown.copied().collect();
                    self.random.shuffle(&mut unknown);
                    unknown.into_iter().take(ASKED_AT_ONCE).for_each(|ip| self.ask(ip, now));
                }
                self.enter(address, Step::Asking { tries, stations: Vec::new() }, now + PATIENCE);
            }
            Next::Knock { tries, mac, port } => {
                let sequence = self.random.u32(..);
                self.enter(address, Step::Knocking { tries, mac, sequence }, now + PATIENCE);
                let knock = self.knock_of(address, mac);
                match knock.filter(|knock| knock.target.port() == port.get()) {
                    Some(knock) => {
                        self.outputs.extend(tcp::syn(&knock, sequence));
                        self.asked(now);
                    }
                    // Without an address of the family here, the port cannot be tried.
                    None => self.conclude(address, Verdict::Reachable, now),
                }
            }
        }
    }

    fn conclude(&mut self, address: IpAddr, verdict: Verdict, now: Instant) {
        let every = if verdict == Verdict::Reachable { EVERY } else { EVERY_WHILE_AWAY };
        let pause = every.mul_f64(1.0 + JITTER * (2.0 * self.random.f64() - 1.0));
        if let Some(watch) = self.watches.get_mut(&address) {
            watch.verdict = Some(verdict);
        }
        self.enter(address, Step::Resting, now + pause);
    }

    fn enter(&mut self, address: IpAddr, step: Step, at: Instant) {
        let Some(watch) = self.watches.get_mut(&address) else { return };
        let was_asking = watch.is_asking();
        self.agenda.remove(&(watch.at, address));
        (watch.step, watch.at) = (step, at);
        self.agenda.insert((at, address));
        self.count(was_asking, address);
    }

    fn count(&mut self, was_asking: bool, address: IpAddr) {
        let is_asking = self.watches.get(&address).is_some_and(Watch::is_asking);
        match (was_asking, is_asking) {
            (false, true) => self.asking = self.asking.saturating_add(1),
            (true, false) => self.asking = self.asking.saturating_sub(1),
            _ => {}
        }
    }

    fn forget(&mut self, address: IpAddr) {
        if let Some(watch) = self.watches.remove(&address) {
            self.agenda.remove(&(watch.at, address));
            self.own = self.own.saturating_sub((watch.owner == self.me).into());
            self.count(watch.is_asking(), address);
        }
    }
}
