// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The state of a session, why it changed last, and how it follows the neighbour's (RFC 5880 sections 4.1 and 6.8.6).

use std::fmt;

/// The state of one side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Taken out of service on purpose.
    AdminDown,
    /// There is no session.
    Down,
    /// The neighbour is heard; whether it hears us is not known.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// Every state, in the order of their numbers on the wire.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    /// The two bits of the field `Sta`; higher bits of the argument are not looked at.
    pub(crate) fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    /// Our next state, when the neighbour says that it is in `said` (RFC 5880 section 6.8.6).
    #[must_use]
    pub fn on_hearing(self, said: Self) -> Self {
        match (self, said) {
            (Self::AdminDown, _) => Self::AdminDown,
            (_, Self::AdminDown) => Self::Down,
            (Self::Down, Self::Down) => Self::Init,
            (Self::Down, Self::Init) => Self::Up,
            // It still believes in a session that we gave up: it has to go down first.
            (Self::Down, Self::Up) => Self::Down,
            (Self::Init, Self::Down) => Self::Init,
            (Self::Init, Self::Init | Self::Up) => Self::Up,
            (Self::Up, Self::Down) => Self::Down,
            (Self::Up, Self::Init | Self::Up) => Self::Up,
        }
    }

    /// Its name in statuses and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a side changed its state last (RFC 5880 section 4.1, `Diag`): a number of 0 to 31, of which nine have a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// It heard nothing for the detection time.
    pub const DETECTION_TIME_EXPIRED: Self = Self(1);
    /// Its echo packets did not come back.
    pub const ECHO_FAILED: Self = Self(2);
    /// The other side said that the session is down.
    pub const NEIGHBOR_SIGNALED_DOWN: Self = Self(3);
    /// Its forwarding plane was reset.
    pub const FORWARDING_RESET: Self = Self(4);
    /// The path is down.
    pub const PATH_DOWN: Self = Self(5);
    /// A path that this one consists of is down.
    pub const CONCATENATED_PATH_DOWN: Self = Self(6);
    /// Taken out of service.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
    /// A path that this one consists of is down in the direction towards the sender.
    pub const REVERSE_CONCATENATED_PATH_DOWN: Self = Self(8);

    /// The five bits of the field; higher bits are not looked at.
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1_1111)
    }

    /// The number on the wire, 0 to 31.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("no diagnostic"),
            Self::DETECTION_TIME_EXPIRED => f.write_str("control detection time expired"),
            Self::ECHO_FAILED => f.write_str("echo function failed"),
            Self::NEIGHBOR_SIGNALED_DOWN => f.write_str("neighbor signaled session down"),
            Self::FORWARDING_RESET => f.write_str("forwarding plane reset"),
            Self::PATH_DOWN => f.write_str("path down"),
            Self::CONCATENATED_PATH_DOWN => f.write_str("concatenated path down"),
            Self::ADMINISTRATIVELY_DOWN => f.write_str("administratively down"),
            Self::REVERSE_CONCATENATED_PATH_DOWN => f.write_str("reverse concatenated path down"),
            Self(number) => write!(f, "reserved diagnostic {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State::{self, AdminDown, Down, Init, Up};
    use super::*;

    /// RFC 5880 section 6.8.6 written out: own state, the state received, the state that follows.
    const TABLE: [(State, State, State); 16] = [
        (AdminDown, AdminDown, AdminDown),
        (AdminDown, Down, AdminDown),
        (AdminDown, Init, AdminDown),
        (AdminDown, Up, AdminDown),
        (Down, AdminDown, Down),
        (Down, Down, Init),
        (Down, Init, Up),
        (Down, Up, Down),
        (Init, AdminDown, Down),
        (Init, Down, Init),
        (Init, Init, Up),
        (Init, Up, Up),
        (Up, AdminDown, Down),
        (Up, Down, Down),
        (Up, Init, Up),
        (Up, Up, Up),
    ];

    #[test]
    fn every_state_follows_every_state_heard_as_the_table_of_the_rfc_says() {
        let expected = State::ALL.into_iter().flat_map(|own| State::ALL.map(|said| (own, said)));
        for ((own, said, next), pair) in TABLE.into_iter().zip(expected) {
            assert_eq!((own, said), pair, "the table is complete and in order");
            assert_eq!(own.on_hearing(said), next, "{own} hears {said}");
        }
    }

    #[test]
    fn states_and_diagnostics_survive_the_wire() {
        for state in State::ALL {
            assert_eq!(State::from_bits(state.bits()), state);
        }
        for number in 0..32 {
            assert_eq!(Diagnostic::from_bits(number).number(), number);
        }
        assert_eq!(
            Diagnostic::from_bits(0xe1),
            Diagnostic::DETECTION_TIME_EXPIRED,
            "state bits do not count"
        );
        assert_eq!(Diagnostic::from_bits(9).to_string(), "reserved diagnostic 9");
    }
}
