// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Layer 2 of FerroLB: which node of a segment answers for which address, and the packets that settle it.
//!
//! [`Segment`] is the engine: one per layer-2 domain and node, driven with packets and times.
//!
//! Sans-IO: nothing in this crate reads a clock, opens a socket or starts a task. Time comes in as [`std::time::Instant`],
//! packets come in and go out as byte slices, randomness comes from a seed; so a recorded trace replays exactly.

mod agenda;
pub mod announce;
pub mod balance;
mod by_id;
mod claims;
mod damping;
pub mod digest;
mod election;
pub mod engine;
pub mod frame;
mod group;
pub mod hello;
mod holdings;
pub mod identity;
pub mod input;
pub mod keys;
mod load;
mod membership;
#[cfg(test)]
mod mutation;
mod news;
pub mod output;
mod peer;
mod proof;
mod punctuality;
mod rank;
pub mod rejection;
pub mod rule;
mod sent;
mod strangers;
pub mod timing;
mod twin;
pub mod view;
pub mod witness;

pub use announce::{Announcer, Asker, Budget, Utterance};
pub use by_id::ByNode;
pub use digest::Digest;
pub use engine::{Genuine, Segment};
pub use frame::Heard;
pub use hello::{Claim, Delta, Echo, Flags, Hello, Recipient, Slice, UpTo};
pub use identity::{ClusterId, GroupId, Incarnation, MacAddr, NodeId, Term};
pub use input::{GroupIntent, Input, LinkState, SegmentConfig};
pub use keys::{KeyRing, KeyTooShort};
pub use membership::ECHOES_AMONG_MANY;
pub use output::{Cause, Destination, Event, Output, PeerDownCause};
pub use rejection::{Counters, Kind, Rejection};
pub use timing::Timing;
pub use view::{Counts, GroupState, GroupView, Pace, PeerView, Phase, SegmentView};
pub use witness::{Testimony, Verdict, Witness};
