// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What goes into a peer's session machine, and what comes out.

use std::{io::ErrorKind, time::Duration, time::Instant};

use crate::{
    capability::Capabilities,
    error::{Ending, PeerAs, Stop},
    family::Family,
    fault::Fault,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    message::Message,
    negotiated::Negotiated,
    restart::Restart,
};

/// Who we are towards a peer, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Our autonomous system towards it.
    pub local_as: Asn,
    /// Which one it may be of.
    pub peer_as: PeerAs,
    /// Our identifier.
    pub router_id: RouterId,
    /// How long a silence we want to bear; the peer may want less.
    pub hold_time: HoldTime,
    /// How often to send keepalives, if more often than every third of the hold time.
    pub keepalive: Option<Duration>,
    /// Who connects.
    pub role: Role,
    /// Longest pause between two attempts; the first ones follow faster. Also how long an attempt may take, between 1 and 10 s.
    pub retry: Duration,
    /// What we can do, graceful restart aside.
    pub capabilities: Capabilities,
    /// What we say about restarts; `None`: nothing.
    pub restart: Option<Restart>,
}

/// Who connects to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// We do, and the peer may.
    #[default]
    Active,
    /// The peer does.
    Passive,
}

/// One transport connection, or the attempt to make it. Numbers are not used twice, so that what is said of one that ended
/// harms no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(super) number: u64,
    pub(super) direction: Direction,
}

impl ConnectionId {
    /// Which side connected.
    pub fn direction(self) -> Direction {
        self.direction
    }
}

/// Which side made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// What shall be announced is known: from now on sessions may be set up. Also after a [`Input::Stop`], to begin again.
    Ready,
    /// The attempt that [`Output::Connect`] asked for succeeded.
    Connected(ConnectionId),
    /// It failed.
    ConnectFailed(ConnectionId, ErrorKind),
    /// A message came.
    Message(ConnectionId, Message<'a>),
    /// What came is no message.
    Fault(ConnectionId, Fault),
    /// The transport connection ended: [`ErrorKind::UnexpectedEof`] if the peer closed it.
    Closed(ConnectionId, ErrorKind),
    /// Since when the peer has taken nothing of what waits for it; `None`: it takes again. To be told when it changes.
    Writer(ConnectionId, Option<Instant>),
    /// The session was sent all routes and the End-of-RIB of every family.
    RoutesSent(ConnectionId),
    /// BFD says that the path is dead, in these words.
    BfdDown(String),
    /// End the session and set it up again, for the reason in the text.
    Reset(String),
    /// End everything.
    Stop(Stop),
    /// [`Peer::next_deadline`](super::Peer::next_deadline) has passed. What was received before has to be given in before.
    Timeout,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to the peer; [`Input::Connected`] or [`Input::ConnectFailed`] follows.
    Connect(ConnectionId),
    /// Send this, behind what was to be sent before.
    Send(ConnectionId, Message<'static>),
    /// End the connection, or the attempt. What was to be sent is sent first, as far as the peer takes it within a few seconds.
    /// Nothing more needs to be told of it.
    Close(ConnectionId),
    /// Tell those who are interested.
    Event(Event),
}

/// What became of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Routes may be sent over this connection, of what was agreed on: all of them, then the End-of-RIBs.
    Established(ConnectionId, Box<Negotiated>),
    /// The peer wants the routes of this family once more.
    Refresh(Family),
    /// The peer has sent all its routes of this family once.
    EndOfRib(Family),
    /// The session is over, and why.
    Down(Ending),
    /// There is no session yet, and why.
    Failed(Ending),
    /// Everything has ended that [`Input::Stop`] was to end.
    Stopped,
}
