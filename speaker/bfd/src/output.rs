// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What comes out of the engine.

use std::{fmt, time::Duration};

use crate::{
    packet::{Discriminator, LEN},
    state::Diagnostic,
};

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the session's neighbour, at once, with time to live (hop limit) 255.
    Send {
        /// The session, which has a source port of its own.
        session: Discriminator,
        /// The UDP payload.
        payload: [u8; LEN],
    },
    /// Tell those who use the session.
    Event {
        /// The session.
        session: Discriminator,
        /// What became of it.
        event: Event,
    },
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides hear each other.
    Up,
    /// It was up, and is no longer.
    Down(Down),
    /// It was stopped and has said so for long enough: the engine does not know it any more.
    Gone,
}

/// Why a session is no longer up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down {
    /// The reason.
    pub cause: DownCause,
    /// Which side was late.
    pub late: Late,
    /// The neighbour said that its BFD goes on when its control plane restarts. If not, and a graceful restart of BGP is under
    /// way, the session's end tells nothing about forwarding (RFC 5882 section 4.3.2).
    pub control_plane_independent: bool,
}

impl Down {
    /// Whether those who use the session should take this as a failure of the path. They should not if the neighbour was taken out
    /// of service on purpose (RFC 5882 section 3.2).
    pub fn is_failure(&self) -> bool {
        self.cause != DownCause::NeighbourAdminDown
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.cause, self.late)
    }
}

/// The reason why a session went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownCause {
    /// Nothing was heard for so long.
    DetectionTimeExpired(Duration),
    /// The neighbour says that it is down, and why.
    NeighbourDown(Diagnostic),
    /// The neighbour was taken out of service on purpose.
    NeighbourAdminDown,
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DetectionTimeExpired(time) => write!(f, "heard nothing for {time:?}"),
            Self::NeighbourDown(diagnostic) => write!(f, "the neighbour says that it is down: {diagnostic}"),
            Self::NeighbourAdminDown => f.write_str("the neighbour was taken out of service"),
        }
    }
}

/// Which side was late when a session went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Neither: the neighbour said so for a reason of its own.
    Neither,
    /// We: this process stood still, or sent nothing, for so long.
    We(Duration),
    /// The neighbour, or what lies between: from here these look alike.
    NeighbourOrPath,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neither => Ok(()),
            Self::We(time) => write!(f, "; this side was late by {time:?}"),
            Self::NeighbourOrPath => {
                f.write_str("; this side was in time, the neighbour or the path was not")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words_that_name_the_side() {
        let down = |cause, late| Down { cause, late, control_plane_independent: false };
        let ms = Duration::from_millis;
        let silent = down(DownCause::DetectionTimeExpired(ms(150)), Late::NeighbourOrPath);
        assert_eq!(
            silent.to_string(),
            "heard nothing for 150ms; this side was in time, the neighbour or the path was not"
        );
        let told = down(DownCause::NeighbourDown(Diagnostic::DETECTION_TIME_EXPIRED), Late::We(ms(1500)));
        assert_eq!(
            told.to_string(),
            "the neighbour says that it is down: control detection time expired; this side was late by 1.5s"
        );
        assert!(silent.is_failure() && told.is_failure());
        assert!(!down(DownCause::NeighbourAdminDown, Late::Neither).is_failure());
    }
}
