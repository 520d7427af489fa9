// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions with routers: tasks and sockets around the machines of `ferrolb-bgp`.
//!
//! ```text
//!   watch of Wish ──┐                     ┌──> writer task ──> TCP
//!   commands ───────┼──> one task a peer ─┤   (bounded queue)
//!   Listener ───────┘    Peer, RibOut     └──  reads, attempts to connect
//!                             │
//!                        watch of View
//! ```
//!
//! A [`Session`] says to its peer what the [`Wish`] says, as fast as the peer reads and no faster; nothing waits for a peer but its own
//! writer. What a peer sends is checked and forgotten.

mod driver;
mod link;
mod listener;
mod lookout;
mod next_hop;
mod picture;
mod session;
mod sight;
mod speaking;
mod told;
mod view;
mod wish;
mod words;
mod writer;

pub use listener::{Arrivals, Listener};
#[cfg(test)]
pub(crate) use picture::live_in_tests;
pub(crate) use picture::{Picture, Seen};
pub use session::{PeerSettings, Session};
pub(crate) use speaking::{Speaking, Speech, Spoken};
pub use view::{RoutesView, View};
pub use wish::{Announcement, Wish};
