// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

/// Pulls the cable of a node and puts it in again.
fn flap(world: &mut World, node: usize, times: u32) {
    for _ in 0..times {
        inflict(world, Fault::Cable(node, false));
        run(world, MS * 1_000);
        inflict(world, Fault::Cable(node, true));
        run(world, MS * 1_500);
    }
    run(world, MS * 2_000);
}

fn all_but(world: &World, node: usize, groups: usize) -> usize {
    (0..groups).map(|group| owner(world, group)).find(|owner| *owner != node).unwrap()
}

#[test]
fn who_lost_its_link_three_times_claims_nothing_for_a_minute_and_then_as_ever() {
    let mut world = settled(Setup { seed: 110, nodes: 3, groups: 12, ..Setup::default() });
    flap(&mut world, 0, 3);
    let start = world.elapsed();
    let victim = all_but(&world, 0, 12);
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 1_000);
    let during = claims(&world, start);
    assert!(!during.is_empty() && during.iter().all(|(_, node, ..)| *node == 3 - victim), "{during:?}");
    let late = during.iter().filter(|(at, ..)| *at - start > D + MARGIN).count();
    assert_eq!(late, 0, "nobody waits for it");
    inflict(&mut world, Fault::Start(victim));
    run(&mut world, MS * 62_000);
    let start = world.elapsed();
    inflict(&mut world, Fault::Crash(3 - victim));
    run(&mut world, MS * 1_000);
    assert!(claims(&world, start).iter().any(|(_, node, ..)| *node == 0));
}

#[test]
fn twice_is_nothing() {
    let mut world = settled(Setup { seed: 111, nodes: 3, groups: 12, ..Setup::default() });
    flap(&mut world, 0, 2);
    let start = world.elapsed();
    let victim = all_but(&world, 0, 12);
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 1_000);
    assert!(claims(&world, start).iter().any(|(_, node, ..)| *node == 0));
}

#[test]
fn what_nobody_else_can_take_the_shaky_take_and_are_offered() {
    let mut world = settled(Setup { seed: 112, nodes: 2, groups: 4, ..Setup::default() });
    flap(&mut world, 0, 3);
    let start = world.elapsed();
    inflict(&mut world, Fault::Terminate(1));
    run(&mut world, MS * 1_000);
    let offered = claims(&world, start);
    assert!(
        !offered.is_empty()
            && offered.iter().all(|(_, _, cause, _)| *cause == Cause::HandedOver(world.id(1)))
    );
    (0..4).for_each(|group| assert_eq!(owner(&world, group), 0));
}

#[test]
fn what_a_shaky_node_owns_it_keeps() {
    let mut world = settled(Setup { seed: 113, nodes: 3, groups: 6, ..Setup::default() });
    let victim = owner(&world, 0);
    let start = world.elapsed();
    for _ in 0..4 {
        inflict(&mut world, Fault::Freeze(victim));
        run(&mut world, MS * 205);
        inflict(&mut world, Fault::Thaw(victim));
        run(&mut world, MS * 1_500);
    }
    let shaky = |h: &Happening| h.node == victim && matches!(h.event, Event::Shaky(_));
    assert_eq!(since(&world, start).iter().filter(|h| shaky(h)).count(), 1);
    assert_eq!((owner(&world, 0), claims(&world, start).len()), (victim, 0));
}

#[test]
fn who_is_heard_by_nobody_again_and_again_knows_it() {
    for fault in [Fault::Mute(0), Fault::Split(vec![0])] {
        let mut world = settled(Setup { seed: 114, nodes: 4, groups: 4, ..Setup::default() });
        let start = world.elapsed();
        for _ in 0..3 {
            inflict(&mut world, fault.clone());
            run(&mut world, MS * 1_000);
            inflict(&mut world, Fault::Heal);
            run(&mut world, MS * 3_000);
        }
        let shaky: Vec<usize> = since(&world, start)
            .iter()
            .filter(|h| matches!(h.event, Event::Shaky(_)))
            .map(|h| h.node)
            .collect();
        assert_eq!(shaky, [0], "{fault:?}");
    }
}
