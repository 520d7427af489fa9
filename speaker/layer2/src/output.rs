// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What comes out of a segment's engine.

use std::{fmt, net::IpAddr, time::Duration};

use crate::identity::{GroupId, MacAddr, NodeId, Term};

/// Something to send or to tell, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram from the hello port with hop limit 255.
    Hello {
        /// Where to.
        to: Destination,
        /// Its UDP payload.
        payload: Vec<u8>,
    },
    /// Send this Ethernet frame.
    Frame(Vec<u8>),
    /// Tell people.
    Event(Event),
    /// The answer to `Input::Drain`: nothing is owned any more, or nobody can take the rest. Comes once.
    Drained,
}

/// Where a hello goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Every station of the segment.
    Multicast,
    /// One peer.
    Unicast(IpAddr),
}

/// Something that people and metrics want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node took the group.
    Claimed {
        /// What was taken.
        group: GroupId,
        /// The term of the claim.
        term: Term,
        /// Why.
        cause: Cause,
        /// New clients are answered, but nobody is told to move: the old node still serves those who hold its MAC.
        quiet: bool,
    },
    /// A group taken quietly is announced from now on.
    Announcing {
        /// Which.
        group: GroupId,
    },
    /// This node stopped answering for the group.
    Yielded {
        /// What was given up.
        group: GroupId,
        /// The term under which it was held.
        term: Term,
        /// Who holds it now, if anybody is known to.
        to: Option<NodeId>,
        /// Why.
        cause: Cause,
    },
    /// The group should move, but nobody took it; this node goes on answering.
    NobodyTook {
        /// Which.
        group: GroupId,
        /// Why it should move.
        cause: Cause,
    },
    /// A peer is heard and believed.
    PeerUp(NodeId),
    /// A peer is gone.
    PeerDown(NodeId, PeerDownCause),
    /// A station outside the cluster uses an address that this node carries.
    ForeignAnswer {
        /// The address.
        address: IpAddr,
        /// The station.
        mac: MacAddr,
    },
    /// A station outside the cluster has an address that nobody in the cluster is known to have held. The group is not taken,
    /// or the address not answered for if it came to a group that this node owns; it is looked for again after a minute.
    InUse {
        /// The group.
        group: GroupId,
        /// The address.
        address: IpAddr,
        /// The station.
        mac: MacAddr,
    },
    /// Two processes speak for one node, or another station for ours.
    DuplicateIdentity {
        /// The node concerned.
        node: NodeId,
        /// Where the second one speaks from.
        source: IpAddr,
    },
    /// That other station owns more than this one, or as much and began later: this one does nothing until the other has gone.
    SteppedAside {
        /// Where it speaks from.
        source: IpAddr,
    },
    /// This node fell silent so often that it leaves what is free to others, for so long at least.
    Shaky(Duration),
    /// This process stood still for so long that peers may have taken over; it listens before it answers again.
    Stalled(Duration),
}

/// Why a group moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nobody was known to hold it.
    FirstUse,
    /// Its owner fell silent.
    Silence(NodeId),
    /// Its owner speaks but hears nobody, clients included.
    Deaf(NodeId),
    /// Its owner's speaker was restarted without giving it up.
    Restarted(NodeId),
    /// Its owner gave it up.
    Resigned(NodeId),
    /// Its owner offered it, or the named node took what was offered.
    HandedOver(NodeId),
    /// A newer claim of that node was heard.
    HigherClaim(NodeId),
    /// This node may no longer carry it, or its data path is gone.
    NotEligible,
    /// It was asked for.
    Requested,
    /// The link went down.
    LinkDown,
    /// This node is being emptied.
    Drain,
    /// This process stood still.
    OwnStall,
    /// Another station speaks in this node's name.
    Duplicate,
    /// Its owner lives but stopped listing it.
    Lapsed(NodeId),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstUse => f.write_str("nobody held it"),
            Self::Silence(node) => write!(f, "node {node} fell silent"),
            Self::Deaf(node) => write!(f, "node {node} hears nobody"),
            Self::Restarted(node) => write!(f, "the speaker of node {node} was restarted"),
            Self::Resigned(node) => write!(f, "node {node} gave it up"),
            Self::HandedOver(node) => write!(f, "handed over by agreement with node {node}"),
            Self::HigherClaim(node) => write!(f, "node {node} holds a newer claim"),
            Self::NotEligible => f.write_str("this node may not carry it now"),
            Self::Requested => f.write_str("it was asked for"),
            Self::LinkDown => f.write_str("the link went down"),
            Self::Drain => f.write_str("the node is being emptied"),
            Self::OwnStall => f.write_str("this process stood still"),
            Self::Duplicate => f.write_str("another station speaks in this node's name"),
            Self::Lapsed(node) => write!(f, "node {node} stopped listing it"),
        }
    }
}

/// Why a peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerDownCause {
    /// Nothing was heard of it for its dead interval.
    Silence,
    /// It speaks, but shows no sign of hearing anybody.
    Deaf,
    /// A new process speaks for it; what the old one held is void.
    Restarted,
    /// It said good-bye.
    Left,
    /// Our own link went down.
    LinkDown,
}
