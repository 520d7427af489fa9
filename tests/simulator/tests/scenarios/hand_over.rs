// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

/// Runs until nothing is moving, and asserts at every millisecond that somebody answers.
fn run_without_a_gap(world: &mut World, groups: usize, time: Duration) {
    for _ in 0..time.as_millis() {
        run(world, MS);
        for group in 0..groups {
            assert!(!world.answering(group).is_empty(), "nobody answers for group {group}");
        }
    }
}

#[test]
fn a_drained_node_hands_everything_over_and_somebody_answers_at_every_moment() {
    let mut world = settled(Setup { seed: 31, nodes: 3, groups: 12, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    let owned = (0..12).filter(|group| owner(&world, *group) == victim).count();
    inflict(&mut world, Fault::Terminate(victim));
    run_without_a_gap(&mut world, 12, MS * 2_000);
    let claims = claims(&world, start);
    assert_eq!(claims.len(), owned);
    assert!(claims.iter().all(|(at, _, cause, quiet)| {
        *at - start < MS * 20 && *cause == Cause::HandedOver(world.id(victim)) && !quiet
    }));
    assert!((0..12).all(|group| owner(&world, group) != victim));
}

#[test]
fn a_node_whose_peers_are_all_leaving_keeps_what_it_has() {
    let mut world = settled(Setup { seed: 32, nodes: 2, groups: 4, ..Setup::default() });
    let start = world.elapsed();
    inflict(&mut world, Fault::Freeze(1));
    inflict(&mut world, Fault::Terminate(0));
    inflict(&mut world, Fault::Thaw(1));
    inflict(&mut world, Fault::Terminate(1));
    run(&mut world, MS);
    let yielded = |h: &Happening| matches!(h.event, Event::Yielded { to: Some(_), .. });
    assert!(!since(&world, start).iter().any(yielded));
}

#[test]
fn a_successor_that_is_not_ready_is_passed_over() {
    for seed in 40..46 {
        let mut world = settled(Setup { seed, nodes: 3, groups: 1, ..Setup::default() });
        let (from, start) = (owner(&world, 0), world.elapsed());
        let unready = (0..3).find(|node| *node != from).unwrap();
        inflict(&mut world, Fault::Ready { node: unready, group: 0, ready: false });
        inflict(&mut world, Fault::HandOver { node: from, group: 0, to: None });
        run_without_a_gap(&mut world, 1, MS * 800);
        assert_eq!(owner(&world, 0), 3 - from - unready);
        let took = claims(&world, start)[0].0 - start;
        assert!(took < Timing::DEFAULT.hand_over_timeout + MARGIN, "{took:?}");
    }
}

#[test]
fn a_move_to_a_named_node_goes_there_or_nowhere() {
    let mut world = settled(Setup { seed: 47, nodes: 3, groups: 1, ..Setup::default() });
    let from = owner(&world, 0);
    let (to, other) = ((from + 1) % 3, (from + 2) % 3);
    inflict(&mut world, Fault::HandOver { node: from, group: 0, to: Some(to) });
    run_without_a_gap(&mut world, 1, MS * 500);
    assert_eq!(owner(&world, 0), to);
    inflict(&mut world, Fault::Ready { node: other, group: 0, ready: false });
    inflict(&mut world, Fault::HandOver { node: to, group: 0, to: Some(other) });
    run_without_a_gap(&mut world, 1, MS * 1_000);
    assert_eq!(owner(&world, 0), to);
    assert_eq!(state(&world, to, 0), GroupState::Stuck(Cause::Requested));
}

#[test]
fn an_owner_that_may_no_longer_carry_a_group_hands_it_over_or_gives_it_up() {
    let mut world = settled(Setup { seed: 48, nodes: 2, groups: 1, ..Setup::default() });
    let from = owner(&world, 0);
    inflict(&mut world, Fault::Ready { node: from, group: 0, ready: false });
    run_without_a_gap(&mut world, 1, MS * 500);
    assert_eq!(owner(&world, 0), 1 - from);
    let start = world.elapsed();
    inflict(&mut world, Fault::Ready { node: 1 - from, group: 0, ready: false });
    run(&mut world, MS * 1_000);
    assert_eq!(world.answering(0), [] as [usize; 0], "answering would lead nowhere");
    let gave_up = |h: &Happening| {
        matches!(h.event, Event::Yielded { to: None, cause: Cause::NotEligible, .. }) && h.node == 1 - from
    };
    assert_eq!(since(&world, start).iter().filter(|h| gave_up(h)).count(), 1);
    inflict(&mut world, Fault::Ready { node: from, group: 0, ready: true });
    run(&mut world, MS * 100);
    assert_eq!(owner(&world, 0), from, "who can take it then takes it");
}

#[test]
fn a_hand_over_survives_the_loss_of_two_of_three_copies() {
    for seed in 50..60 {
        let mut world = settled(Setup { seed, nodes: 2, groups: 1, ..Setup::default() });
        let from = owner(&world, 0);
        inflict(&mut world, Fault::Split(vec![from]));
        inflict(&mut world, Fault::HandOver { node: from, group: 0, to: None });
        run(&mut world, MS * 10);
        inflict(&mut world, Fault::Heal);
        run_without_a_gap(&mut world, 1, MS * 250);
        assert_eq!(owner(&world, 0), 1 - from, "the third came through");
    }
}
