// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Thousands of groups are offered in turns.

use std::sync::Arc;

use super::{super::turns::AT_ONCE, *};

const MANY: u64 = 1_000;

/// A node that owns as many groups and may carry them.
fn owner_of_many() -> Hall {
    let mut hall = Hall::new();
    hall.want_many(true);
    for _ in 0..100 {
        hall.pass(Timing::DEFAULT.rank_step);
    }
    assert_eq!(hall.election.holdings.len(), u32::try_from(MANY).unwrap());
    hall
}

impl Hall {
    fn want_many(&mut self, ready: bool) -> Vec<Effect> {
        let candidates: Arc<[NodeId]> = [node(1), node(2), node(3)].into();
        let intents = (0..MANY).map(|group| {
            let [.., high, low] = group.to_be_bytes();
            GroupIntent {
                id: GroupId(group),
                addresses: vec![[10, 0, high, low].into()],
                candidates: Arc::clone(&candidates),
                preferences: Default::default(),
                ready,
                bound: false,
            }
        });
        // They were held before.
        (0..MANY).for_each(|g| self.election.claims.see_term(Claim { group: GroupId(g), term: Term(1) }));
        self.decide(|e, s| e.set_groups(intents.collect(), s))
    }
}

fn offers(effects: &[Effect]) -> Vec<(u64, NodeId)> {
    let offer = |effect: &Effect| match effect {
        Effect::Offer { claim, to } => Some((claim.group.0, *to)),
        _ => None,
    };
    effects.iter().filter_map(offer).collect()
}

#[test]
fn the_next_are_offered_when_half_were_taken_and_each_is_answered_for_until_it_is_taken() {
    let mut hall = owner_of_many();
    hall.draining = true;
    let mut open = offers(&hall.decide(|e, _| e.drain()));
    assert_eq!(open.len(), AT_ONCE);
    let mut offered = open.len();
    while let Some((group, to)) = (!open.is_empty()).then(|| open.remove(0)) {
        assert!(hall.election.holds(GroupId(group)), "until it is taken");
        let claim = Claim { group: GroupId(group), term: Term(3) };
        let number = if to == node(2) { 2 } else { 3 };
        let effects = hall.hello(number, Flags::default(), &[], &[Delta::Claim(claim)]);
        assert!(!hall.election.holds(GroupId(group)));
        let more = offers(&effects);
        let left = usize::try_from(MANY).unwrap() - offered;
        assert!(more.is_empty() || more.len() == left.min(AT_ONCE / 2), "{} at a time", more.len());
        offered += more.len();
        open.extend(more);
        assert!(open.len() <= AT_ONCE, "{} offers are open", open.len());
        assert_eq!(hall.election.settled(), open.is_empty());
    }
    assert_eq!(offered, usize::try_from(MANY).unwrap());
}

#[test]
fn successors_that_do_not_answer_hold_up_the_others_for_no_longer_than_an_answer_may_take() {
    let mut hall = owner_of_many();
    let mut offered: BTreeSet<u64> =
        offers(&hall.decide(|e, _| e.drain())).into_iter().map(|o| o.0).collect();
    let turns = usize::try_from(MANY).unwrap().div_ceil(AT_ONCE);
    for turn in 1..turns {
        assert_eq!(offered.len(), AT_ONCE * turn);
        assert!(!hall.election.settled());
        assert_eq!(hall.election.next_deadline(), Some(hall.now + Timing::DEFAULT.rank_step));
        offered.extend(offers(&hall.pass(Timing::DEFAULT.rank_step)).into_iter().map(|o| o.0));
    }
    assert_eq!(offered, (0..MANY).collect());
}

#[test]
fn what_may_stay_before_its_turn_has_come_is_not_offered() {
    let mut hall = owner_of_many();
    assert_eq!(offers(&hall.want_many(false)).len(), AT_ONCE);
    assert_eq!(offers(&hall.want_many(true)), []);
    assert!(hall.election.settled());
    assert_eq!(offers(&hall.pass(Timing::DEFAULT.hand_over_timeout * 3)), []);
    assert_eq!(hall.election.holdings.len(), u32::try_from(MANY).unwrap());
}
