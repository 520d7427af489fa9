// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long things take: the one place where the protocol's times stand.

use std::time::Duration;

use crate::rule::{self, Rule};

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
    /// Hellos a second that a node bears to hear of all others; beyond it all speak less often.
    pub hellos_borne: u32,
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
        hellos_borne: 10_000,
    };

    /// The times of the fast profile: a crash is noticed 70 to 95 ms after it happened. What scales with the dead interval
    /// is shorter than in [`Timing::DEFAULT`]; what clients or a switch decide is the same.
    pub const FAST: Self = Self {
        hello: Duration::from_millis(25),
        dead: Duration::from_millis(95),
        suspect: Duration::from_millis(2 * 25 + 12),
        ask_gap: Duration::from_millis(7),
        rank_step: Duration::from_millis(15),
        hand_over_timeout: Duration::from_millis(150),
        host_probe: Duration::from_millis(40),
        ..Self::DEFAULT
    };

    /// The times of the slow profile: a crash is noticed 2.5 to 3.5 s after it happened.
    pub const SLOW: Self = Self {
        hello: Duration::from_secs(1),
        dead: Duration::from_millis(3500),
        suspect: Duration::from_millis(2 * 1000 + 200),
        ask_gap: Duration::from_millis(300),
        rank_step: Duration::from_millis(100),
        hand_over_timeout: Duration::from_millis(600),
        listen: Duration::from_secs(7),
        link_hold: Duration::from_millis(2500),
        host_probe: Duration::from_secs(1),
        ..Self::DEFAULT
    };

    /// The times among so many nodes: those of the profile as long as their hellos are borne.
    pub(crate) fn among(&self, nodes: usize) -> Self {
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        self.with_hello(Duration::from_secs(nodes.into()) / self.hellos_borne.max(1))
    }

    /// The same with hellos so far apart, though never closer than now, nor so seldom that peers would no longer grant the
    /// silence: as many of them may be lost, and whoever is silent is asked as long before its death.
    pub(crate) fn with_hello(&self, hello: Duration) -> Self {
        let more = hello.saturating_sub(self.hello).min(self.hello * SLOWEST);
        let dead = if rule::holds(Rule::Pace) { self.dead + more * 3 } else { self.dead };
        let (suspect, listen) = (self.suspect + more * 2, self.listen.max(dead * 2));
        Self { hello: self.hello + more, dead, suspect, listen, ..*self }
    }

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

/// How many times longer the time between two hellos may become among many nodes.
const SLOWEST: u32 = 10;

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

    const PROFILES: [Timing; 3] = [Timing::DEFAULT, Timing::FAST, Timing::SLOW];

    #[test]
    fn among_many_nodes_hellos_come_less_often_and_what_is_heard_a_second_is_bounded() {
        for t in PROFILES {
            assert_eq!(t.among(100), t);
        }
        let t = Timing::DEFAULT;
        assert_eq!(t.among(750), t, "10,000 a second");
        let ms = |times: Timing| (times.hello.as_millis(), times.dead.as_millis());
        assert_eq!(ms(t.among(1_000)), (100, 350));
        assert_eq!(ms(t.among(3_000)), (300, 950));
        assert_eq!(ms(t.among(1_000_000)), (825, 2_525), "no slower than this");
    }

    #[test]
    fn in_every_profile_two_lost_hellos_do_not_kill_and_the_questions_fit_before_death() {
        for t in PROFILES.into_iter().chain(PROFILES.map(|t| t.among(2_000))) {
            assert!(t.dead >= t.hello * 3 + t.lateness, "{t:?}");
            assert!(t.suspect > t.hello * 2 + t.lateness, "{t:?}");
            // The last answer has at least as long as a question waits for the next.
            assert!(t.suspect + t.ask_gap * u32::from(ASKS) + t.lateness <= t.dead, "{t:?}");
        }
    }

    #[test]
    fn in_every_profile_a_new_process_hears_everybody_before_it_claims() {
        for t in PROFILES {
            assert!(t.listen >= t.dead * 2, "{t:?}");
            assert!(t.link_hold >= t.hello * 2 && t.link_hold <= t.listen, "{t:?}");
        }
    }

    #[test]
    fn in_every_profile_a_rank_waits_longer_than_the_news_of_a_claim_take() {
        let news = NEWS_AT.into_iter().max().unwrap_or_default();
        for t in PROFILES {
            // The first two of the three copies of a claim, and one scheduling delay.
            assert!(t.rank_step >= NEWS_AT[1] + t.lateness, "{t:?}");
            assert!(t.hand_over_timeout > news * 2 + t.rank_step, "{t:?}");
            assert!(t.rank_step < t.dead / 3, "{t:?}");
        }
    }

    #[test]
    fn in_every_profile_a_live_kernel_may_miss_two_probes_and_a_stalled_node_has_time_to_notice() {
        for t in PROFILES {
            assert!(t.host_probe * 2 < t.dead, "{t:?}");
            assert!(t.own_gap() > t.hello * 2 && t.own_gap() < t.dead, "{t:?}");
            assert_eq!(t.linger, Timing::DEFAULT.linger, "clients do not know of profiles");
        }
    }

    #[test]
    fn the_profiles_have_the_documented_times() {
        let documented = |t: Timing| (t.hello.as_millis(), t.dead.as_millis(), t.rank_step.as_millis());
        assert_eq!(PROFILES.map(documented), [(75, 275, 30), (25, 95, 15), (1000, 3500, 100)]);
    }
}
