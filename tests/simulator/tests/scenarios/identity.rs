// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use ferrolb_layer2::Phase;

use super::*;

/// Three nodes and a clone of the first one.
fn cloned(seed: u64) -> World {
    let mut world = World::new(Setup { seed, nodes: 4, groups: 9, twin: true, ..Setup::default() });
    (0..3).for_each(|node| inflict(&mut world, Fault::Start(node)));
    run(&mut world, MS * 4_000);
    world
}

fn phases(world: &World) -> (Option<Phase>, Option<Phase>) {
    let phase = |node| world.view(node).map(|view| view.phase);
    (phase(0), phase(3))
}

#[test]
fn s18_a_clone_that_is_started_beside_a_node_does_nothing_until_that_is_gone() {
    for seed in 400..410 {
        let mut world = cloned(seed);
        let start = world.elapsed();
        inflict(&mut world, Fault::Start(3));
        run(&mut world, MS * 5_000);
        assert_eq!(phases(&world), (Some(Phase::Active), Some(Phase::Aside)), "who owns more stays");
        assert_eq!(claims(&world, start), [], "and nothing moves");
        inflict(&mut world, Fault::Crash(0));
        run(&mut world, MS * 5_000);
        assert_eq!(phases(&world), (None, Some(Phase::Active)));
        (0..9).for_each(|group| assert_eq!(world.answering(group).len(), 1));
    }
}

#[test]
fn s18_of_a_node_and_its_clone_that_meet_when_a_segment_heals_one_is_left() {
    for seed in 410..420 {
        let mut world = cloned(seed);
        // With a client that proves to it that it is heard.
        inflict(&mut world, Fault::Split(vec![3, 4]));
        inflict(&mut world, Fault::Start(3));
        run(&mut world, MS * 15_000);
        assert_eq!(phases(&world), (Some(Phase::Active), Some(Phase::Active)));
        inflict(&mut world, Fault::Heal);
        run(&mut world, MS * 4_000);
        let (original, clone) = phases(&world);
        assert!((original == Some(Phase::Aside)) != (clone == Some(Phase::Aside)), "{original:?} {clone:?}");
        (0..9).for_each(|group| assert_eq!(world.answering(group).len(), 1, "group {group}"));
    }
}
