// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Bidirectional Forwarding Detection of FerroLB: is the router still there? Asynchronous mode of RFC 5880, over one hop (RFC 5881)
//! and over several (RFC 5883). Neither the echo function, nor demand mode on our side, nor authentication.
//!
//! [`Engine`] holds all sessions of a node: datagrams, wishes and deadlines go in, datagrams and [`Event`]s come out. Which of the
//! two sides was late when a session fails is said in the event ([`Late`]), and a neighbour that was taken out of service on
//! purpose is no failure (RFC 5882 section 3.2).
//!
//! Sans-IO: nothing in this crate reads a clock, opens a socket or starts a task. Time comes in as [`std::time::Instant`],
//! randomness comes from a seed, so a recorded trace replays exactly. Nothing that comes from the network makes it panic or grow.
//!
//! The driver, with its task and sockets, is `speaker/src/bfd`.

mod agenda;
pub mod discard;
pub mod engine;
pub mod output;
pub mod packet;
pub mod path;
mod punctuality;
mod session;
pub mod state;
pub mod timing;
pub mod view;

pub use discard::{Counters, Discard, Kind};
pub use engine::{AddError, Arrival, ChangeError, Engine, Input, SessionConfig, UnknownSession};
pub use output::{Down, DownCause, Event, Late, Output};
pub use packet::{Discriminator, Packet};
pub use path::{Hops, Path};
pub use state::{Diagnostic, State};
pub use timing::{BadTiming, Interval, Role, Timing};
pub use view::{Counts, NeighbourView, SessionView};
