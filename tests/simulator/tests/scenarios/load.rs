// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

const STEP: Duration = Timing::DEFAULT.rank_step;
/// What is new is searched for first.
const SEARCH: Duration = Duration::from_millis(600);

/// Three nodes of which the first holds groups 0 to `held`, since it was alone; the others hold nothing, and nobody may carry
/// the rest of the groups yet.
fn lopsided(seed: u64, held: usize, groups: usize) -> World {
    let mut world = World::new(Setup { seed, nodes: 3, groups, ..Setup::default() });
    (held..groups).for_each(|group| {
        (0..3).for_each(|node| inflict(&mut world, Fault::Ready { node, group, ready: false }));
    });
    inflict(&mut world, Fault::Start(0));
    run(&mut world, MS * 13_000);
    inflict(&mut world, Fault::Start(1));
    inflict(&mut world, Fault::Start(2));
    run(&mut world, MS * 3_500);
    (0..held).for_each(|group| assert_eq!(owner(&world, group), 0));
    world
}

fn holds(world: &World, node: usize, groups: usize) -> usize {
    (0..groups).filter(|group| owner(world, *group) == node).count()
}

#[test]
fn who_holds_its_share_leaves_new_groups_to_others_and_they_wait_for_nobody() {
    for seed in 60..70 {
        let mut world = lopsided(seed, 20, 30);
        for group in 20..30 {
            let start = world.elapsed();
            for node in 0..3 {
                inflict(&mut world, Fault::Ready { node, group, ready: true });
            }
            run(&mut world, SEARCH + MS * 200);
            let claims = claims(&world, start);
            assert!(
                matches!(claims[..], [(at, 1 | 2, ..)] if at - start < SEARCH + STEP + MARGIN),
                "{claims:?}"
            );
        }
        assert_eq!(holds(&world, 0, 30), 20, "and keeps what it has");
    }
}

#[test]
fn what_nobody_with_room_may_carry_goes_to_who_is_full() {
    let mut world = lopsided(70, 10, 11);
    let start = world.elapsed();
    inflict(&mut world, Fault::Ready { node: 0, group: 10, ready: true });
    run(&mut world, SEARCH * 2 + MS * 300);
    assert_eq!(owner(&world, 10), 0);
    let took = claims(&world, start)[0].0 - start - SEARCH * 2;
    assert!(took >= STEP * 3 && took <= STEP * 4 + MARGIN, "{took:?}");
}

#[test]
fn groups_that_a_death_vacates_are_shared_out_at_once() {
    for seed in 71..81 {
        let mut world = lopsided(seed, 24, 24);
        let start = world.elapsed();
        inflict(&mut world, Fault::Crash(0));
        run(&mut world, MS * 600);
        let claims = claims(&world, start);
        assert_eq!(claims.len(), 24, "each once");
        assert!((1..3).all(|node| holds(&world, node, 24) <= 15), "a quarter above half of them");
        let last = claims.iter().map(|(at, ..)| *at - start).max().unwrap();
        assert!(last <= D + STEP + MARGIN, "{last:?}");
    }
}

#[test]
fn a_drained_node_hands_over_to_those_with_room() {
    for seed in 81..91 {
        let mut world = lopsided(seed, 24, 24);
        inflict(&mut world, Fault::Terminate(0));
        run(&mut world, MS * 1_000);
        assert!((1..3).all(|node| holds(&world, node, 24) <= 15));
    }
}

#[test]
fn a_cluster_that_starts_at_once_shares_evenly() {
    for seed in 91..101 {
        let world = settled(Setup { seed, nodes: 5, groups: 40, ..Setup::default() });
        let held: Vec<usize> = (0..5).map(|node| holds(&world, node, 40)).collect();
        assert!(held.iter().all(|held| *held <= 10), "{held:?}");
    }
}
