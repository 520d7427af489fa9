// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long things take: the one place where the protocol's times stand.

use std::time::Duration;

/// The times of one segment. All nodes of a segment should use the same; a peer that announces a longer dead interval than
/// ours is given that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two hellos of a node (T).
    pub hello: Duration,
    /// Silence after which a peer is dead (D): two lost hellos and a margin for late ones, at least `2 * hello` longer than
    /// the worst scheduling delay.
    pub dead: Duration,
    /// Silence after which a peer is asked whether it lives, early enough for the answer to arrive before `dead`.
    pub suspect: Duration,
    /// Between two questions to a suspect, and between the first probes of stations.
    pub ask_gap: Duration,
    /// A candidate of rank r waits r times this before it claims; longer than one hello's flight and a scheduling delay.
    pub rank_step: Duration,
    /// How long a successor may take to claim what it was offered.
    pub hand_over_timeout: Duration,
    /// Listening before the first claim of a process, at least `2 * dead`.
    pub listen: Duration,
    /// Listening after the link came up.
    pub link_hold: Duration,
    /// Requests older than this are not answered: who asked has asked again, or somebody else.
    pub request_max_age: Duration,
    /// How long a node whose speaker died may go on serving clients that hold its MAC: longer than Linux keeps a neighbour
    /// entry that it does not use (failing that, 45 s reachable, 5 s delay and 3 s of probes).
    pub linger: Duration,
    /// Between two ARP or NS probes of a node that is served around quietly.
    pub host_probe: Duration,
    /// A deadline met later than this was missed because this process stood still.
    pub lateness: Duration,
    /// An address is defended against a station outside the cluster at most once in this time (RFC 5227, section 2.4).
    pub defence: Duration,
    /// A peer that has been dead for so long is forgotten.
    pub forget: Duration,
}

impl Timing {
    /// The times of the default profile: a crash is noticed 200 to 275 ms after it happened.
    pub const DEFAULT: Self = Self {
        hello: Duration::from_millis(75),
        dead: Duration::from_millis(275),
        suspect: Duration::from_millis(2 * 75 + 25),
        ask_gap: Duration::from_millis(25),
        rank_step: Duration::from_millis(30),
        hand_over_timeout: Duration::from_millis(300),
        listen: Duration::from_secs(1),
        link_hold: Duration::from_secs(1),
        request_max_age: Duration::from_millis(100),
        linger: Duration::from_secs(90),
        host_probe: Duration::from_millis(100),
        lateness: Duration::from_millis(10),
        defence: Duration::from_secs(10),
        forget: Duration::from_secs(600),
    };

    /// After so long without sending a hello, peers may have taken over: this node must listen before it acts again.
    pub(crate) fn own_gap(&self) -> Duration {
        self.dead.saturating_sub(self.hello)
    }

    /// How long before a peer's dead interval ends it becomes a suspect.
    pub(crate) fn warning(&self) -> Duration {
        self.dead.saturating_sub(self.suspect)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Offsets at which news of ownership are sent.
pub(crate) const NEWS_AT: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(20)];

/// Between two hellos that are sent out of turn to strangers, so that recordings cannot make this node flood the segment.
pub(crate) const COURTESY_GAP: Duration = Duration::from_millis(5);

/// Questions to a suspect, and fast probes of stations, before the pace slows down.
pub(crate) const ASKS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lost_hellos_do_not_kill_and_the_questions_fit_before_death() {
        let t = Timing::DEFAULT;
        assert!(t.dead >= t.hello * 3 + t.lateness);
        assert!(t.suspect > t.hello * 2);
        assert!(t.suspect + t.ask_gap * u32::from(ASKS) <= t.dead);
        assert!(t.listen >= t.dead * 2);
    }
}
