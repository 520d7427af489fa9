// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What must hold at all times, checked against what the engines say and send.
//!
//! The rules are the invariants S1 to S21 of the design; each violation names the one it breaks.

mod bound;
mod foreign;
mod ownership;
mod presence;
mod settled;
mod speech;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use foreign::Foreign;

use ferrolb_layer2::{Event, GroupId, NodeId, PeerDownCause, Phase, Term, Timing};

use crate::{
    faults::Fault,
    network::Network,
    node::{Health, Node, SCHEDULING},
};

/// After so long without trouble, exactly one node owns each group that any node may own: listening, a death, ranks and two
/// offers that were not taken fit in.
const SETTLED: Duration = Duration::from_millis(3_000);
/// Who was well for so long must not lose anything to another's mistake.
const SOUND: Duration = Duration::from_millis(2_000);
/// So long after its start a node may leave new groups to nodes that are expected, and search for their addresses.
const COLD: Duration = Duration::from_millis(13_000);
/// Claims so close together are a race that the keys decide.
const RACE: Duration = Duration::from_millis(100);

/// Something that an engine said.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When, counted from the beginning.
    pub at: Duration,
    /// Which node.
    pub node: usize,
    /// What.
    pub event: Event,
}

/// Something that must never be.
#[derive(Clone, Debug)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of the world that rules are checked against.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Instant,
    pub(crate) nodes: &'a [Node],
    pub(crate) network: &'a Network,
}

impl Scene<'_> {
    /// How long since then.
    fn since(&self, then: Instant) -> Duration {
        self.now.saturating_duration_since(then)
    }

    /// The node with this identity, if only one has it.
    fn only(&self, id: NodeId) -> Option<usize> {
        let mut those =
            self.nodes.iter().enumerate().filter(|(_, node)| node.id == id).map(|(number, _)| number);
        let first = those.next()?;
        those.next().is_none().then_some(first)
    }

    /// Whether its speaker was started so long ago that it waits for nobody.
    fn is_warm(&self, node: &Node) -> bool {
        node.born.is_some_and(|at| self.since(at) >= COLD)
    }

    /// Whether the node is well and has been for so long.
    fn is_well_for(&self, node: usize, time: Duration) -> bool {
        self.nodes.get(node).is_some_and(|n| n.health() == Health::Well && self.since(n.changed) >= time)
    }
}

/// Who owns what as far as the engines said, and everything they said.
pub struct Book {
    start: Instant,
    timing: Timing,
    happenings: Vec<Happening>,
    owners: BTreeMap<GroupId, BTreeMap<usize, Tenure>>,
    /// Groups with several owners.
    contested: BTreeSet<GroupId>,
    /// When a node last let go of a group, or lost it with its process.
    let_go: BTreeMap<(usize, GroupId), Instant>,
    /// Highest term that a process claimed, per node.
    terms: BTreeMap<(usize, GroupId), Term>,
    /// Highest term that any process of a node ever claimed.
    ever: BTreeMap<(usize, GroupId), Term>,
    /// Highest term that a process must have heard of, whether or not it was told of the group.
    known: BTreeMap<(usize, GroupId), Term>,
    /// When the cable of a node was pulled, with a speaker running.
    pulled: BTreeMap<usize, Vec<Instant>>,
    /// Since when several nodes answer.
    overlaps: BTreeMap<GroupId, Instant>,
    /// When a node last received a hello of another, by receiver and sender.
    heard: Vec<Option<Instant>>,
    nodes: usize,
    /// Since when a node takes another for alive without a break.
    met: BTreeMap<(usize, NodeId), Instant>,
    /// Since when a node hears nothing, or is heard by nobody.
    cut_off: BTreeMap<usize, Instant>,
    /// The state of the network that this was noted for.
    noted: Option<u64>,
    /// Hellos sent in the current second.
    hellos: BTreeMap<usize, (Instant, u32)>,
    /// When each last sent a hello to all.
    spoke: BTreeMap<usize, Instant>,
    /// Who stood still for so long that it must listen until then.
    must_listen: BTreeMap<usize, Instant>,
    announced: Vec<(Duration, usize, IpAddr)>,
    answered: Vec<(Duration, usize, IpAddr)>,
    longest_overlap: Duration,
    /// Since when a kernel answers for a bound group beside its owner.
    doubled: BTreeMap<GroupId, Instant>,
    longest_doubled: Duration,
    agreed_at: Option<Instant>,
    /// When a client first asked for something: before, a lonely node has no proof that others hear it.
    client_spoke: Option<Instant>,
    /// How many groups a process was the first to claim.
    first_claims: BTreeMap<usize, usize>,
    /// Addresses that stations outside the cluster use.
    foreign: Foreign,
    episode: Episode,
}

/// The time since the last fault.
#[derive(Debug, Default)]
struct Episode {
    since: Option<Instant>,
    /// Nothing was wrong before it, and it was nothing that makes packets get lost or late by chance.
    clear: bool,
    /// When every group must be answered for again, if the fault was a death.
    served_by: Option<Instant>,
    /// That time has come, and those groups were looked at of which nobody is waited for in vain.
    looked: bool,
    /// How often each group moved since.
    moves: BTreeMap<GroupId, Moves>,
}

/// How often a group moved, and the last time.
#[derive(Clone, Copy, Debug)]
struct Moves {
    count: u32,
    term: Term,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Tenure {
    term: Term,
    since: Instant,
}

impl Book {
    pub(crate) fn new(start: Instant, timing: Timing, nodes: usize) -> Self {
        Self {
            start,
            timing,
            happenings: Vec::new(),
            owners: BTreeMap::new(),
            contested: BTreeSet::new(),
            let_go: BTreeMap::new(),
            terms: BTreeMap::new(),
            ever: BTreeMap::new(),
            known: BTreeMap::new(),
            pulled: BTreeMap::new(),
            overlaps: BTreeMap::new(),
            heard: vec![None; nodes * nodes],
            nodes,
            met: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            noted: None,
            hellos: BTreeMap::new(),
            spoke: BTreeMap::new(),
            must_listen: BTreeMap::new(),
            announced: Vec::new(),
            answered: Vec::new(),
            longest_overlap: Duration::ZERO,
            doubled: BTreeMap::new(),
            longest_doubled: Duration::ZERO,
            agreed_at: None,
            client_spoke: None,
            first_claims: BTreeMap::new(),
            foreign: Foreign::default(),
            episode: Episode::default(),
        }
    }

    /// Everything that the engines said, in order.
    pub fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    /// How often a group was claimed.
    pub fn claims(&self) -> usize {
        self.happenings.iter().filter(|h| matches!(h.event, Event::Claimed { .. })).count()
    }

    /// Announcements sent: when, by which node, of which address.
    pub fn announced(&self) -> &[(Duration, usize, IpAddr)] {
        &self.announced
    }

    /// Questions answered: when, by which node, for which address.
    pub fn answered(&self) -> &[(Duration, usize, IpAddr)] {
        &self.answered
    }

    /// The longest time that two nodes answered for one group while the network was sound.
    pub fn longest_overlap(&self) -> Duration {
        self.longest_overlap
    }

    /// The longest time that two machines answered for one bound group.
    pub fn longest_doubled(&self) -> Duration {
        self.longest_doubled
    }

    /// The nodes that hold the group as far as they said.
    pub(crate) fn owners(&self, group: GroupId) -> impl Iterator<Item = usize> {
        self.owners.get(&group).into_iter().flat_map(|nodes| nodes.keys().copied())
    }

    /// The nodes that answer for the group now.
    pub(crate) fn answering(&self, group: GroupId, scene: Scene<'_>) -> Vec<usize> {
        self.who_answers(group, scene).collect()
    }

    fn who_answers<'a>(&'a self, group: GroupId, scene: Scene<'a>) -> impl Iterator<Item = usize> + 'a {
        self.owners(group).filter(move |node| scene.nodes.get(*node).is_some_and(answers))
    }

    pub(crate) fn client_spoke(&mut self, now: Instant) {
        self.client_spoke.get_or_insert(now);
    }

    /// Something is about to be done to the world.
    pub(crate) fn fault(&mut self, fault: &Fault, scene: Scene<'_>) {
        // What the fault before left, however short.
        self.note_cut_off(scene);
        let calm = is_calm(scene) && self.episode.since.is_none_or(|at| scene.since(at) >= SETTLED);
        let by_chance = matches!(fault, Fault::Lose(_) | Fault::Muffle(_) | Fault::Lag(_));
        let served_by = self.must_be_served_by(fault, calm, scene);
        if let Fault::Cable(node, false) = *fault
            && scene.is_well_for(node, Duration::ZERO)
        {
            self.pulled.entry(node).or_default().push(scene.now);
        }
        // What an attacker sends, and what a node knows already, must change nothing.
        let harmless = matches!(fault, Fault::Replay | Fault::Forge | Fault::Rekey(_) | Fault::Configure(_));
        if !harmless {
            let clear = calm && !by_chance;
            self.episode =
                Episode { since: Some(scene.now), clear, served_by, looked: false, moves: BTreeMap::new() };
        }
    }

    /// After a death in a world at rest, whoever ranks best claims at once (C.3-2), also where the dead was started again.
    fn must_be_served_by(&self, fault: &Fault, calm: bool, scene: Scene<'_>) -> Option<Instant> {
        let margin = scene.network.flight() * 4 + SCHEDULING * 8 + self.timing.rank_step * 2;
        match *fault {
            Fault::Crash(node) | Fault::Kill(node) | Fault::Freeze(node) | Fault::Cable(node, false) => {
                let alone = calm && scene.is_well_for(node, SETTLED) && scene.network.loss() == 0.0;
                alone.then(|| scene.now + self.timing.dead + margin)
            }
            Fault::Start(node) if scene.nodes.get(node).is_some_and(|node| node.speaker.is_none()) => {
                // Its first hello after the old process missed one shows that that one is gone. As long as it listens, nobody
                // waits for it.
                let announced = scene.now + self.timing.hello * 2 + self.timing.lateness + margin;
                self.episode.served_by.map(|at| at.min(announced))
            }
            _ => None,
        }
    }

    /// The process of a node ended, however: it owns nothing any more.
    pub(crate) fn process_ended(&mut self, node: usize, now: Instant) {
        for (group, nodes) in &mut self.owners {
            if nodes.remove(&node).is_some() {
                self.let_go.insert((node, *group), now);
            }
        }
        let owners = &self.owners;
        self.contested.retain(|group| owners.get(group).is_some_and(|nodes| nodes.len() > 1));
        self.terms.retain(|(n, _), _| *n != node);
        self.known.retain(|(n, _), _| *n != node);
        self.met.retain(|(n, _), _| *n != node);
        self.spoke.remove(&node);
        self.pulled.remove(&node);
        self.must_listen.remove(&node);
        self.first_claims.remove(&node);
        self.foreign.forget(node);
    }

    fn own(&mut self, group: GroupId, node: usize, tenure: Tenure) {
        let nodes = self.owners.entry(group).or_default();
        nodes.insert(node, tenure);
        if nodes.len() > 1 {
            self.contested.insert(group);
        }
    }

    fn disown(&mut self, group: GroupId, node: usize, now: Instant) -> Option<Tenure> {
        self.let_go.insert((node, group), now);
        let nodes = self.owners.entry(group).or_default();
        let held = nodes.remove(&node);
        if nodes.len() < 2 {
            self.contested.remove(&group);
        }
        held
    }

    pub(crate) fn event(&mut self, node: usize, event: Event, scene: Scene<'_>) -> Result<(), Violation> {
        self.note_cut_off(scene);
        let at = scene.since(self.start);
        self.happenings.push(Happening { at, node, event: event.clone() });
        match event {
            Event::Claimed { group, term, cause, quiet } => {
                self.check_claim(node, group, cause, scene)?;
                self.check_audible_claim(node, group, scene)?;
                self.check_share(node, group, cause, scene)?;
                self.check_modest(node, group, cause, scene)?;
                Self::check_quiet(node, group, cause, quiet, scene)?;
                self.check_term(node, group, term)?;
                self.check_moves(group, term, scene)?;
                self.check_first_use(node, group, scene)?;
                self.check_cold_start(node, group, scene)?;
                self.own(group, node, Tenure { term, since: scene.now });
                Ok(())
            }
            Event::Yielded { group, term, to, cause } => {
                let held = self.disown(group, node, scene.now);
                if held.is_none_or(|tenure| tenure.term != term) {
                    return Err(Violation(format!("node {node} yielded {group:?} {term:?}, held {held:?}")));
                }
                self.check_yield(node, group, term, to, cause, scene)
            }
            Event::ForeignAnswer { address, .. } => self.check_defence(node, address, scene),
            Event::InUse { group, .. } => self.check_in_use(node, group, scene),
            Event::PeerUp(other) => {
                self.met.insert((node, other), scene.now);
                self.check_revival(node, other, scene)
            }
            Event::PeerDown(gone, cause) => {
                self.met.remove(&(node, gone));
                if cause == PeerDownCause::Silence { self.check_silence(node, gone, scene) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

/// Whether nothing is wrong, and has not been for long.
fn is_calm(scene: Scene<'_>) -> bool {
    scene.network.sound_for(scene.now) >= SETTLED
        && scene.nodes.iter().all(|node| scene.since(node.changed) >= SETTLED)
}

/// Whether the node answers for what it owns.
fn answers(node: &Node) -> bool {
    let running = matches!(node.health(), Health::Well | Health::Draining);
    running && node.speaker.as_ref().is_some_and(|speaker| speaker.segment.phase() == Phase::Active)
}
