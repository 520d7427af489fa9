// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What clients notice of a failover. Every prober runs on threads of its own inside a namespace, from `start` to `finish`, and reports
//! its own worst stall: a figure from a prober that was asleep is worth nothing.

mod connections;
mod connects;
mod cores;
mod dialogue;
mod new_clients;
mod pace;
mod requests;
mod survey;
mod sweep;
mod task;
mod udp_echo;

use std::time::Duration;

pub use connections::{Connections, ConnectionsReport};
pub use connects::{Connects, ConnectsReport};
pub use cores::{Cores, Standstill};
pub use new_clients::{Answer, NewClients, NewClientsReport};
pub(crate) use pace::{Pace, hurry};
pub use requests::{Requests, RequestsReport};
pub use survey::{Survey, SurveyReport};
pub use sweep::{Sweep, SweepReport};
pub(crate) use task::{Ready, Running, Task};
pub use udp_echo::{UdpEcho, UdpEchoReport};

/// A run in which a prober stalled for longer than this is shown and repeated, not counted.
pub const TOLERATED_STALL: Duration = Duration::from_millis(20);
