// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who owns what: sticky claims with terms, contention by rank, and moves from hand to hand before the old owner lets go.
//!
//! Pure rules over what others were heard to claim. Nothing here knows frames or datagrams: what has to be done comes out as
//! [`Effect`]s, in order.

mod contending;
mod joining;
mod listing;
mod moving;
mod relay;
pub(crate) mod search;
#[cfg(test)]
mod tests;
mod turns;
mod voice;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use relay::Doubts;
use turns::Turns;

use crate::{
    agenda::Agenda,
    claims::{Change, ChangeKind, Claims},
    group::{Group, MoveOut, Role, Tenure, Voice},
    hello::{Claim, Delta, Hello, Outline, Quiet},
    holdings::Holdings,
    identity::{GroupId, MacAddr, NodeId, Term},
    load::Presumed,
    membership::Membership,
    output::Cause,
    rank::{self, Key},
    rule::{self, Rule},
    timing::Timing,
};

/// A node repeats itself against a lower claim at most once in this time.
const CONTRADICTION_GAP: Duration = Duration::from_secs(1);
/// So long after it began to act a node waits for nodes that are expected: a cluster that starts shall not be all on the
/// first node that is up.
const COLD: Duration = Duration::from_secs(10);

/// The groups of a segment and all claims to them.
#[derive(Debug)]
pub(crate) struct Election {
    me: NodeId,
    timing: Timing,
    groups: BTreeMap<GroupId, Group>,
    by_address: BTreeMap<IpAddr, GroupId>,
    pub(crate) claims: Claims,
    pub(crate) holdings: Holdings,
    /// When groups left the list that may come back.
    left: BTreeMap<GroupId, Instant>,
    presumed: Presumed,
    deadlines: Agenda<GroupId>,
    /// When this node began to act.
    began: Option<Instant>,
    /// Groups that wait for proof.
    unproven: BTreeSet<GroupId>,
    /// Groups whose addresses are searched for.
    searched: BTreeSet<GroupId>,
    /// Groups of ours with addresses that are searched for.
    joined: BTreeSet<GroupId>,
    /// Groups taken quietly, by the node whose kernel still serves them.
    quiet: BTreeMap<NodeId, BTreeSet<GroupId>>,
    doubts: Doubts,
    turns: Turns,
    effects: Vec<Effect>,
    random: fastrand::Rng,
}

/// What a decision depends on beside the claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) now: Instant,
    /// Claims may be made: the link is up, and this node has listened for long enough.
    pub(crate) active: bool,
    /// Others hear us.
    pub(crate) proven: bool,
    /// When they surely did for the last time.
    pub(crate) heard: Option<Instant>,
    /// This node is being emptied.
    pub(crate) draining: bool,
    /// This node keeps falling silent.
    pub(crate) shaky: bool,
    /// What is heard lay waiting while this process stood still, and so may what others said later: nothing is claimed before that
    /// was read.
    pub(crate) behind: bool,
    pub(crate) members: &'a Membership,
}

/// What follows from a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// We own the group from now on.
    Claimed { claim: Claim, cause: Cause, addresses: Vec<IpAddr>, quiet: bool },
    /// We own it no more. `vacant` if we gave it up without a successor and others must hear that.
    Yielded { claim: Claim, to: Option<NodeId>, cause: Cause, addresses: Vec<IpAddr>, vacant: bool },
    /// Addresses are to be announced: again, or for the first time after a quiet take-over (`was_quiet`).
    Announce { claim: Claim, addresses: Vec<IpAddr>, was_quiet: bool },
    /// Addresses left the group while we own it.
    Silence(Vec<IpAddr>),
    /// Tell a node that it should claim.
    Offer { claim: Claim, to: NodeId },
    /// Nobody took what was offered.
    NobodyTook { group: GroupId, cause: Cause },
    /// Tell others of a claim again.
    Repeat(Claim),
    /// Tell others of a peer's claim that they may not have heard, or of its end.
    Relay { claim: Claim, owner: NodeId, stands: bool },
    /// Ask the segment whether somebody has these addresses.
    Probe(Vec<IpAddr>),
    /// Somebody outside the cluster has.
    InUse { group: GroupId, address: IpAddr, mac: MacAddr },
}

impl Election {
    pub(crate) fn new(me: NodeId, timing: Timing, seed: u64) -> Self {
        Self {
            me,
            timing,
            groups: BTreeMap::new(),
            by_address: BTreeMap::new(),
            claims: Claims::default(),
            holdings: Holdings::default(),
            left: BTreeMap::new(),
            presumed: Presumed::default(),
            deadlines: Agenda::new(),
            began: None,
            unproven: BTreeSet::new(),
            searched: BTreeSet::new(),
            joined: BTreeSet::new(),
            quiet: BTreeMap::new(),
            doubts: Doubts::default(),
            turns: Turns::default(),
            effects: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Goes on with these times.
    pub(crate) fn follow(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// What was decided since this was last asked.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next().into_iter().chain(self.doubts.next()).chain(self.turns.next()).min()
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    /// Whether a group has this address.
    pub(crate) fn carries(&self, address: IpAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// The ownership under which this node answers for the address.
    pub(crate) fn owns(&self, address: IpAddr) -> Option<&Tenure> {
        let tenure = self.groups.get(self.by_address.get(&address)?)?.tenure()?;
        (!tenure.awaits(address)).then_some(tenure)
    }

    /// Whether this node owns the group.
    pub(crate) fn holds(&self, group: GroupId) -> bool {
        self.groups.get(&group).is_some_and(|group| group.tenure().is_some())
    }

    /// Which peer owns the group, if one does.
    pub(crate) fn rival(&self, group: GroupId) -> Option<NodeId> {
        self.groups.get(&group)?.rival.map(|key| key.node)
    }

    /// Whether claims wait for proof, or will need it in a moment.
    pub(crate) fn waits_for_proof(&self) -> bool {
        !self.unproven.is_empty() || !self.searched.is_empty() || !self.joined.is_empty()
    }

    /// Takes in a believed hello.
    pub(crate) fn hear(&mut self, hello: &Hello, received: Instant, s: Situation<'_>) {
        let from = hello.node;
        self.presumed.forget(from);
        for Change { group, kind } in self.claims.hear(hello, received, self.timing.dead) {
            let cause = match kind {
                ChangeKind::Claimed | ChangeKind::Resigned => Cause::Resigned(from),
                ChangeKind::Lapsed => Cause::Lapsed(from),
            };
            self.evaluate(group, cause, s);
            self.doubt(group, kind, from, s);
        }
        let news = hello.deltas.iter().filter_map(|delta| match delta {
            Delta::Claim(claim) => Some(claim),
            Delta::Resign(_) | Delta::HandOver { .. } | Delta::Relayed { .. } => None,
        });
        for claim in news.chain(&hello.claims) {
            self.contradict(*claim, from, s);
        }
        self.hear_offers(hello, s);
        self.hear_relays(hello, received, s);
    }

    /// Whether a hello without deltas repeats what its sender said of its claims before, none of which is to a group of ours; then
    /// it confirms them.
    pub(crate) fn confirm(&mut self, outline: &Outline<'_>, quiet: Quiet<'_>, received: Instant) -> bool {
        let undisputed = quiet.claims().all(|claim| !self.holdings.contains(claim.group));
        let confirmed = undisputed && self.claims.confirm(outline, quiet, received);
        if confirmed {
            self.presumed.forget(outline.node);
        }
        confirmed
    }

    /// A lower claim than ours is answered by saying ours again: the claimant's announcements may have been the last ones.
    fn contradict(&mut self, heard: Claim, from: NodeId, s: Situation<'_>) {
        let me = self.me;
        // Asked for each claim of each hello: what is ours is the shorter list.
        if !self.holdings.contains(heard.group) {
            return;
        }
        let Some(group) = self.groups.get_mut(&heard.group) else { return };
        let addresses = group.answered();
        let Some(tenure) = group.tenure_mut() else { return };
        let recently =
            tenure.contradicted.is_some_and(|at| s.now.saturating_duration_since(at) < CONTRADICTION_GAP);
        let ours = Key::of(heard.group, me, tenure.term);
        if recently || Key::of(heard.group, from, heard.term) > ours {
            return;
        }
        tenure.contradicted = Some(s.now);
        let claim = Claim { group: heard.group, term: tenure.term };
        if tenure.voice == Voice::Loud {
            self.effects.push(Effect::Announce { claim, addresses, was_quiet: false });
        }
        self.effects.push(Effect::Repeat(claim));
    }

    /// A peer came up: what it claimed before counts again.
    pub(crate) fn peer_up(&mut self, node: NodeId, s: Situation<'_>) {
        for group in self.claims.held_by(node) {
            self.evaluate(group, Cause::Resigned(node), s);
            // It may not hear who took it meanwhile.
            self.doubt_claims(group, s);
        }
        if s.draining {
            self.retry_stuck();
        }
    }

    /// A peer is down but may come back: its claims do not count for now.
    pub(crate) fn peer_down(&mut self, node: NodeId, cause: Cause, s: Situation<'_>) {
        for group in self.claims.held_by(node) {
            self.evaluate(group, cause, s);
        }
    }

    /// All that a peer claimed is void.
    pub(crate) fn peer_void(&mut self, node: NodeId, cause: Cause, s: Situation<'_>) {
        for group in self.claims.forget(node) {
            self.evaluate(group, cause, s);
        }
    }

    /// This node has listened for long enough: others of its cluster may be starting still.
    pub(crate) fn begin(&mut self, s: Situation<'_>) {
        self.began = Some(s.now);
        self.evaluate_all(s);
    }

    /// Claims may be made again, or no longer.
    pub(crate) fn evaluate_all(&mut self, s: Situation<'_>) {
        let all: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in all {
            self.evaluate(id, Cause::FirstUse, s);
        }
    }

    /// Acts on one deadline that is due; `false` if none is.
    pub(crate) fn act_next(&mut self, s: Situation<'_>) -> bool {
        let Some(id) = self.deadlines.pop_due(s.now) else { return self.settle_doubt(s) };
        match self.groups.get(&id).map(|group| &group.role) {
            Some(Role::Contending { deferred, .. }) => self.claim_in_turn(id, *deferred, s),
            Some(Role::Owner(tenure)) => {
                if matches!(tenure.voice, Voice::Quiet { until, .. } if until <= s.now) {
                    self.announce_aloud(id);
                }
                self.expire_offer(id, s);
                self.go_on_joining(id, s);
            }
            Some(Role::Searching(_)) => self.go_on_searching(id, s),
            Some(Role::Conflict { .. }) => {
                self.stand_by(id);
                self.evaluate(id, Cause::FirstUse, s);
            }
            Some(Role::Standby | Role::Unproven) | None => {}
        }
        self.schedule(id);
        true
    }

    /// Looks at the group anew. `cause` explains the vacancy if it lost its owner just now.
    fn evaluate(&mut self, id: GroupId, cause: Cause, s: Situation<'_>) {
        let rival = self.claims.best(id, |node| s.members.is_alive(node));
        let me = self.me;
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.rival.map(|key| key.node) != rival.map(|key| key.node) {
            if group.tenure().is_none() {
                group.since = s.now;
            }
            if rival.is_none() {
                group.vacancy = cause;
            }
        }
        group.rival = rival;
        let covets =
            |key: Key| !rule::holds(Rule::Stickiness) && rank::score(id, me) > rank::score(id, key.node);
        let free = rival.is_none_or(covets) && s.active && group.may_be_mine(me);
        match (&group.role, rival) {
            (Role::Owner(tenure), Some(rival))
                if rival > Key::of(id, me, tenure.term) && rule::holds(Rule::HigherClaimWins) =>
            {
                let cause = tenure.farewell(rival.node);
                self.yield_group(id, Some(rival.node), cause, false, s.now);
            }
            (Role::Owner(_), _) => {}
            (Role::Standby, _) if free => self.contend(id, Duration::ZERO, s),
            (Role::Contending { .. } | Role::Unproven | Role::Searching(_) | Role::Conflict { .. }, _)
                if !free =>
            {
                self.stand_by(id)
            }
            (
                Role::Standby
                | Role::Contending { .. }
                | Role::Unproven
                | Role::Searching(_)
                | Role::Conflict { .. },
                _,
            ) => {}
        }
    }

    fn stand_by(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.role = Role::Standby;
        }
        self.unproven.remove(&id);
        self.searched.remove(&id);
        self.schedule(id);
    }

    fn claim(&mut self, id: GroupId, cause: Cause, quiet: Option<NodeId>, s: Situation<'_>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let term = if rule::holds(Rule::Terms) { self.claims.term(id).next() } else { Term(1) };
        let claim = Claim { group: id, term };
        let voice = quiet.map_or(Voice::Loud, |of| Voice::Quiet { of, until: s.now + self.timing.linger });
        group.role = Role::Owner(Tenure {
            term: claim.term,
            cause,
            voice,
            move_out: MoveOut::No,
            contradicted: None,
            joining: None,
        });
        group.since = s.now;
        let addresses = group.intent.addresses.clone();
        self.claims.see_term(claim);
        self.holdings.insert(claim);
        self.unproven.remove(&id);
        self.searched.remove(&id);
        if let Some(host) = quiet {
            self.quiet.entry(host).or_default().insert(id);
        }
        self.effects.push(Effect::Claimed { claim, cause, addresses, quiet: quiet.is_some() });
        self.schedule(id);
    }

    /// Stops owning the group.
    fn yield_group(&mut self, id: GroupId, to: Option<NodeId>, cause: Cause, vacant: bool, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let addresses = group.intent.addresses.clone();
        let Role::Owner(tenure) = std::mem::replace(&mut group.role, Role::Standby) else { return };
        group.vacancy = cause;
        group.since = now;
        if let Voice::Quiet { of, .. } = tenure.voice {
            self.unquiet(of, id);
        }
        self.holdings.remove(id);
        self.joined.remove(&id);
        let claim = Claim { group: id, term: tenure.term };
        self.effects.push(Effect::Yielded { claim, to, cause, addresses, vacant });
        self.schedule(id);
    }

    fn schedule(&mut self, id: GroupId) {
        self.deadlines.set(id, self.groups.get(&id).and_then(Group::deadline));
    }
}
