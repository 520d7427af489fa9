// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The rules without any wire.

mod belated;
mod relay;
mod turns;

use super::*;
use crate::{
    Digest, Slice, UpTo,
    hello::{Delta, Flags},
    identity::{ClusterId, Incarnation, Term},
    input::GroupIntent,
    output::Cause,
    peer::Absence,
    rank::{Candidate, ranked},
};

const MS: Duration = Duration::from_millis(1);
const GROUP: GroupId = GroupId(42);

fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

/// An election of three nodes of which we are number 1, and what it depends on.
struct Hall {
    election: Election,
    members: Membership,
    now: Instant,
    active: bool,
    proven: bool,
    /// When a sign came last, if not just now.
    heard: Option<Instant>,
    draining: bool,
    shaky: bool,
    behind: bool,
    seq: u64,
}

impl Hall {
    fn new() -> Self {
        let now = Instant::now();
        let mut hall = Self {
            election: Election::new(node(1), Timing::DEFAULT, 1),
            members: Membership::new(node(1), Timing::DEFAULT),
            now,
            active: true,
            proven: true,
            heard: None,
            draining: false,
            shaky: false,
            behind: false,
            seq: 0,
        };
        hall.hello(2, Flags::default(), &[], &[]);
        hall.hello(3, Flags::default(), &[], &[]);
        hall
    }

    fn decide(&mut self, decision: impl FnOnce(&mut Election, Situation<'_>)) -> Vec<Effect> {
        let Self { now, active, proven, heard, draining, shaky, behind, .. } = *self;
        let s = Situation {
            now,
            active,
            proven,
            heard: heard.or(proven.then_some(now)),
            draining,
            shaky,
            behind,
            members: &self.members,
        };
        decision(&mut self.election, s);
        self.election.offer_in_turn(s);
        self.election.take_effects()
    }

    fn intend(&mut self, ready: bool) -> Vec<Effect> {
        // It was held before; the search for what never was is told of elsewhere.
        self.election.claims.see_term(claim(1));
        self.want(ready)
    }

    fn want(&mut self, ready: bool) -> Vec<Effect> {
        let candidates = [node(1), node(2), node(3)].into();
        let intent = GroupIntent {
            id: GROUP,
            addresses: vec![[192, 0, 2, 9].into()],
            candidates,
            preferences: Default::default(),
            ready,
            bound: false,
        };
        self.decide(|e, s| e.set_groups(vec![intent], s))
    }

    fn hello(&mut self, from: u8, flags: Flags, owned: &[Claim], deltas: &[Delta]) -> Vec<Effect> {
        self.seq += 1;
        let hello = Hello {
            cluster: ClusterId(1),
            node: node(from),
            incarnation: Incarnation::from_random(from.into()),
            seq: self.seq,
            interval: Timing::DEFAULT.hello,
            dead: Timing::DEFAULT.dead,
            flags,
            owned: 0,
            digest: owned.iter().copied().collect::<Digest>(),
            slice: Slice::WHOLE,
            claims: UpTo::first_of(owned.iter().copied()),
            deltas: UpTo::first_of(deltas.iter().copied()),
            echoes: UpTo::new(),
        };
        self.members.hear(&hello, [192, 0, 2, from].into(), self.now, true);
        let now = self.now;
        self.decide(|e, s| e.hear(&hello, now, s))
    }

    fn bury(&mut self, number: u8) -> Vec<Effect> {
        self.members.bury(node(number), Absence::Silent, self.now);
        self.decide(|e, s| e.peer_down(node(number), Cause::Silence(node(number)), s))
    }

    /// Lets time pass and meets the deadlines.
    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.decide(|e, s| while e.act_next(s) {})
    }

    fn owner(&self) -> bool {
        self.election.owns([192, 0, 2, 9].into()).is_some()
    }

    /// How many of the peers rank before us.
    fn rank(&self) -> u32 {
        let willing =
            |n| Candidate { node: node(n), reluctant: false, shaky: false, preference: 0, full: false };
        let all = [1, 2, 3].map(willing);
        u32::try_from(ranked(GROUP, all).iter().position(|n| *n == node(1)).unwrap()).unwrap()
    }
}

fn claim(term: u64) -> Claim {
    Claim { group: GROUP, term: Term(term) }
}

fn claimed(effects: &[Effect]) -> Option<(Term, Cause)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Claimed { claim, cause, .. } => Some((claim.term, *cause)),
        _ => None,
    })
}

#[test]
fn a_free_group_is_claimed_after_as_many_steps_as_peers_rank_before_us() {
    let mut hall = Hall::new();
    let step = Timing::DEFAULT.rank_step;
    let at_once = claimed(&hall.intend(true));
    let rank = hall.rank();
    if rank > 0 {
        assert_eq!(at_once, None);
        assert_eq!(claimed(&hall.pass(step * rank - MS)), None);
        assert_eq!(claimed(&hall.pass(MS)), Some((Term(2), Cause::FirstUse)));
    } else {
        assert_eq!(at_once, Some((Term(2), Cause::FirstUse)));
    }
}

#[test]
fn a_claim_heard_in_time_cancels_ours_and_holds_against_better_ranks() {
    let mut hall = Hall::new();
    hall.hello(2, Flags::default(), &[claim(3)], &[]);
    hall.intend(true);
    assert_eq!(claimed(&hall.pass(MS * 1_000)), None, "sticky, whoever ranks first");
    let resigned = hall.hello(2, Flags::default(), &[], &[Delta::Resign(claim(3))]);
    let later = hall.pass(MS * 200);
    let ours = claimed(&resigned).or(claimed(&later));
    assert_eq!(ours, Some((Term(4), Cause::Resigned(node(2)))));
}

#[test]
fn the_higher_term_wins_and_at_equal_terms_the_higher_score() {
    let mut hall = Hall::new();
    hall.intend(true);
    hall.pass(MS * 200);
    assert!(hall.owner());
    let equal = hall.hello(2, Flags::default(), &[claim(2)], &[]);
    let we_win = Key::of(GROUP, node(1), Term(2)) > Key::of(GROUP, node(2), Term(2));
    assert_eq!(hall.owner(), we_win, "{equal:?}");
    let effects = hall.hello(3, Flags::default(), &[claim(3)], &[]);
    assert!(!hall.owner());
    if we_win {
        assert!(matches!(
            effects[..],
            [Effect::Yielded { to: Some(to), cause: Cause::HigherClaim(_), vacant: false, .. }] if to == node(3)
        ));
    }
}

#[test]
fn a_dead_owners_group_is_claimed_under_the_next_term_and_its_late_hello_cancels_that() {
    let mut hall = Hall::new();
    hall.intend(true);
    hall.hello(2, Flags::default(), &[claim(7)], &[]);
    assert!(!hall.owner(), "{:?}", hall.election);
    let dead = hall.bury(2);
    if claimed(&dead).is_none() {
        hall.hello(2, Flags::default(), &[claim(7)], &[]);
        hall.decide(|e, s| e.peer_up(node(2), s));
        assert_eq!(claimed(&hall.pass(MS * 500)), None);
        hall.bury(2);
    }
    let later = hall.pass(MS * 100);
    assert_eq!(claimed(&dead).or(claimed(&later)), Some((Term(8), Cause::Silence(node(2)))));
}

#[test]
fn without_proof_a_claim_waits_and_long_waiting_makes_it_listen_first() {
    let mut hall = Hall::new();
    hall.proven = false;
    hall.intend(true);
    hall.pass(MS * 100);
    assert!(hall.election.waits_for_proof() && !hall.owner());
    hall.proven = true;
    hall.now += MS * 1_000;
    assert_eq!(claimed(&hall.decide(|e, s| e.proof_arrived(s))), None);
    assert_eq!(claimed(&hall.pass(Timing::DEFAULT.suspect - MS)), None);
    assert!(claimed(&hall.pass(MS * 100)).is_some());
}

#[test]
fn the_last_probe_of_a_search_waits_for_a_sign_that_the_search_can_be_answered() {
    let mut hall = Hall::new();
    hall.heard = Some(hall.now - MS);
    let addresses = vec![[192, 0, 2, 9].into()];
    let candidates = [node(1)].into();
    let preferences = Default::default();
    let intent = GroupIntent { id: GROUP, addresses, candidates, preferences, ready: true, bound: false };
    let probes = |effects: Vec<Effect>| effects.iter().filter(|e| matches!(e, Effect::Probe(_))).count();
    assert_eq!(probes(hall.decide(|e, s| e.set_groups(vec![intent], s))), 1);
    assert_eq!(probes(hall.pass(MS * 200)), 1);
    assert_eq!(hall.pass(MS * 200), []);
    assert_eq!(hall.pass(MS * 3_000), []);
    hall.heard = None;
    assert_eq!(probes(hall.pass(MS * 25)), 1);
    assert_eq!(hall.pass(MS * 199), []);
    assert_eq!(claimed(&hall.pass(MS)), Some((Term(1), Cause::FirstUse)));
}

#[test]
fn what_nobody_can_take_is_kept_while_the_data_path_is_there_and_given_up_when_it_is_not() {
    let mut hall = Hall::new();
    hall.intend(true);
    hall.pass(MS * 200);
    let draining = Flags { draining: true, ..Flags::default() };
    hall.hello(2, draining, &[], &[]);
    hall.hello(3, draining, &[], &[]);
    hall.draining = true;
    let effects = hall.decide(|e, _| e.drain());
    assert_eq!(effects, [Effect::NobodyTook { group: GROUP, cause: Cause::Drain }]);
    assert!(hall.owner() && hall.election.settled());
    let effects = hall.intend(false);
    assert!(!hall.owner());
    assert!(matches!(
        effects[..],
        [
            Effect::NobodyTook { .. },
            Effect::Yielded { to: None, vacant: true, cause: Cause::NotEligible, .. }
        ]
    ));
}

#[test]
fn an_offer_goes_from_rank_to_rank_and_the_owner_answers_all_the_while() {
    let mut hall = Hall::new();
    hall.intend(true);
    hall.pass(MS * 200);
    let offered = |effects: &[Effect]| match effects {
        [Effect::Offer { to, .. }] => Some(*to),
        _ => None,
    };
    let first = offered(&hall.decide(|e, _| e.move_on_request(GROUP, None))).unwrap();
    assert_eq!(hall.pass(Timing::DEFAULT.hand_over_timeout - MS), []);
    let second = offered(&hall.pass(MS)).unwrap();
    assert_eq!([first, second].into_iter().collect::<BTreeSet<_>>(), [node(2), node(3)].into());
    assert!(hall.owner() && !hall.election.settled());
    let effects = hall.pass(Timing::DEFAULT.hand_over_timeout);
    assert_eq!(effects, [Effect::NobodyTook { group: GROUP, cause: Cause::Requested }]);
    assert!(hall.owner() && hall.election.settled());
}

#[test]
fn a_group_that_left_the_list_for_a_moment_is_claimed_without_a_search_and_after_a_minute_with_one() {
    let wait = Timing::DEFAULT.rank_step * 2;
    for (away, searched) in [(MS * 59_000, false), (MS * 61_000, true)] {
        let mut hall = Hall::new();
        hall.intend(true);
        hall.pass(wait);
        assert!(hall.owner());
        let effects = hall.decide(|e, s| e.set_groups(Vec::new(), s));
        assert!(matches!(effects[..], [Effect::Yielded { vacant: true, .. }]), "{effects:?}");
        assert_eq!(hall.election.holdings.len(), 0, "what is gone is not claimed again");
        hall.now += away;
        // Something else changes meanwhile.
        hall.decide(|e, s| e.set_groups(Vec::new(), s));
        hall.want(true);
        hall.pass(wait);
        assert_eq!(hall.owner(), !searched, "after {away:?}");
    }
}

#[test]
fn who_listens_is_not_waited_for_unless_we_began_to_act_a_moment_ago_ourselves() {
    let listening = Flags { listening: true, ..Flags::default() };
    for (ago, waits) in [(Timing::DEFAULT.listen / 2, true), (Timing::DEFAULT.listen, false)] {
        let mut hall = Hall::new();
        hall.decide(|e, s| e.begin(s));
        hall.now += ago;
        hall.hello(2, listening, &[], &[]);
        hall.hello(3, listening, &[], &[]);
        let at_once = claimed(&hall.intend(true)).is_some();
        assert_eq!(at_once, !waits || hall.rank() == 0, "after {ago:?}");
    }
    assert!(Hall::new().rank() > 0, "or it proves nothing");
}

#[test]
fn who_listens_is_asked_to_take_a_group_after_all_who_act() {
    for listens in [2, 3] {
        let mut hall = Hall::new();
        hall.intend(true);
        hall.pass(MS * 200);
        hall.hello(listens, Flags { listening: true, ..Flags::default() }, &[], &[]);
        let asked = |effects: &[Effect]| match effects {
            [Effect::Offer { to, .. }] => Some(*to),
            _ => None,
        };
        let first = asked(&hall.decide(|e, _| e.move_on_request(GROUP, None)));
        let second = asked(&hall.pass(Timing::DEFAULT.hand_over_timeout));
        assert_eq!([first, second], [Some(node(5 - listens)), Some(node(listens))]);
    }
}

#[test]
fn what_was_awaited_when_acting_ended_is_not_claimed() {
    let mut hall = Hall::new();
    hall.want(true);
    assert!(hall.rank() > 0 && hall.election.next_deadline().is_some());
    hall.decide(|e, s| e.evaluate_all(Situation { active: false, ..s }));
    assert_eq!(hall.election.next_deadline(), None);
}

#[test]
fn what_was_heard_of_a_group_is_remembered_until_the_list_that_may_name_it_is_complete() {
    let mut hall = Hall::new();
    hall.hello(2, Flags::default(), &[claim(7)], &[]);
    hall.hello(2, Flags::default(), &[], &[Delta::Resign(claim(7))]);
    hall.decide(|e, s| e.change_groups(Vec::new(), Vec::new(), s));
    assert_eq!(hall.election.claims.term(GROUP), Term(7), "the next part may name it");
    hall.election.forget_unlisted(hall.now);
    assert_eq!(hall.election.claims.term(GROUP), Term(0));
}

#[test]
fn a_group_that_left_the_list_is_remembered_for_a_minute_however_often_the_list_is_complete() {
    let mut hall = Hall::new();
    hall.intend(true);
    hall.decide(|e, s| e.set_groups(Vec::new(), s));
    hall.now += Duration::from_secs(59);
    hall.election.forget_unlisted(hall.now);
    assert_eq!(hall.election.claims.term(GROUP), Term(1));
    hall.now += Duration::from_secs(2);
    hall.election.forget_unlisted(hall.now);
    assert_eq!(hall.election.claims.term(GROUP), Term(0));
}

#[test]
fn who_keeps_falling_silent_waits_for_the_only_steady_node_by_rank_and_for_several_until_the_full_had_their_turn()
 {
    let step = Timing::DEFAULT.rank_step;
    // Of three nodes, we and so many of the others are shaky: ranks of those before us, and one step more.
    for (shaky, least, most) in [(1, 2, 3), (0, 6, 7)] {
        let mut hall = Hall::new();
        hall.shaky = true;
        hall.hello(2, Flags { shaky: shaky > 0, ..Flags::default() }, &[], &[]);
        hall.intend(true);
        let before = hall.pass(step * least - MS);
        assert_eq!(claimed(&before), None, "{shaky} others shaky");
        let then = hall.pass(step * (most - least) + MS);
        assert!(claimed(&then).is_some(), "{shaky} others shaky");
    }
}
