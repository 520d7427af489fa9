// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Nodes 0 and 2 do not hear each other; node 1 hears both.

use super::*;

/// A hello of the lower claim's owner after the higher claim, and the turn of whoever hears both.
const MEDIATION: Duration = T.saturating_mul(4);

fn parted(seed: u64, groups: usize) -> World {
    let mut world = settled(Setup { seed, nodes: 3, groups, ..Setup::default() });
    part(&mut world);
    run(&mut world, MS * 2_000);
    world
}

fn part(world: &mut World) {
    inflict(world, Fault::Block { from: 0, to: 2 });
    inflict(world, Fault::Block { from: 2, to: 0 });
}

/// Gives every group that node 1 owns to the others.
fn bereave(world: &mut World, groups: usize) {
    for group in 0..groups {
        inflict(world, Fault::Ready { node: 1, group, ready: false });
    }
}

#[test]
fn who_is_between_two_that_do_not_hear_each_other_settles_what_both_took() {
    let mut contested = 0;
    for seed in 300..310 {
        let mut world = parted(seed, 6);
        let start = world.elapsed();
        bereave(&mut world, 6);
        let mut longest = Duration::ZERO;
        let mut doubly = [None; 6];
        while world.elapsed() - start < MS * 2_000 {
            run(&mut world, MS * 5);
            for (group, since) in doubly.iter_mut().enumerate() {
                let begun = since.unwrap_or(world.elapsed());
                *since = (world.answering(group).len() == 2).then_some(begun);
                longest = longest.max(since.map_or(Duration::ZERO, |_| world.elapsed() - begun));
            }
        }
        contested += u32::from(!longest.is_zero());
        assert!(longest <= MEDIATION, "two answered for {longest:?}");
        let owners: Vec<usize> = (0..6).map(|group| owner(&world, group)).collect();
        assert!(owners.iter().all(|owner| *owner != 1));
        run(&mut world, MS * 60_000);
        assert_eq!((0..6).map(|group| owner(&world, group)).collect::<Vec<_>>(), owners, "it stays so");
        let moves = claims(&world, start).len();
        assert!(moves <= 2 * 6, "at most two claims a group: {moves}");
    }
    assert!(contested > 0, "nothing was in dispute");
}

#[test]
fn what_the_one_gives_up_the_other_hears_of_through_the_third_and_takes() {
    for seed in 310..316 {
        let mut world = parted(seed, 3);
        bereave(&mut world, 3);
        run(&mut world, MS * 3_000);
        for group in 0..3 {
            let (from, start) = (owner(&world, group), world.elapsed());
            inflict(&mut world, Fault::Ready { node: from, group, ready: false });
            run(&mut world, MS * 2_000);
            assert_eq!(owner(&world, group), 2 - from, "group {group} since {start:?}");
        }
    }
}

#[test]
fn whoever_yielded_to_a_claim_it_was_told_of_serves_again_when_the_one_between_dies() {
    let mut world = parted(316, 4);
    bereave(&mut world, 4);
    run(&mut world, MS * 3_000);
    inflict(&mut world, Fault::Crash(1));
    run(&mut world, D * 2 + MS * 1_500);
    assert!((0..4).all(|group| !world.answering(group).is_empty()));
}

#[test]
fn on_a_segment_where_all_hear_all_nothing_is_passed_on() {
    let mut world = settled(Setup { seed: 317, nodes: 5, groups: 20, ..Setup::default() });
    for node in [1, 3] {
        inflict(&mut world, Fault::Terminate(node));
        run(&mut world, MS * 2_000);
        inflict(&mut world, Fault::Start(node));
        run(&mut world, MS * 3_000);
    }
    inflict(&mut world, Fault::Crash(0));
    run(&mut world, MS * 3_000);
    assert!((1..5).all(|node| world.view(node).unwrap().counters.relays == 0));
}
