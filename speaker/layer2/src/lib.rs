// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//!
//! Sans-IO: nothing in this crate reads a clock, opens a socket or starts a task. Time comes in as [`std::time::Instant`],
//! packets come in and go out as byte slices, randomness comes from a seed; so a recorded trace replays exactly.

pub mod announce;
pub mod digest;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod keys;
#[cfg(test)]
mod mutation;
pub mod rejection;

pub use announce::{Announcer, Budget};
pub use digest::Digest;
pub use frame::Heard;
pub use hello::{Claim, Delta, Echo, Flags, Hello, Recipient, Slice, UpTo};
pub use identity::{ClusterId, GroupId, Incarnation, MacAddr, NodeId, Term};
pub use keys::{KeyRing, KeyTooShort};
pub use rejection::{Counters, Kind, Rejection};
