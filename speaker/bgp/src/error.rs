// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Why a connection to a peer ended, in words for people and as the NOTIFICATION that tells the peer.

use std::{fmt, io::ErrorKind, time::Duration};

use thiserror::Error;

use crate::{
    family::Families,
    fault::Fault,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    message::Kind,
    notification::{Code, Notification},
    state::State,
};

/// Why a connection ended, or never came to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Ending {
    /// The peer could not be reached.
    #[error("cannot connect: {}", transport(*.0))]
    NoConnection(ErrorKind),
    /// TCP ended without a word of BGP.
    #[error("the connection broke: {}", transport(*.0))]
    Broke(ErrorKind),
    /// The peer ended it. It gets no answer: nobody answers a NOTIFICATION (RFC 4271, section 6.4).
    #[error("the peer ended the session: {0}")]
    Told(Notification),
    /// The peer broke a rule of the protocol.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The peer is not the one that is meant, or cannot what is needed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The peer said nothing.
    #[error("nothing was heard of the peer for the hold time of {0}")]
    HoldTimerExpired(HoldTime),
    /// The peer took the connection and did not go on.
    #[error("the peer took the connection, but no {} came within a minute", awaited(*.0))]
    NoAnswer(State),
    /// The peer does not read (RFC 9687).
    #[error("the peer has taken nothing for {} s", .0.as_secs())]
    SendHoldTimerExpired(Duration),
    /// A message at a time when there is none of its kind.
    #[error("the peer sent {} in state {state}", .kind.name())]
    Unexpected {
        /// What came.
        kind: Kind,
        /// What we were in.
        state: State,
    },
    /// Another connection to the same peer is kept (RFC 4271, section 6.8).
    #[error("another connection to the peer is kept")]
    Collision,
    /// The peer began anew: its new connection takes the place of this one (RFC 4724, section 5).
    #[error("the peer has restarted")]
    Superseded,
    /// BFD says that the path is dead (RFC 9384).
    #[error("BFD: {0}")]
    BfdDown(String),
    /// We ended it, and will connect again.
    #[error("reset here: {0}")]
    Reset(String),
    /// We ended it.
    #[error("ended here: {0}")]
    Stopped(Stop),
}

/// How we end a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Stop {
    /// This side is taken down, for the reason in the text: the peer shall drop our routes.
    #[error("shutdown, {0:?}")]
    Shutdown(String),
    /// The peer was removed from the configuration: it shall drop our routes.
    #[error("the peer is no longer configured")]
    Deconfigured,
    /// Another process takes over at once: the connection just ends, so that a peer that knows graceful restart keeps our routes.
    #[error("restart")]
    Upgrade,
}

/// Why an OPEN was not accepted (RFC 4271, section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another autonomous system answers than the one that is meant.
    #[error("the peer says that its autonomous system is {got}; {wanted} is configured")]
    PeerAs {
        /// What is configured.
        wanted: PeerAs,
        /// What the peer says.
        got: Asn,
    },
    /// The peer has our router id (RFC 6286, section 2.2).
    #[error("the peer has our router id {0}: give one of the two another")]
    RouterId(RouterId),
    /// Nothing could be said to it.
    #[error("the peer carries none of our address families")]
    NoFamily {
        /// Those that we offered.
        ours: Families,
    },
}

/// Which autonomous system a peer may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAs {
    /// This one.
    Exactly(Asn),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
}

impl fmt::Display for PeerAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(asn) => asn.fmt(f),
            Self::Internal => f.write_str("our own (internal)"),
            Self::External => f.write_str("any but our own (external)"),
        }
    }
}

impl Ending {
    /// What to tell the peer; `None`: nothing, the connection just ends. `survivable` says that a plain NOTIFICATION would leave
    /// our routes in force at the peer (RFC 8538).
    pub(crate) fn notification(&self, survivable: bool) -> Option<Notification> {
        let for_good =
            |notification: Notification| if survivable { notification.hard() } else { notification };
        Some(match self {
            Self::NoConnection(_)
            | Self::Broke(_)
            | Self::Told(_)
            // It would wait behind what the peer does not take.
            | Self::SendHoldTimerExpired(_)
            | Self::Superseded
            | Self::Stopped(Stop::Upgrade) => return None,
            Self::Fault(fault) => fault.notification(),
            Self::Refused(refusal) => refusal.notification(),
            Self::HoldTimerExpired(_) | Self::NoAnswer(_) => Notification::new(Code::HOLD_TIMER_EXPIRED),
            Self::Unexpected { kind, state } => Notification::with_data(unexpected(*state), &[kind.code()]),
            Self::Collision => Notification::new(Code::CONNECTION_COLLISION),
            Self::BfdDown(_) => Notification::new(Code::BFD_DOWN),
            Self::Reset(text) => Notification::reset(text),
            Self::Stopped(Stop::Shutdown(text)) => for_good(Notification::shutdown(text)),
            Self::Stopped(Stop::Deconfigured) => for_good(Notification::new(Code::PEER_DECONFIGURED)),
        })
    }
}

impl Refusal {
    fn notification(self) -> Notification {
        match self {
            Self::PeerAs { .. } => Notification::new(Code::BAD_PEER_AS),
            Self::RouterId(_) => Notification::new(Code::BAD_BGP_IDENTIFIER),
            // RFC 5492, section 5: the data is what we miss, written as in an OPEN.
            Self::NoFamily { ours } => {
                let missing = ours.iter().flat_map(|family| {
                    let [high, low] = family.afi().to_be_bytes();
                    [1, 4, high, low, 0, family.safi()]
                });
                Notification::with_data(Code::UNSUPPORTED_CAPABILITY, &missing.collect::<Vec<u8>>())
            }
        }
    }
}

/// RFC 6608.
fn unexpected(state: State) -> Code {
    match state {
        State::OpenConfirm => Code::UNEXPECTED_IN_OPEN_CONFIRM,
        State::Established => Code::UNEXPECTED_IN_ESTABLISHED,
        State::Idle | State::Connect | State::Active | State::OpenSent => Code::UNEXPECTED_IN_OPEN_SENT,
    }
}

fn awaited(state: State) -> &'static str {
    if state == State::OpenConfirm { "KEEPALIVE" } else { "OPEN" }
}

/// What a socket's error means to somebody who sets up a router.
fn transport(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::ConnectionRefused => {
            "refused; is BGP running there, and does it know this node's address?".to_owned()
        }
        ErrorKind::TimedOut => {
            "no answer; the peer may be down, a filter between, or the passwords (TCP MD5) may differ"
                .to_owned()
        }
        ErrorKind::UnexpectedEof => "the peer closed it without giving a reason".to_owned(),
        ErrorKind::ConnectionReset => "the peer reset it without giving a reason".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_for_good_is_a_hard_reset_where_a_plain_one_would_be_survived() {
        let stop = |stop| Ending::Stopped(stop);
        let code = |ending: &Ending, survivable| ending.notification(survivable).map(|said| said.code());
        let down = stop(Stop::Shutdown("maintenance".to_owned()));
        assert_eq!(code(&down, false), Some(Code::ADMINISTRATIVE_SHUTDOWN));
        assert_eq!(code(&down, true), Some(Code::HARD_RESET));
        let said = down.notification(true).and_then(|said| said.text());
        assert_eq!(said.as_deref(), Some("maintenance"));
        assert_eq!(code(&stop(Stop::Deconfigured), true), Some(Code::HARD_RESET));
        assert_eq!(code(&stop(Stop::Upgrade), true), None);
        assert_eq!(code(&Ending::Reset("new key".to_owned()), true), Some(Code::ADMINISTRATIVE_RESET));
    }

    #[test]
    fn a_notification_gets_no_answer() {
        let told = Ending::Told(Notification::new(Code::CEASE));
        assert_eq!(told.notification(true), None);
    }

    #[test]
    fn a_missing_family_is_named_as_in_an_open() {
        let said = Ending::from(Refusal::NoFamily { ours: Families::IPV6 }).notification(false).unwrap();
        assert_eq!((said.code(), said.data()), (Code::UNSUPPORTED_CAPABILITY, &[1, 4, 0, 2, 0, 1][..]));
    }

    #[test]
    fn endings_are_told_in_words() {
        let told = [
            (
                Ending::NoConnection(ErrorKind::TimedOut),
                "cannot connect: no answer; the peer may be down, a filter between, or the passwords (TCP MD5) may differ",
            ),
            (
                Ending::HoldTimerExpired(HoldTime::from_secs(9).unwrap()),
                "nothing was heard of the peer for the hold time of 9 s",
            ),
            (
                Ending::Unexpected { kind: Kind::Update, state: State::OpenSent },
                "the peer sent UPDATE in state OpenSent",
            ),
            (Ending::Stopped(Stop::Shutdown("drain".to_owned())), "ended here: shutdown, \"drain\""),
            (
                Refusal::PeerAs { wanted: PeerAs::External, got: Asn::new(65_001).unwrap() }.into(),
                "the peer says that its autonomous system is 65001; any but our own (external) is configured",
            ),
            (
                Ending::Told(Notification::shutdown("bye")),
                "the peer ended the session: Cease/Administrative Shutdown: \"bye\"",
            ),
        ];
        for (ending, words) in told {
            assert_eq!(ending.to_string(), words);
        }
    }
}
