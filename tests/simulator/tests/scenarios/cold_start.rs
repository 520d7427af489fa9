// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

fn owned_by_first(world: &World) -> usize {
    (0..30).filter(|group| world.answering(*group) == [0]).count()
}

#[test]
fn the_first_node_that_is_up_leaves_to_expected_ones_what_they_rank_better_for() {
    for seed in 500..510 {
        let gateway = Some("192.0.2.254".parse().unwrap());
        let mut world = World::new(Setup { seed, nodes: 3, groups: 30, gateway, ..Setup::default() });
        inflict(&mut world, Fault::Start(0));
        run(&mut world, MS * 6_000);
        assert!((3..=18).contains(&owned_by_first(&world)), "{}", owned_by_first(&world));
        inflict(&mut world, Fault::Start(1));
        inflict(&mut world, Fault::Start(2));
        run(&mut world, MS * 3_500);
        (0..30).for_each(|group| assert_eq!(world.answering(group).len(), 1));
        assert!(owned_by_first(&world) <= 18, "and nothing of it moved");
    }
}

#[test]
fn after_ten_seconds_nobody_is_waited_for() {
    let gateway = Some("192.0.2.254".parse().unwrap());
    let mut world = World::new(Setup { seed: 511, nodes: 3, groups: 30, gateway, ..Setup::default() });
    inflict(&mut world, Fault::Start(0));
    run(&mut world, MS * 13_000);
    assert_eq!(owned_by_first(&world), 30);
}
