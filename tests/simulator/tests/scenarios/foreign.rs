// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

/// Three nodes that start while a client has the address of group 0.
fn beside_a_squatter(seed: u64) -> World {
    let mut world = World::new(Setup { seed, nodes: 3, groups: 2, ..Setup::default() });
    inflict(&mut world, Fault::Squat { group: 0, begin: true });
    (0..3).for_each(|node| inflict(&mut world, Fault::Start(node)));
    world
}

fn found_in_use(world: &World, start: Duration) -> Vec<(Duration, usize)> {
    let all = since(world, start).into_iter();
    all.filter(|h| matches!(h.event, Event::InUse { .. })).map(|h| (h.at, h.node)).collect()
}

#[test]
fn s19_an_address_that_a_stranger_has_is_neither_taken_nor_announced_until_it_leaves() {
    for seed in 300..310 {
        let mut world = beside_a_squatter(seed);
        run(&mut world, MS * 50_000);
        assert_eq!(world.answering(0), [] as [usize; 0]);
        assert_eq!(announced(&world, address(), Duration::ZERO), []);
        assert_eq!(world.answering(1).len(), 1, "the other group is none of its business");
        let mut found: Vec<usize> = found_in_use(&world, Duration::ZERO).into_iter().map(|f| f.1).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2], "each says so once");
        assert!((0..3).all(|node| state(&world, node, 0) == GroupState::InUse));

        inflict(&mut world, Fault::Squat { group: 0, begin: false });
        run(&mut world, MS * 15_000);
        assert_eq!(world.answering(0).len(), 1, "a minute after it was found in use");
        assert_eq!(claims(&world, MS * 50_000).len(), 1);
    }
}

#[test]
fn an_address_that_the_cluster_held_is_taken_over_at_once_whoever_uses_it() {
    let mut world = settled(Setup { seed: 311, nodes: 3, groups: 1, ..Setup::default() });
    let victim = owner(&world, 0);
    inflict(&mut world, Fault::Squat { group: 0, begin: true });
    run(&mut world, MS * 4_000);
    let start = world.elapsed();
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 500);
    assert!(claims(&world, start)[0].0 - start <= D + MARGIN);
}

#[test]
fn s19_an_address_is_defended_once_in_ten_seconds_however_often_a_stranger_claims_it() {
    let question_every = MS * 20;
    let mut world = settled(Setup { seed: 312, nodes: 3, groups: 1, question_every, ..Setup::default() });
    let start = world.elapsed();
    inflict(&mut world, Fault::Squat { group: 0, begin: true });
    run(&mut world, MS * 35_000);
    let told = since(&world, start).into_iter().filter(|h| matches!(h.event, Event::ForeignAnswer { .. }));
    assert_eq!(told.count(), 4);
    assert_eq!(claims(&world, start), [], "and nobody else claims");
}

#[test]
fn the_first_in_rank_searches_alone_and_the_others_do_when_it_may_not() {
    let mut world = World::new(Setup { seed: 313, nodes: 3, groups: 1, ..Setup::default() });
    (0..3).for_each(|node| inflict(&mut world, Fault::Ready { node, group: 0, ready: false }));
    (0..3).for_each(|node| inflict(&mut world, Fault::Start(node)));
    run(&mut world, MS * 4_000);
    let start = world.elapsed();
    (0..3).for_each(|node| inflict(&mut world, Fault::Ready { node, group: 0, ready: true }));
    let searching = |world: &World| (0..3).filter(|n| state(world, *n, 0) == GroupState::Searching).count();
    run(&mut world, MS * 500);
    assert_eq!(searching(&world), 1);
    run(&mut world, MS * 200);
    let claims = claims(&world, start);
    assert!(matches!(claims[..], [(at, ..)] if at - start <= MS * 600 + MARGIN * 2), "{claims:?}");
}
