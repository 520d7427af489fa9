// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! All peers of a segment: who is up, who may be asked, whom to echo.

mod echoing;

pub use echoing::ECHOES_AMONG_MANY;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    agenda::Agenda,
    by_id::{ById, ByNode},
    hello::{Echo, Flags, Hello, Outline},
    identity::{Incarnation, MacAddr, NodeId},
    peer::{Absence, Judgement, Life, Peer, Reception},
    rank::Candidate,
    rule::{self, Rule},
    timing::Timing,
};

/// The peers, each with the time of the next look at it.
#[derive(Debug)]
pub(crate) struct Membership {
    me: NodeId,
    peers: ByNode<Peer>,
    /// Whose processes those are that are believed, or wait for that: echoes name processes.
    by_process: ById<Incarnation, Process>,
    by_source: BTreeMap<IpAddr, NodeId>,
    /// The stations that peers have, each with how many of them have it.
    stations: BTreeMap<MacAddr, usize>,
    looks: Agenda<NodeId>,
    timing: Timing,
    /// Until when we stood still the last time, and for how long.
    stood_still: Option<(Instant, Duration)>,
}

/// A process that echoes may name.
#[derive(Debug)]
struct Process {
    node: NodeId,
    /// Highest sequence number of which it was found that no word of others is news any more.
    settled: u64,
}

/// Something that the clock says about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has been silent for so long that it should be asked.
    Ask(NodeId),
    /// It is dead.
    Died(NodeId),
    /// It speaks, but hears nobody: whoever asks it gets no answer.
    Deaf(NodeId),
    /// It is no longer remembered, nor should its claims be.
    Forgotten(NodeId),
}

impl Membership {
    pub(crate) fn new(me: NodeId, timing: Timing) -> Self {
        Self {
            me,
            peers: ByNode::default(),
            by_process: ById::default(),
            by_source: BTreeMap::new(),
            stations: BTreeMap::new(),
            looks: Agenda::new(),
            timing,
            stood_still: None,
        }
    }

    /// Takes in a hello that arrived at `received`; `echoes_us` if it echoes a recent one of ours.
    pub(crate) fn hear(
        &mut self,
        hello: &Hello,
        source: IpAddr,
        received: Instant,
        echoes_us: bool,
    ) -> Reception {
        let peer = self.peers.entry(hello.node).or_insert_with(Peer::new);
        let before = peer.source();
        let processes = peer.processes();
        let reception = peer.hear(hello, source, received, echoes_us, &self.timing);
        // Its hello lay in our buffer meanwhile, and those that followed did not fit in.
        if let (Some((until, late)), Reception::Up(_)) = (self.stood_still, reception)
            && received < until
        {
            peer.forgive(late, until);
        }
        let after = peer.source();
        if before != after {
            before.and_then(|address| self.by_source.remove(&address));
            after.and_then(|address| self.by_source.insert(address, hello.node));
        }
        let now_known = peer.processes();
        self.rename(hello.node, processes, now_known);
        if reception != Reception::Known {
            self.looks.advance(hello.node, received + self.timing.suspect);
        }
        reception
    }

    /// The peer that the hello is of, if the hello says no more of it than that it lives on.
    pub(crate) fn expected(&mut self, outline: &Outline<'_>, source: IpAddr) -> Option<&mut Peer> {
        self.peers.get_mut(&outline.node).filter(|peer| peer.expects(outline, source))
    }

    /// Goes on with these times.
    pub(crate) fn follow(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// The next verdict that is due.
    pub(crate) fn judge_next(&mut self, now: Instant) -> Option<Verdict> {
        loop {
            let node = self.looks.first_due(now)?;
            let in_company = self.all_alive().any(|(other, life)| other != node && !life.is_suspect());
            let Some(peer) = self.peers.get_mut(&node) else {
                self.looks.set(node, None);
                continue;
            };
            let processes = peer.processes();
            let judgement = peer.judge(now, in_company, &self.timing);
            let left = peer.processes();
            self.rename(node, processes, left);
            let (next, verdict) = match judgement {
                Judgement::Fine { next } => (next, None),
                Judgement::Ask { next } => (next, Some(Verdict::Ask(node))),
                Judgement::Died { next, deaf: false } => (next, Some(Verdict::Died(node))),
                Judgement::Died { next, deaf: true } => (next, Some(Verdict::Deaf(node))),
                Judgement::Forget => {
                    self.looks.set(node, None);
                    self.forget(node);
                    return Some(Verdict::Forgotten(node));
                }
            };
            // A look in the past would be repeated for ever.
            self.looks.set(node, Some(next.max(now + Duration::from_micros(1))));
            if verdict.is_some() {
                return verdict;
            }
        }
    }

    fn forget(&mut self, node: NodeId) {
        let Some(peer) = self.peers.remove(&node) else { return };
        peer.source().and_then(|address| self.by_source.remove(&address));
        self.rename(node, peer.processes(), [None; 2]);
        self.count_station(peer.mac, None);
    }

    /// The processes of a node that can be named are others now.
    fn rename(&mut self, node: NodeId, before: [Option<Incarnation>; 2], after: [Option<Incarnation>; 2]) {
        if before == after {
            return;
        }
        for process in before.into_iter().flatten() {
            if self.by_process.get(&process).is_some_and(|known| known.node == node) {
                self.by_process.remove(&process);
            }
        }
        let known = after.into_iter().flatten().map(|process| (process, Process { node, settled: 0 }));
        self.by_process.extend(known);
    }

    fn count_station(&mut self, before: Option<MacAddr>, after: Option<MacAddr>) {
        if before == after {
            return;
        }
        if let Some(mac) = before
            && let std::collections::btree_map::Entry::Occupied(mut entry) = self.stations.entry(mac)
        {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        if let Some(mac) = after {
            let peers = self.stations.entry(mac).or_default();
            *peers = peers.saturating_add(1);
        }
    }

    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.looks.next()
    }

    /// We stood still for `late`: peers could not have been heard meanwhile.
    pub(crate) fn forgive(&mut self, late: Duration, now: Instant) {
        self.peers.values_mut().for_each(|peer| peer.forgive(late, now));
        self.stood_still = Some((now, late));
    }

    /// Takes one peer for dead; whether it was up.
    pub(crate) fn bury(&mut self, node: NodeId, absence: Absence, now: Instant) -> bool {
        self.peers.get_mut(&node).is_some_and(|peer| peer.bury(absence, now))
    }

    /// What third parties heard counts for peers that we know. Of all who echo the same hello, only the first makes us look at the
    /// peer.
    pub(crate) fn vouch(&mut self, echo: &Echo, received: Instant) {
        if rule::holds(Rule::Vouching)
            && let Some(process) = self.by_process.get_mut(&echo.incarnation)
            && echo.seq > process.settled
            && let (Some(peer), Some(heard)) =
                (self.peers.get_mut(&process.node), received.checked_sub(echo.age))
            && let Some(settled) = peer.vouch(echo.incarnation, echo.seq, heard)
        {
            process.settled = settled;
        }
    }

    /// The believed process of a peer that is up.
    pub(crate) fn alive(&self, node: NodeId) -> Option<&Life> {
        self.peers.get(&node)?.alive()
    }

    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        self.alive(node).is_some()
    }

    /// Whether the process is one of a node that is up.
    pub(crate) fn is_of_a_live_node(&self, process: Incarnation) -> bool {
        self.by_process.get(&process).is_some_and(|known| self.is_alive(known.node))
    }

    /// Whether the peer is up by the word of others only.
    pub(crate) fn is_unheard(&self, node: NodeId, now: Instant) -> bool {
        self.alive(node).is_some_and(|life| now.saturating_duration_since(life.heard) >= self.timing.suspect)
    }

    /// Whether no peer is known, neither up nor down.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many peers that are silent now fell silent at that time, or since.
    pub(crate) fn fell_silent_since(&self, then: Instant, timing: &Timing) -> usize {
        let about = then.checked_sub(timing.dead).unwrap_or(then);
        self.peers.values().filter_map(Peer::silent_since).filter(|at| *at >= about).count()
    }

    /// Every peer that is up.
    pub(crate) fn all_alive(&self) -> impl Iterator<Item = (NodeId, &Life)> + '_ {
        self.peers.iter().filter_map(|(node, peer)| Some((*node, peer.alive()?)))
    }

    /// Whether somebody is heard whom we do not believe yet.
    pub(crate) fn has_strangers(&self) -> bool {
        self.peers.values().any(|peer| peer.alive().is_none() && peer.has_fresh_stranger())
    }

    /// Whether somebody is up and not suspected: who echoes us keeps our proof fresh.
    pub(crate) fn hears_somebody(&self) -> bool {
        self.all_alive().any(|(_, life)| !life.is_suspect())
    }

    /// Whether somebody is up, and all that are up may be silent for so long.
    pub(crate) fn all_grant(&self, silence: Duration) -> bool {
        let mut alive = self.all_alive().map(|(_, life)| life.may_be_silent_for()).peekable();
        alive.peek().is_some() && alive.all(|granted| silence <= granted)
    }

    /// Those of `nodes` that are up.
    pub(crate) fn candidates<'a>(
        &'a self,
        nodes: &'a [NodeId],
    ) -> impl Iterator<Item = (Candidate, &'a Life)> + 'a {
        nodes.iter().filter_map(|node| {
            let life = self.alive(*node)?;
            let Flags { draining, shaky, .. } = life.flags;
            Some((Candidate { node: *node, reluctant: draining, shaky, preference: 0, full: false }, life))
        })
    }

    /// Where a peer, up or down, was last heard from.
    pub(crate) fn source(&self, node: NodeId) -> Option<IpAddr> {
        self.peers.get(&node)?.source()
    }

    /// The peer that speaks from `address`.
    fn at(&mut self, address: IpAddr) -> Option<&mut Peer> {
        self.peers.get_mut(self.by_source.get(&address)?)
    }

    /// The kernel at `address` answered a probe.
    pub(crate) fn host_answered(&mut self, address: IpAddr, at: Instant) {
        if let Some(peer) = self.at(address) {
            peer.host_answered = peer.host_answered.max(Some(at));
        }
    }

    /// The station `mac` says that it has `address`: perhaps it is a peer's.
    pub(crate) fn station(&mut self, address: IpAddr, mac: MacAddr) {
        if let Some(peer) = self.at(address) {
            let before = peer.mac.replace(mac);
            self.count_station(before, Some(mac));
        }
    }

    /// Whether the station is known to be a peer's.
    pub(crate) fn is_peer_station(&self, mac: MacAddr) -> bool {
        self.stations.contains_key(&mac)
    }

    /// Whether the peer's kernel, or a live process of it, gave a sign within the dead interval.
    pub(crate) fn host_lives(&self, node: NodeId, now: Instant) -> bool {
        let sign = self.peers.get(&node).and_then(Peer::host_sign);
        sign.is_some_and(|at| now.saturating_duration_since(at) < self.timing.dead)
    }
}
