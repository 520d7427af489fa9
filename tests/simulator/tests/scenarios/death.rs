// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use ferrolb_layer2::PeerDownCause;

use super::*;

#[test]
fn a_crashed_owners_addresses_are_announced_elsewhere_within_the_dead_interval() {
    let mut worst = Duration::ZERO;
    for phase in 0..25 {
        let mut world = settled(Setup { seed: 100 + phase, nodes: 3, groups: 1, ..Setup::default() });
        run(&mut world, MS * 3 * u32::try_from(phase).unwrap());
        let (victim, start) = (owner(&world, 0), world.elapsed());
        inflict(&mut world, Fault::Crash(victim));
        run(&mut world, MS * 500);
        let first = announced(&world, address(), start)[0];
        let outage = first.0 - start;
        assert!(outage > D - T - MARGIN, "{outage:?}: nobody can know so early");
        assert!(outage <= D + MARGIN, "{outage:?}");
        worst = worst.max(outage);
        assert_eq!(owner(&world, 0), first.1);
        assert_eq!(claims(&world, start).len(), 1, "one move");
    }
    println!("worst of 25 crashes: {worst:?}");
}

#[test]
fn a_crash_moves_only_the_victims_groups_and_its_return_moves_none() {
    let mut world = settled(Setup { seed: 7, nodes: 4, groups: 24, ..Setup::default() });
    let before: Vec<usize> = (0..24).map(|group| owner(&world, group)).collect();
    let (victim, start) = (before[0], world.elapsed());
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 1_000);
    let after: Vec<usize> = (0..24).map(|group| owner(&world, group)).collect();
    for (group, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before == after, *before != victim, "group {group}");
    }
    let lost = before.iter().filter(|owner| **owner == victim).count();
    assert_eq!(claims(&world, start).len(), lost);
    let back = world.elapsed();
    inflict(&mut world, Fault::Start(victim));
    run(&mut world, MS * 5_000);
    assert_eq!(claims(&world, back).len(), 0);
}

#[test]
fn the_death_of_the_best_candidate_at_the_same_time_costs_one_rank() {
    let mut ranks = Vec::new();
    // Of two that die at once, the one whose last hello was earlier is known for dead when the other is.
    for (seed, other) in (4..8).flat_map(|seed| (0..4).map(move |other| (seed, other))) {
        let mut world = World::new(Setup { seed, nodes: 4, groups: 1, ..Setup::default() });
        // Not all speak at the same time.
        for node in 0..4 {
            inflict(&mut world, Fault::Start(node));
            run(&mut world, MS * 19);
        }
        run(&mut world, MS * 2_500);
        let (victim, start) = (owner(&world, 0), world.elapsed());
        if other == victim {
            continue;
        }
        inflict(&mut world, Fault::Crash(victim));
        inflict(&mut world, Fault::Crash(other));
        run(&mut world, MS * 500);
        let claims = claims(&world, start);
        assert_eq!(claims.len(), 1);
        let took = claims[0].0 - start;
        assert!(took <= D + Timing::DEFAULT.rank_step + MARGIN, "{took:?}");
        ranks.push(took);
    }
    let longest = ranks.iter().max().unwrap();
    assert!(*longest > D, "{ranks:?}");
}

#[test]
fn two_lost_hellos_in_a_row_kill_nobody() {
    let mut world =
        settled(Setup { seed: 3, nodes: 2, groups: 2, jitter: Duration::ZERO, ..Setup::default() });
    let start = world.elapsed();
    for _ in 0..20 {
        // Both directions: neither hellos nor questions nor answers pass.
        inflict(&mut world, Fault::Split(vec![0]));
        run(&mut world, T * 2 - MS);
        inflict(&mut world, Fault::Heal);
        run(&mut world, MS * 400);
    }
    assert!(since(&world, start).is_empty(), "{:?}", since(&world, start));
}

#[test]
fn of_two_nodes_the_survivor_takes_over_by_a_clients_proof_and_serves_alone() {
    let mut world = settled(Setup { seed: 11, nodes: 2, groups: 2, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 300);
    assert_eq!(owner(&world, 0), 1 - victim);
    assert!(announced(&world, address(), start)[0].0 - start <= D + MARGIN);
    run(&mut world, MS * 60_000);
    assert_eq!(owner(&world, 0), 1 - victim);
    assert!(world.book().answered().last().unwrap().0 > world.elapsed() - MS * 1_000, "and still answers");
}

#[test]
fn the_only_node_keeps_serving_when_nobody_else_was_ever_there() {
    let mut world = settled(Setup { seed: 5, nodes: 1, groups: 1, ..Setup::default() });
    run(&mut world, MS * 10_000);
    assert_eq!(owner(&world, 0), 0);
    assert_eq!(claims(&world, Duration::ZERO).len(), 1);
}

#[test]
fn a_good_bye_is_a_death_without_waiting() {
    let mut world = settled(Setup { seed: 21, nodes: 3, groups: 1, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    for other in (0..3).filter(|node| *node != victim) {
        inflict(&mut world, Fault::Ready { node: other, group: 0, ready: false });
    }
    // Nobody can take it, so the owner leaves with it; then somebody can.
    inflict(&mut world, Fault::Terminate(victim));
    run(&mut world, MS * 1_500);
    let left = |h: &Happening| matches!(h.event, Event::PeerDown(_, PeerDownCause::Left));
    assert_eq!(since(&world, start).iter().filter(|h| left(h)).count(), 2);
    let back = world.elapsed();
    for other in (0..3).filter(|node| *node != victim) {
        inflict(&mut world, Fault::Ready { node: other, group: 0, ready: true });
    }
    run(&mut world, MS * 40);
    let claims = claims(&world, back);
    assert!(matches!(claims[..], [(_, _, Cause::Resigned(_), false)]), "{claims:?}");
}

#[test]
fn a_node_that_dies_with_hundreds_of_groups_is_replaced_in_few_hellos() {
    let mut world =
        settled(Setup { seed: 22, nodes: 3, groups: 600, jitter: Duration::ZERO, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    let survivors: Vec<usize> = (0..3).filter(|node| *node != victim).collect();
    let sent = |world: &World| -> u64 {
        survivors.iter().map(|node| world.view(*node).unwrap().counters.hellos_sent).sum()
    };
    let before = sent(&world);
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 400);
    let claims = claims(&world, start);
    assert!((160..240).contains(&claims.len()), "about a third: {}", claims.len());
    let late: Vec<_> = claims.iter().filter(|(at, ..)| *at - start > D + MARGIN).collect();
    assert!(late.is_empty(), "{} {late:?}, first {:?}", late.len(), claims[0]);
    let hellos = sent(&world) - before;
    assert!(hellos < 50, "{hellos} hellos, of which about 10 were due anyway and 6 asked");
    (0..600).for_each(|group| assert_ne!(owner(&world, group), victim));
}
