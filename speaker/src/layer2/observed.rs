// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the layer-2 thread tells the rest of the speaker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ferrolb_layer2::{Event, NodeId, SegmentView, Testimony};

use super::paths::Way;
use crate::kernel::priority::Shortcoming;

/// The state of all segments at one moment, published at most a few times a second.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The segments by their interface's name.
    pub segments: BTreeMap<String, SegmentReport>,
    /// Interfaces whose sockets could not be opened, with the reason; tried again every second.
    pub problems: BTreeMap<String, String>,
    /// What makes late hellos more likely on this node.
    pub shortcomings: Vec<Shortcoming>,
    /// Events that were not told because nobody took them in time.
    pub events_dropped: u64,
}

/// One segment: what the engine sees, and what the sockets count.
#[derive(Debug, Clone)]
pub struct SegmentReport {
    /// How long the segment had been open when this was so: counters are rates over it.
    pub age: Duration,
    /// The engine's view.
    pub view: SegmentView,
    /// The sockets' counters.
    pub traffic: Traffic,
    /// What this node saw of addresses that others carry, in the order of the addresses.
    pub testimonies: Vec<Testimony>,
    /// How often it asked for them.
    pub questions: u64,
    /// The nodes that are heard, but not by multicast, and how instead.
    pub detours: BTreeMap<NodeId, Way>,
}

/// Counters of one segment's sockets since they were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Hellos read, good or not.
    pub hellos_received: u64,
    /// Hellos sent.
    pub hellos_sent: u64,
    /// Hellos read that came in frames, past a filter.
    pub carried_received: u64,
    /// Hellos sent in frames.
    pub carried_sent: u64,
    /// ARP and neighbour discovery frames read.
    pub frames_received: u64,
    /// ARP and neighbour discovery frames sent.
    pub frames_sent: u64,
    /// Frames that the kernel dropped because they came faster than they were read.
    pub frames_dropped: u64,
    /// Hellos and frames that could not be sent.
    pub send_errors: u64,
    /// Errors while reading, other than those of an interface that went down.
    pub receive_errors: u64,
    /// Failures to join solicited-node groups.
    pub join_errors: u64,
}

/// Something that happened on a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEvent {
    /// The interface's name.
    pub segment: String,
    /// What happened.
    pub event: Event,
    /// When: from then on a claim is answered for. Thousands that come at once are read and logged later than that.
    pub at: Instant,
}
