// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What goes into a segment's engine.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Instant};

use ipnet::IpNet;

use crate::{
    announce::Budget,
    identity::{ClusterId, GroupId, Incarnation, MacAddr, NodeId},
    keys::KeyRing,
    timing::Timing,
};

/// Who this node is on the segment, and how it behaves there.
#[derive(Clone, Debug)]
pub struct SegmentConfig {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The node itself.
    pub node: NodeId,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Seed of all randomness, so that a run can be repeated.
    pub seed: u64,
    /// Keys of the hellos.
    pub keys: KeyRing,
    /// The times.
    pub timing: Timing,
    /// How many announcements may be sent.
    pub budget: Budget,
}

/// Something happened: a packet, a wish, a deadline.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A datagram arrived on the hello port.
    Hello {
        /// Its UDP payload.
        payload: &'a [u8],
        /// The hop limit (IPv4: time to live) that it arrived with.
        hop_limit: u8,
        /// Who sent it.
        source: IpAddr,
        /// When the kernel received it, at or before now.
        received: Instant,
    },
    /// An Ethernet frame with ARP or ICMPv6 neighbour discovery arrived.
    Frame {
        /// The frame from its Ethernet header on.
        bytes: &'a [u8],
        /// When the kernel received it, at or before now.
        received: Instant,
    },
    /// The interface is, or has become, like this.
    Link(LinkState),
    /// The complete list of what this segment carries; replaces the one before.
    Groups(Vec<GroupIntent>),
    /// A part of the difference to that list: who has thousands of groups to change does so in parts, and listens in between.
    Change {
        /// Groups to carry, or to carry otherwise.
        set: Vec<GroupIntent>,
        /// Groups not to carry any more.
        gone: Vec<GroupId>,
    },
    /// All parts of the difference were given: what was heard of groups that are not in the list need not be remembered.
    Complete,
    /// The keys changed. Whoever changes them on all nodes in the order that [`KeyRing`] names loses no hello.
    Keys(Box<KeyRing>),
    /// Somebody wishes the group to move: to the node named, or to the best one.
    HandOver {
        /// What is to move.
        group: GroupId,
        /// Where to; `None` for the best-ranked candidate.
        to: Option<NodeId>,
    },
    /// Give everything to others, and say `Output::Drained` when that is done or cannot be done.
    Drain,
    /// Last words: give up what is left. Nothing follows but what is then in the outputs.
    Leave,
    /// The deadline passed.
    Timeout,
}

/// State of the interface that the segment is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// It is up and has a carrier.
    pub up: bool,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its addresses with their on-link prefixes.
    pub addresses: Vec<IpNet>,
    /// Routers on this segment.
    pub gateways: Vec<IpAddr>,
}

/// One group that this segment carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupIntent {
    /// Its identity.
    pub id: GroupId,
    /// The addresses that move together.
    pub addresses: Vec<IpAddr>,
    /// All nodes that may carry it; most groups of a segment share one list.
    pub candidates: Arc<[NodeId]>,
    /// How much candidates are preferred, by every node alike: who is preferred most takes what is free. Who is not named
    /// is not preferred. It decides nothing about what somebody holds.
    pub preferences: Arc<BTreeMap<NodeId, u32>>,
    /// This node may carry it now, and its data path is in place.
    pub ready: bool,
    /// The owner has it on its interface: there, unlike in a data path, it does not live on when the owner's speaker dies,
    /// so that clients are told to move at once.
    pub bound: bool,
}
