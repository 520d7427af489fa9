// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

fn killed(seed: u64) -> (World, usize, Duration) {
    let mut world = settled(Setup { seed, nodes: 3, groups: 1, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::Kill(victim));
    run(&mut world, MS * 500);
    (world, victim, start)
}

#[test]
fn a_dead_speaker_on_a_live_node_is_replaced_quietly_until_the_linger_has_passed() {
    let (mut world, victim, start) = killed(71);
    let taken = claims(&world, start);
    assert!(matches!(taken[..], [(at, _, Cause::Silence(_), true)] if at - start <= D + MARGIN), "{taken:?}");
    assert_ne!(owner(&world, 0), victim);
    assert_eq!(state(&world, owner(&world, 0), 0), GroupState::Quiet(world.id(victim)));
    run(&mut world, Timing::DEFAULT.linger - MS * 1_000);
    assert!(
        announced(&world, address(), start).is_empty(),
        "clients that hold its MAC are served by its kernel"
    );
    assert!(
        world.book().answered().last().unwrap().0 > world.elapsed() - MS * 1_000,
        "new ones by its successor"
    );
    run(&mut world, MS * 1_000);
    assert!(!announced(&world, address(), start).is_empty());
}

#[test]
fn quiet_ends_when_the_old_nodes_kernel_stops_answering() {
    let (mut world, victim, start) = killed(72);
    run(&mut world, MS * 5_000);
    assert!(announced(&world, address(), start).is_empty());
    let crash = world.elapsed();
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 500);
    let aloud = announced(&world, address(), crash)[0].0 - crash;
    assert!(aloud <= D + Timing::DEFAULT.host_probe + MARGIN, "{aloud:?}");
}

#[test]
fn quiet_lasts_when_the_old_nodes_speaker_returns() {
    let (mut world, victim, start) = killed(73);
    inflict(&mut world, Fault::Start(victim));
    run(&mut world, MS * 10_000);
    assert!(announced(&world, address(), start).is_empty());
    assert_ne!(owner(&world, 0), victim);
}

#[test]
fn a_speaker_restarted_at_once_gets_nothing_back_and_its_groups_are_served_at_once() {
    let mut world = settled(Setup { seed: 74, nodes: 3, groups: 1, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::Kill(victim));
    run(&mut world, MS * 20);
    inflict(&mut world, Fault::Start(victim));
    run(&mut world, MS * 3_000);
    let taken = claims(&world, start);
    assert!(
        matches!(taken[..], [(at, node, Cause::Restarted(_), true)] if at - start < MS * 60 && node != victim)
    );
}

#[test]
fn hellos_recorded_earlier_change_nothing_when_they_are_repeated() {
    let mut world = settled(Setup { seed: 75, nodes: 3, groups: 4, ..Setup::default() });
    inflict(&mut world, Fault::Kill(0));
    run(&mut world, MS * 400);
    inflict(&mut world, Fault::Start(0));
    run(&mut world, MS * 3_000);
    let start = world.elapsed();
    for _ in 0..500 {
        inflict(&mut world, Fault::Replay);
        inflict(&mut world, Fault::Forge);
        run(&mut world, MS * 3);
    }
    assert!(since(&world, start).is_empty(), "{:?}", since(&world, start));
}

#[test]
fn a_dead_nodes_recorded_hellos_do_not_revive_it() {
    let mut world = settled(Setup { seed: 76, nodes: 3, groups: 4, ..Setup::default() });
    inflict(&mut world, Fault::Crash(0));
    run(&mut world, MS * 1_000);
    let start = world.elapsed();
    for _ in 0..500 {
        inflict(&mut world, Fault::Replay);
        run(&mut world, MS * 3);
    }
    assert!(since(&world, start).is_empty(), "{:?}", since(&world, start));
    assert!((0..4).all(|group| owner(&world, group) != 0));
}

#[test]
fn recorded_hellos_do_not_keep_a_node_alive_that_just_died() {
    for seed in 0..5 {
        let mut world = settled(Setup { seed: 200 + seed, nodes: 3, groups: 1, ..Setup::default() });
        let (victim, start) = (owner(&world, 0), world.elapsed());
        inflict(&mut world, Fault::Crash(victim));
        for _ in 0..100 {
            (0..5).for_each(|_| inflict(&mut world, Fault::Replay));
            run(&mut world, MS * 4);
        }
        assert!(claims(&world, start)[0].0 - start <= D + MARGIN);
    }
}

#[test]
fn a_whole_cluster_that_restarts_listens_before_it_claims() {
    let mut world = World::new(Setup { seed: 77, nodes: 3, groups: 4, ..Setup::default() });
    (0..3).for_each(|node| inflict(&mut world, Fault::Start(node)));
    run(&mut world, T * 2 - MS);
    assert_eq!(claims(&world, Duration::ZERO).len(), 0);
    run(&mut world, MS * 1_000);
    assert_eq!(
        claims(&world, Duration::ZERO).len(),
        4,
        "nothing is claimed twice\n{}",
        world.trace().join("\n")
    );
}
