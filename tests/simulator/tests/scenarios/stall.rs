// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

#[test]
fn a_frozen_owner_is_replaced_and_answers_nothing_when_it_goes_on() {
    for seed in 80..88 {
        let mut world =
            settled(Setup { seed, nodes: 3, groups: 2, question_every: MS * 10, ..Setup::default() });
        let victim = owner(&world, 0);
        inflict(&mut world, Fault::Freeze(victim));
        run(&mut world, MS * 3_000);
        let thaw = world.elapsed();
        inflict(&mut world, Fault::Thaw(victim));
        run(&mut world, MS * 2_000);
        assert_ne!(owner(&world, 0), victim);
        let stale = world.book().answered().iter().filter(|(at, node, _)| *at >= thaw && *node == victim);
        let lost = stale.filter(|(_, _, a)| *a == address()).count();
        assert_eq!(lost, 0);
    }
}

#[test]
fn a_peer_that_was_started_anew_meanwhile_is_forgiven_like_the_others() {
    for pause in 0..30 {
        let jitter = MS * 8;
        let mut world = settled(Setup { seed: 88, nodes: 5, groups: 1, jitter, ..Setup::default() });
        inflict(&mut world, Fault::Crash(1));
        run(&mut world, MS * 1_000);
        inflict(&mut world, Fault::Start(1));
        run(&mut world, MS * pause);
        let start = world.elapsed();
        inflict(&mut world, Fault::Freeze(0));
        run(&mut world, MS * 2_500);
        inflict(&mut world, Fault::Thaw(0));
        run(&mut world, MS * 500);
        let blames = |h: &Happening| h.node == 0 && matches!(h.event, Event::PeerDown(..));
        assert!(!since(&world, start).iter().any(blames), "{:?}", since(&world, start));
    }
}

#[test]
fn however_long_a_node_stands_still_it_takes_nothing_from_live_peers() {
    for (seed, length) in [20u32, 150, 210, 275, 500, 3_000, 20_000].into_iter().enumerate() {
        let mut world = settled(Setup { seed: 90 + seed as u64, nodes: 3, groups: 6, ..Setup::default() });
        let owners: Vec<usize> = (0..6).map(|group| owner(&world, group)).collect();
        let start = world.elapsed();
        inflict(&mut world, Fault::Freeze(0));
        run(&mut world, MS * length);
        inflict(&mut world, Fault::Thaw(0));
        run(&mut world, MS * 2_000);
        assert!(claims(&world, start).iter().all(|(_, node, ..)| *node != 0), "after {length} ms");
        let blames = |h: &Happening| h.node == 0 && matches!(h.event, Event::PeerDown(..));
        assert!(
            !since(&world, start).iter().any(blames),
            "after {length} ms it blames itself, not its peers"
        );
        if length < 150 {
            assert_eq!((0..6).map(|group| owner(&world, group)).collect::<Vec<_>>(), owners);
        }
    }
}

#[test]
fn a_short_stall_is_noticed_by_nobody() {
    let mut world = settled(Setup { seed: 98, nodes: 3, groups: 3, ..Setup::default() });
    let start = world.elapsed();
    for node in [0, 1, 2, 0, 1, 2] {
        inflict(&mut world, Fault::Freeze(node));
        run(&mut world, MS * 110);
        inflict(&mut world, Fault::Thaw(node));
        run(&mut world, MS * 333);
    }
    assert!(since(&world, start).is_empty(), "{:?}", since(&world, start));
}

#[test]
fn an_owner_whom_nobody_replaced_answers_again_after_listening() {
    let mut world =
        settled(Setup { seed: 99, nodes: 1, groups: 1, question_every: MS * 10, ..Setup::default() });
    inflict(&mut world, Fault::Freeze(0));
    run(&mut world, MS * 1_000);
    let thaw = world.elapsed();
    inflict(&mut world, Fault::Thaw(0));
    run(&mut world, MS * 500);
    let first = world.book().answered().iter().find(|(at, ..)| *at >= thaw).unwrap().0 - thaw;
    assert!(first >= T * 2 && first < T * 2 + MS * 40, "{first:?}");
}
