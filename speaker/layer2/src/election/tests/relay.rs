// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is passed on between two that do not hear each other.

use super::*;

/// Two that hold the group, neither of them us, and which of them has the higher claim.
fn disputed() -> (Hall, NodeId) {
    let mut hall = Hall::new();
    hall.want(false);
    dispute(&mut hall);
    let key = |n| Key::of(GROUP, node(n), Term(1));
    (hall, if key(2) > key(3) { node(2) } else { node(3) })
}

/// Both say that they hold it.
fn dispute(hall: &mut Hall) {
    for from in [2, 3] {
        hall.hello(from, Flags::default(), &[claim(1)], &[]);
    }
}

/// When we pass on a claim within so much time, during which both go on saying that they hold the group.
fn passed_on(hall: &mut Hall, within: Duration) -> Vec<(Duration, NodeId)> {
    let (start, mut passed) = (hall.now, Vec::new());
    while hall.now < start + within {
        let effects = hall.pass(MS * 5);
        passed.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Relay { owner, stands: true, .. } => Some((hall.now - start, *owner)),
            _ => None,
        }));
        dispute(hall);
    }
    passed
}

#[test]
fn the_higher_of_two_claims_is_passed_on_once_the_lower_one_is_confirmed() {
    let (mut hall, best) = disputed();
    let hello = Timing::DEFAULT.hello;
    let passed = passed_on(&mut hall, MS * 1_000);
    assert!(
        matches!(passed[..], [(at, owner)] if owner == best && at >= hello * 2 && at <= hello * 3 + MS * 5)
    );
}

#[test]
fn whom_another_spared_the_word_speaks_if_that_did_not_help() {
    let (mut hall, best) = disputed();
    let told = Delta::Relayed { claim: claim(1), owner: best, stands: true };
    hall.hello(4, Flags::default(), &[], &[told]);
    assert_eq!(passed_on(&mut hall, Timing::DEFAULT.hello * 2).len(), 0, "it may help");
    let passed = passed_on(&mut hall, Timing::DEFAULT.hello + MS * 5);
    assert!(matches!(passed[..], [(_, owner)] if owner == best), "{passed:?}");
    // Then it is for others to speak, whoever does.
    hall.hello(4, Flags::default(), &[], &[told]);
    assert_eq!(passed_on(&mut hall, MS * 850).len(), 0);
}

#[test]
fn a_peer_that_comes_back_with_what_another_took_meanwhile_is_told() {
    let mut hall = Hall::new();
    hall.want(false);
    hall.hello(2, Flags::default(), &[claim(1)], &[]);
    hall.bury(2);
    hall.hello(3, Flags::default(), &[claim(2)], &[]);
    let confirm = |hall: &mut Hall| {
        hall.hello(2, Flags::default(), &[claim(1)], &[]);
        hall.hello(3, Flags::default(), &[claim(2)], &[])
    };
    confirm(&mut hall);
    hall.decide(|e, s| e.peer_up(node(2), s));
    hall.pass(MS * 100);
    confirm(&mut hall);
    let effects = hall.pass(Timing::DEFAULT.hello * 2);
    assert!(matches!(effects[..], [Effect::Relay { owner, .. }] if owner == node(3)), "{effects:?}");
}

#[test]
fn whoever_listens_still_when_its_turn_comes_speaks_once_it_acts() {
    let (mut hall, best) = disputed();
    hall.active = false;
    assert_eq!(passed_on(&mut hall, MS * 900), [], "it may be mistaken");
    hall.active = true;
    let passed = passed_on(&mut hall, Timing::DEFAULT.hello + MS * 5);
    assert!(matches!(passed[..], [(_, owner)] if owner == best), "{passed:?}");
}

#[test]
fn the_end_of_a_claim_is_told_once_whoever_heard_of_it_acts_and_not_after_its_cable_was_out() {
    for cut_off in [false, true] {
        let mut hall = Hall::new();
        hall.want(false);
        hall.hello(2, Flags::default(), &[claim(1)], &[]);
        hall.hello(2, Flags::default(), &[], &[Delta::Resign(claim(1))]);
        hall.active = false;
        assert_eq!(hall.pass(Timing::DEFAULT.dead + Timing::DEFAULT.hello), []);
        if cut_off {
            hall.decide(|e, s| e.drop_all(Cause::LinkDown, false, s.now));
        }
        hall.active = true;
        let effects = hall.pass(Timing::DEFAULT.hello);
        let end = Effect::Relay { claim: claim(1), owner: node(2), stands: false };
        assert_eq!(effects.contains(&end), !cut_off);
    }
}

#[test]
fn a_lower_claim_that_is_confirmed_late_is_contradicted_all_the_same() {
    let (mut hall, best) = disputed();
    assert_eq!(hall.pass(Timing::DEFAULT.hello * 3), [], "nothing was heard since");
    let passed = passed_on(&mut hall, MS * 1_100);
    assert!(matches!(passed[..], [(_, owner)] if owner == best), "{passed:?}");
}

#[test]
fn claims_to_a_group_that_is_listed_later_are_in_dispute_then() {
    let mut hall = Hall::new();
    dispute(&mut hall);
    hall.want(false);
    assert_eq!(passed_on(&mut hall, Timing::DEFAULT.hello * 3 + MS * 5).len(), 1);
}
