// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A session as people see it.

use std::time::{Duration, Instant};

use crate::{
    output::Down,
    packet::Discriminator,
    path::Path,
    state::{Diagnostic, State},
    timing::{Interval, Role},
};

/// A session at this moment.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Our number for it.
    pub discriminator: Discriminator,
    /// Its ends.
    pub path: Path,
    /// Whether we speak first.
    pub role: Role,
    /// Our state.
    pub state: State,
    /// Why we changed it last.
    pub diagnostic: Diagnostic,
    /// What the neighbour said last; `None` if nothing was heard for a detection time.
    pub neighbour: Option<NeighbourView>,
    /// We send this often, less the jitter; `None`: not at regular times.
    pub transmit_interval: Option<Interval>,
    /// The neighbour is given up after so long a silence.
    pub detection_time: Option<Duration>,
    /// A change of times waits for the neighbour's answer.
    pub polling: bool,
    /// Since when it is up.
    pub up_since: Option<Instant>,
    /// When and why it went down last.
    pub last_down: Option<(Instant, Down)>,
    /// What it counted.
    pub counts: Counts,
}

/// What the neighbour said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourView {
    /// Its number for the session.
    pub discriminator: Discriminator,
    /// Its state.
    pub state: State,
    /// Why it changed that last.
    pub diagnostic: Diagnostic,
    /// So many of its packets have to be missing.
    pub multiplier: u8,
    /// It does not want to send more often.
    pub desired_min_tx: Interval,
    /// It does not want to receive more often.
    pub required_min_rx: Interval,
    /// It asked for demand mode.
    pub demand: bool,
    /// Its BFD goes on when its control plane restarts.
    pub control_plane_independent: bool,
}

/// What a session counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub sent: u64,
    /// Packets received and not discarded.
    pub received: u64,
    /// Packets for it that were discarded.
    pub discarded: u64,
    /// How often it came up.
    pub ups: u64,
    /// How often it went down from up.
    pub downs: u64,
}
