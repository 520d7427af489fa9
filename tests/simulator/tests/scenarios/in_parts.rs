// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

/// Of so many groups, each part has a third.
const GROUPS: usize = 12;
const PAUSE: u64 = 5_500;
const IN_THIRDS: Fault = Fault::StartInParts { node: 2, size: GROUPS / 3, pause: PAUSE };

/// A world whose third node starts anew and was told of a third of the groups.
fn learning(seed: u64) -> World {
    let mut world = settled(Setup { seed, nodes: 3, groups: GROUPS, ..Setup::default() });
    inflict(&mut world, Fault::Kill(2));
    run(&mut world, MS * 1_000);
    inflict(&mut world, IN_THIRDS);
    run(&mut world, MS * 4_000);
    world
}

#[test]
fn what_was_given_up_while_a_node_learns_its_groups_it_claims_at_once_and_under_higher_terms() {
    for seed in 110..116 {
        let mut world = learning(seed);
        for node in 0..2 {
            (0..GROUPS).for_each(|group| inflict(&mut world, Fault::Ready { node, group, ready: false }));
        }
        // The last part comes half a second before the end: a search would take longer.
        run(&mut world, MS * 7_500);
        let view = world.view(2).unwrap();
        let old: Vec<_> = view.groups.iter().filter(|group| group.term.0 < 2).collect();
        assert!(old.is_empty(), "{old:?}");
        (0..GROUPS).for_each(|group| assert_eq!(owner(&world, group), 2));
    }
}

#[test]
fn a_node_that_dies_while_it_learns_its_groups_learns_them_anew_and_nothing_is_left_alone() {
    for seed in 116..120 {
        let mut world = learning(seed);
        run(&mut world, MS * 2_000);
        inflict(&mut world, Fault::Crash(2));
        run(&mut world, MS * 1_000);
        (0..GROUPS).for_each(|group| assert_ne!(owner(&world, group), 2));
        inflict(&mut world, Fault::StartInParts { node: 2, size: 1, pause: 50 });
        run(&mut world, MS * 2_000);
        inflict(&mut world, Fault::Crash(0));
        run(&mut world, MS * 1_500);
        (0..GROUPS).for_each(|group| assert_ne!(owner(&world, group), 0));
        assert_eq!(world.view(2).unwrap().groups.len(), GROUPS);
    }
}
