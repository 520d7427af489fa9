// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What must hold at all times, checked against what the engines say and send.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use ferrolb_layer2::{Cause, Event, GroupId, Heard, NodeId, PeerDownCause, Phase, Term, Timing};

use crate::{
    network::{Network, Port},
    node::{Health, Node, SCHEDULING},
};

/// After so long without trouble, exactly one node owns each group that any node may own: listening, a death, ranks and two
/// offers that were not taken fit in.
const SETTLED: Duration = Duration::from_millis(3_000);
/// Who was well for so long must not lose anything to another's mistake.
const SOUND: Duration = Duration::from_millis(2_000);
/// Claims so close together are a race that the keys decide.
const RACE: Duration = Duration::from_millis(100);
/// More hellos than this in a second would be a storm.
const STORM: u32 = 300;

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

/// Who owns what as far as the engines said, and everything they said.
pub struct Book {
    start: Instant,
    timing: Timing,
    happenings: Vec<Happening>,
    owners: BTreeMap<GroupId, BTreeMap<usize, Tenure>>,
    /// Highest term that a process claimed, per node.
    terms: BTreeMap<(usize, GroupId), Term>,
    /// Since when several nodes answer.
    overlaps: BTreeMap<GroupId, Instant>,
    /// When a node last received a hello of another: (from, to).
    heard: BTreeMap<(Port, Port), Instant>,
    /// Since when a node hears nothing, or is heard by nobody.
    cut_off: BTreeMap<usize, Instant>,
    /// Hellos sent in the current second.
    hellos: BTreeMap<usize, (Instant, u32)>,
    announced: Vec<(Duration, usize, IpAddr)>,
    answered: Vec<(Duration, usize, IpAddr)>,
    longest_overlap: Duration,
    agreed_at: Option<Instant>,
    /// When a client first asked for something: before, a lonely node has no proof that others hear it.
    client_spoke: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Tenure {
    term: Term,
    since: Instant,
}

impl Book {
    pub(crate) fn new(start: Instant, timing: Timing) -> Self {
        Self {
            start,
            timing,
            happenings: Vec::new(),
            owners: BTreeMap::new(),
            terms: BTreeMap::new(),
            overlaps: BTreeMap::new(),
            heard: BTreeMap::new(),
            cut_off: BTreeMap::new(),
            hellos: BTreeMap::new(),
            announced: Vec::new(),
            answered: Vec::new(),
            longest_overlap: Duration::ZERO,
            agreed_at: None,
            client_spoke: None,
        }
    }

    /// Everything that the engines said, in order.
    pub fn happenings(&self) -> &[Happening] {
        &self.happenings
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

    /// The nodes that hold the group as far as they said.
    pub(crate) fn owners(&self, group: GroupId) -> Vec<usize> {
        self.owners.get(&group).map(|nodes| nodes.keys().copied().collect()).unwrap_or_default()
    }

    /// The nodes that answer for the group now.
    pub(crate) fn answering(&self, group: GroupId, scene: Scene<'_>) -> Vec<usize> {
        let answers = |node: &usize| scene.nodes.get(*node).is_some_and(answers);
        self.owners(group).into_iter().filter(answers).collect()
    }

    pub(crate) fn heard(&mut self, from: Port, to: Port, now: Instant) {
        self.heard.insert((from, to), now);
    }

    pub(crate) fn client_spoke(&mut self, now: Instant) {
        self.client_spoke.get_or_insert(now);
    }

    pub(crate) fn hello_sent(&mut self, node: usize, now: Instant) -> Result<(), Violation> {
        let (since, count) = self.hellos.entry(node).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > STORM {
            return Err(Violation(format!("node {node} sent {count} hellos within a second")));
        }
        Ok(())
    }

    /// The process of a node ended, however: it owns nothing any more.
    pub(crate) fn process_ended(&mut self, node: usize) {
        self.owners.values_mut().for_each(|nodes| {
            nodes.remove(&node);
        });
        self.terms.retain(|(n, _), _| *n != node);
    }

    pub(crate) fn event(&mut self, node: usize, event: Event, scene: Scene<'_>) -> Result<(), Violation> {
        let at = scene.now.saturating_duration_since(self.start);
        self.happenings.push(Happening { at, node, event: event.clone() });
        match event {
            Event::Claimed { group, term, cause, .. } => {
                self.check_claim(node, group, cause, scene)?;
                self.check_term(node, group, term)?;
                let tenure = Tenure { term, since: scene.now };
                self.owners.entry(group).or_default().insert(node, tenure);
                Ok(())
            }
            Event::Yielded { group, term, to, cause } => {
                let held = self.owners.entry(group).or_default().remove(&node);
                if held.is_none_or(|tenure| tenure.term != term) {
                    return Err(Violation(format!("node {node} yielded {group:?} {term:?}, held {held:?}")));
                }
                self.check_hand_over(node, group, to, cause, scene)
            }
            Event::PeerDown(silent, PeerDownCause::Silence) => self.check_silence(node, silent, scene),
            _ => Ok(()),
        }
    }

    /// Nobody calls silent who is heard.
    fn check_silence(&self, node: usize, silent: NodeId, scene: Scene<'_>) -> Result<(), Violation> {
        let Some(silent) = scene.nodes.iter().position(|node| node.id == silent) else { return Ok(()) };
        let Some(heard) = self.heard.get(&(Port(silent), Port(node))) else { return Ok(()) };
        // Of a new process that is heard the old one is silent none the less.
        let changed = scene.nodes.get(silent).map(|node| scene.now.saturating_duration_since(node.changed));
        if changed.is_some_and(|ago| ago < self.timing.dead * 2) {
            return Ok(());
        }
        let tolerated = self.timing.dead.saturating_sub(scene.network.flight() + SCHEDULING * 2);
        let age = scene.now.saturating_duration_since(*heard);
        if age < tolerated {
            return Err(Violation(format!("node {node} calls node {silent} silent, heard {age:?} ago")));
        }
        Ok(())
    }

    /// Nobody claims from an owner who is well.
    fn check_claim(
        &self,
        node: usize,
        group: GroupId,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        if scene.network.sound_for(scene.now) < SOUND {
            return Ok(());
        }
        for (owner, tenure) in self.owners.get(&group).into_iter().flatten() {
            let Some(machine) = scene.nodes.get(*owner).filter(|_| *owner != node) else { continue };
            let well = machine.health() == Health::Well
                && scene.now.saturating_duration_since(machine.changed) >= SOUND
                && scene.now.saturating_duration_since(tenure.since) >= RACE;
            let agreed = matches!(cause, Cause::HandedOver(from) if from == machine.id);
            if well && !agreed {
                let text =
                    format!("node {node} claimed {group:?} ({cause}) from node {owner}, which is well");
                return Err(Violation(text));
            }
        }
        Ok(())
    }

    /// A process never claims under a term that it claimed under before.
    fn check_term(&mut self, node: usize, group: GroupId, term: Term) -> Result<(), Violation> {
        match self.terms.insert((node, group), term) {
            Some(before) if before >= term => {
                Err(Violation(format!("node {node} claimed {group:?} under {term:?} after {before:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Who lets go of a group that it moved does so after the successor has it.
    fn check_hand_over(
        &self,
        node: usize,
        group: GroupId,
        to: Option<NodeId>,
        cause: Cause,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let planned = matches!(cause, Cause::Drain | Cause::Requested | Cause::NotEligible);
        let Some(to) = to.filter(|_| planned && scene.network.sound_for(scene.now) > SOUND) else {
            return Ok(());
        };
        let successor = scene.nodes.iter().position(|other| other.id == to);
        if successor.is_some_and(|s| {
            self.owners(group).contains(&s) || scene.nodes.get(s).is_some_and(|n| n.health() != Health::Well)
        }) {
            return Ok(());
        }
        Err(Violation(format!("node {node} let go of {group:?} before node {successor:?} had it")))
    }

    /// A speaker sends a frame: an answer or an announcement of an address that it must own, or something else.
    pub(crate) fn frame_sent(
        &mut self,
        node: usize,
        heard: &Heard,
        prompted_at: Option<Instant>,
        groups: &BTreeMap<IpAddr, GroupId>,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        let Some((address, _)) = heard.asserted() else { return Ok(()) };
        let Some(group) = groups.get(&address) else { return Ok(()) };
        let at = scene.now.saturating_duration_since(self.start);
        let owner = self.owners.get(group).is_some_and(|nodes| nodes.contains_key(&node));
        let active = scene.nodes.get(node).is_some_and(answers);
        if !owner || !active {
            return Err(Violation(format!(
                "node {node} spoke for {address} (owner {owner}, active {active})"
            )));
        }
        if is_answer(heard) {
            self.answered.push((at, node, address));
            let age = prompted_at.map(|at| scene.now.saturating_duration_since(at));
            if age.is_none_or(|age| age > self.timing.request_max_age) {
                return Err(Violation(format!("node {node} answered for {address} after {age:?}")));
            }
            return Ok(());
        }
        self.announced.push((at, node, address));
        let patience = self.timing.dead + scene.network.flight() + SCHEDULING * 2;
        match self.cut_off.get(&node) {
            Some(since) if scene.now.saturating_duration_since(*since) > patience => {
                Err(Violation(format!("node {node} announced {address} though nobody could hear of it")))
            }
            _ => Ok(()),
        }
    }

    /// What must hold between events.
    pub(crate) fn check(
        &mut self,
        groups: &BTreeMap<IpAddr, GroupId>,
        scene: Scene<'_>,
    ) -> Result<(), Violation> {
        self.note_cut_off(scene);
        let contested = self.owners.iter().filter(|(_, nodes)| nodes.len() > 1).map(|(group, _)| *group);
        let contested: BTreeSet<GroupId> = contested.collect();
        self.overlaps.retain(|group, _| contested.contains(group));
        for group in contested {
            self.check_overlap(group, scene)?;
        }
        let calm = scene.network.sound_for(scene.now) >= SETTLED
            && scene.nodes.iter().all(|n| scene.now.saturating_duration_since(n.changed) >= SETTLED);
        let agreed = self.agreed_at.is_some_and(|at| scene.now.saturating_duration_since(at) < RACE);
        if calm && !agreed {
            self.agreed_at = Some(scene.now);
            let views = views(scene);
            for group in groups.values() {
                self.check_settled(*group, &views, scene)?;
            }
        }
        Ok(())
    }

    /// Two nodes that can hear each other answer for one group only for as long as a claim travels.
    fn check_overlap(&mut self, group: GroupId, scene: Scene<'_>) -> Result<(), Violation> {
        let answering = self.answering(group, scene);
        if answering.len() < 2 || !scene.network.is_sound() {
            self.overlaps.remove(&group);
            return Ok(());
        }
        let since = *self.overlaps.entry(group).or_insert(scene.now);
        let lasted = scene.now.saturating_duration_since(since);
        let lossy = if scene.network.loss > 0.0 { self.timing.hello * 2 } else { Duration::ZERO };
        let bound = scene.network.flight() * 2 + self.timing.hello + SCHEDULING * 4 + lossy;
        self.longest_overlap = self.longest_overlap.max(lasted);
        // Peers that were separated for long must believe each other first.
        let healing = scene.network.sound_for(scene.now) < self.timing.dead
            || answering.iter().any(|n| {
                scene.nodes.get(*n).is_some_and(|n| scene.now.saturating_duration_since(n.changed) < SOUND)
            });
        let bound = if healing { bound + self.timing.dead } else { bound };
        if lasted > bound {
            return Err(Violation(format!("nodes {answering:?} answer for {group:?} since {lasted:?}")));
        }
        Ok(())
    }

    /// Without trouble each group has one owner, whom everybody knows.
    fn check_settled(&self, group: GroupId, views: &Views, scene: Scene<'_>) -> Result<(), Violation> {
        let able = scene.nodes.iter().filter(|n| n.health() == Health::Well && n.may_carry(group)).count();
        let answering = self.answering(group, scene);
        let [owner] = answering[..] else {
            let spoke = self.client_spoke.is_some_and(|at| scene.now.saturating_duration_since(at) > SOUND);
            if answering.is_empty() && (able == 0 || (able == 1 && !spoke)) {
                return Ok(());
            }
            return Err(Violation(format!("{able} nodes could own {group:?}, {answering:?} answer")));
        };
        let owner_id = scene.nodes.get(owner).map(|n| n.id);
        for (number, owners) in views {
            if owners.get(&group).is_some_and(|seen| *seen != owner_id) {
                return Err(Violation(format!("node {owner} owns {group:?}, node {number} sees another")));
            }
        }
        Ok(())
    }

    /// Notes who hears nobody or is heard by nobody.
    fn note_cut_off(&mut self, scene: Scene<'_>) {
        if scene.network.is_sound() {
            return self.cut_off.clear();
        }
        for number in 0..scene.nodes.len() {
            let (deaf, mute) = scene.network.cut_off(Port(number));
            if deaf || mute {
                self.cut_off.entry(number).or_insert(scene.now);
            } else {
                self.cut_off.remove(&number);
            }
        }
    }
}

/// Whom each node that is well takes for the owner of each group.
type Views = Vec<(usize, BTreeMap<GroupId, Option<NodeId>>)>;

fn views(scene: Scene<'_>) -> Views {
    let well = scene.nodes.iter().enumerate().filter(|(_, node)| node.health() == Health::Well);
    let seen =
        well.filter_map(|(number, node)| Some((number, node.speaker.as_ref()?.segment.view(scene.now))));
    seen.map(|(number, view)| (number, view.groups.into_iter().map(|g| (g.id, g.owner)).collect())).collect()
}

/// Whether the node answers for what it owns.
fn answers(node: &Node) -> bool {
    let running = matches!(node.health(), Health::Well | Health::Draining);
    running && node.speaker.as_ref().is_some_and(|speaker| speaker.segment.phase() == Phase::Active)
}

/// Whether the frame is an answer to one station rather than an announcement to all.
fn is_answer(heard: &Heard) -> bool {
    match heard {
        Heard::ArpReply { dst, .. } => !dst.is_multicast(),
        Heard::NeighborAdvertisement { solicited, .. } => *solicited,
        Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => false,
    }
}
