// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BGP of FerroLB: what is said to routers and understood from them.
//!
//! Sans-IO: nothing in this crate reads a clock, opens a socket or starts a task. Bytes come in and go out as slices, time comes in as
//! [`std::time::Instant`], randomness from a seed, so everything here is a function of what was put in.
//!
//! - [`Framer`] cuts a stream into [`Frame`]s in a buffer of fixed size; [`Message::decode`] reads one. OPEN, NOTIFICATION, KEEPALIVE
//!   and ROUTE-REFRESH mean the same in every session; an UPDATE is read by [`UpdateBody::read`], for which it takes what the session
//!   has agreed on: [`Negotiated`], made of the two [`Open`]s.
//! - What is wrong is a [`Fault`], which ends the session and knows the [`Notification`] to end it with, or an [`AttributeFault`],
//!   which it survives (RFC 7606).
//! - [`Peer`] is the session machine of one peer (RFC 4271, section 8): it says when to connect, what to send and when to end it, and
//!   why it ended ([`Ending`]).
//! - [`Discovery`](discovery::Discovery) finds the router of a link by its advertisements, where no address is configured.
//! - [`Message::encode`] writes a message. UPDATEs are written by [`RibOut`] alone: it is told what the peer shall know
//!   ([`RibOut::set_desired`]), remembers what it was sent, and yields the difference message by message, as fast as somebody takes
//!   them ([`RibOut::next_message`]).
//!
//! There is no Loc-RIB: routes of peers are checked, so that the session goes on or ends as it must, and forgotten. Nothing here
//! panics or grows because of what a peer sends; a decoded message borrows from the bytes that it came in.
//!
//! The driver of sessions, with its tasks and sockets, is `speaker/src/bgp`.

mod attributes;
mod capability;
mod code_set;
mod community;
pub mod discovery;
mod error;
mod family;
mod fault;
mod framer;
mod fsm;
mod hold_time;
mod identity;
mod length;
pub mod message;
mod negotiated;
pub mod notification;
mod open;
pub mod peer;
mod prefixes;
mod reader;
mod refresh;
mod restart;
mod rib_out;
mod state;
#[cfg(test)]
mod testing;
mod timers;
mod update;
mod writer;

pub use attributes::{AttributeKind, Attributes, NextHop, Origin};
pub use capability::{Capabilities, GracefulRestart, RestartTime};
pub use code_set::CodeSet;
pub use community::{Community, ExtendedCommunity, LargeCommunity, NotACommunity};
pub use error::{Ending, PeerAs, Refusal, Stop};
pub use family::{Families, Family};
pub use fault::Fault;
pub use framer::Framer;
pub use hold_time::HoldTime;
pub use identity::{Asn, RouterId};
pub use message::{Frame, Kind, Message};
pub use negotiated::Negotiated;
pub use notification::{Code, Notification};
pub use open::Open;
pub use peer::{ConnectionId, Peer, PeerConfig, PeerView};
pub use prefixes::Prefixes;
pub use refresh::RouteRefresh;
pub use restart::{Beginning, Restart};
pub use rib_out::{RibOut, Routes, Unsendable};
pub use state::State;
pub use update::{AsPath, AttributeFault, Handling, PathAttributes, Reachable, Update, UpdateBody};
