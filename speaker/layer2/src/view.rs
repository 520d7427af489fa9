// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a segment looks like from this node: for status, metrics and "why is it like this?".

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    election::Election,
    group::{Group, MoveOut, Role, Voice},
    identity::{GroupId, Incarnation, MacAddr, NodeId, Term},
    membership::Membership,
    output::Cause,
    rejection,
};

/// A segment at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// Whether this node acts, and if not, why.
    pub phase: Phase,
    /// It is being emptied.
    pub draining: bool,
    /// It fell silent so often that it leaves what is free to others.
    pub shaky: bool,
    /// Something showed within the dead interval that others hear us.
    pub proven: bool,
    /// Every peer that is up.
    pub peers: Vec<PeerView>,
    /// Every group of the list last given.
    pub groups: Vec<GroupView>,
    /// So many nodes are heard that all speak less often than the profile says.
    pub slowed: Option<Pace>,
    /// What was counted.
    pub counters: Counts,
}

/// How often a node speaks on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two hellos.
    pub hello: Duration,
    /// Silence after which a node is dead.
    pub dead: Duration,
}

/// What a node does on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The link is down, or not known yet.
    Down,
    /// It listens before its first claim.
    Listening,
    /// It answers and claims.
    Active,
    /// It stood still, and listens whether others took over before it answers again.
    Stalled,
    /// Another station speaks in its name and owns more: it does nothing until that one has gone.
    Aside,
    /// It has left.
    Left,
}

/// A peer that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Who it is.
    pub node: NodeId,
    /// Which run of its process.
    pub incarnation: Incarnation,
    /// Where it speaks from.
    pub source: IpAddr,
    /// When it was last heard.
    pub heard: Instant,
    /// It has been silent for so long that it was asked whether it lives.
    pub suspect: bool,
    /// It is being emptied.
    pub draining: bool,
    /// All that it owns is known here.
    pub complete: bool,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Which.
    pub id: GroupId,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where this node stands.
    pub state: GroupState,
    /// Who owns it, as far as is known; this node included.
    pub owner: Option<NodeId>,
    /// The owner's term, or the highest seen.
    pub term: Term,
    /// Since when state or owner are what they are.
    pub since: Instant,
    /// Why this node owns it, or why nobody does.
    pub cause: Option<Cause>,
    /// Stations outside the cluster that have addresses of it, which this node leaves alone for that.
    pub in_use: BTreeMap<IpAddr, MacAddr>,
}

/// Where this node stands in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// It owns the group and announces it.
    Owner,
    /// It owns the group and answers, but leaves clients alone that this node's kernel still serves.
    Quiet(NodeId),
    /// It owns the group and has offered it to this node.
    Offering(NodeId),
    /// It owns the group, which should move for this reason, but nobody took it.
    Stuck(Cause),
    /// Another node owns it.
    Standby,
    /// It is about to claim.
    Contending,
    /// It would claim, but nothing shows that others hear it.
    NoProof,
    /// Nobody is known to have held it: the segment is asked whether somebody outside the cluster has its addresses.
    Searching,
    /// A station outside the cluster has one of its addresses.
    InUse,
    /// The segment is not active: see the phase.
    Waiting,
    /// This node is not among the candidates.
    NotCandidate,
    /// This node is a candidate, but its data path is not in place.
    NotReady,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Hellos sent, to all and to one.
    pub hellos_sent: u64,
    /// Hellos believed.
    pub hellos_heard: u64,
    /// ARP requests and neighbour solicitations answered.
    pub answers: u64,
    /// Requests not answered because they were too old.
    pub late_requests: u64,
    /// Announcements sent, in frames.
    pub announcements: u64,
    /// Probes sent, for proof or to see whether a node lives.
    pub probes: u64,
    /// Times that a peer's claim, or its end, was passed on to nodes that may not have heard of it.
    pub relays: u64,
    /// Times that this process stood still for longer than peers wait.
    pub stalls: u64,
    /// Hellos of a second process of a node that was up, or of another station in our name.
    pub duplicates: u64,
    /// Packets refused.
    pub rejections: rejection::Counters,
}

pub(crate) fn peers(members: &Membership, election: &Election) -> Vec<PeerView> {
    let view = |(node, life): (NodeId, &crate::peer::Life)| PeerView {
        node,
        incarnation: life.incarnation,
        source: life.source,
        heard: life.heard,
        suspect: life.is_suspect(),
        draining: life.flags.draining,
        complete: election.claims.complete(node),
    };
    let mut peers: Vec<PeerView> = members.all_alive().map(view).collect();
    peers.sort_unstable_by_key(|peer| peer.node);
    peers
}

pub(crate) fn groups(election: &Election, me: NodeId, active: bool) -> Vec<GroupView> {
    election.groups().map(|(id, group)| one_group(id, group, election, me, active)).collect()
}

fn one_group(id: GroupId, group: &Group, election: &Election, me: NodeId, active: bool) -> GroupView {
    let (owner, term, cause) = match (&group.role, group.rival) {
        (Role::Owner(tenure), _) => (Some(me), tenure.term, Some(tenure.cause)),
        (_, Some(rival)) => (Some(rival.node), rival.term, None),
        (_, None) => (None, election.claims.term(id), Some(group.vacancy)),
    };
    GroupView {
        id,
        addresses: group.intent.addresses.clone(),
        state: state(group, me, active),
        owner,
        term,
        since: group.since,
        cause,
        in_use: group.stations(),
    }
}

fn state(group: &Group, me: NodeId, active: bool) -> GroupState {
    match &group.role {
        Role::Owner(tenure) => match (&tenure.move_out, tenure.voice) {
            (MoveOut::Offered(offer), _) => GroupState::Offering(offer.to),
            (MoveOut::Stuck(cause), _) => GroupState::Stuck(*cause),
            (MoveOut::No | MoveOut::Waiting { .. }, Voice::Quiet { of, .. }) => GroupState::Quiet(of),
            (MoveOut::No | MoveOut::Waiting { .. }, Voice::Loud) => GroupState::Owner,
        },
        Role::Contending { .. } => GroupState::Contending,
        Role::Unproven => GroupState::NoProof,
        Role::Searching(_) => GroupState::Searching,
        Role::Conflict { .. } => GroupState::InUse,
        Role::Standby if !group.intent.candidates.contains(&me) => GroupState::NotCandidate,
        Role::Standby if !group.intent.ready => GroupState::NotReady,
        Role::Standby if group.rival.is_none() && !active => GroupState::Waiting,
        Role::Standby => GroupState::Standby,
    }
}
