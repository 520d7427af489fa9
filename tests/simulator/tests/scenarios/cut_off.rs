// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

#[test]
fn both_halves_of_a_split_segment_serve_and_the_higher_claim_stays_after_it_heals() {
    let mut world = settled(Setup { seed: 111, nodes: 4, groups: 3, clients: 2, ..Setup::default() });
    // Nodes 0 and 1 with client 4, nodes 2 and 3 with client 5.
    inflict(&mut world, Fault::Split(vec![0, 1, 4]));
    run(&mut world, MS * 3_000);
    assert!((0..3).all(|group| world.answering(group).len() == 2));
    let heal = world.elapsed();
    inflict(&mut world, Fault::Heal);
    run(&mut world, T + MS * 30);
    let winners: Vec<usize> = (0..3).map(|group| owner(&world, group)).collect();
    assert!(claims(&world, heal).is_empty());
    run(&mut world, MS * 120_000);
    assert_eq!((0..3).map(|group| owner(&world, group)).collect::<Vec<_>>(), winners);
    let silent = announced(&world, address(), heal + T + MS * 30);
    assert!(!silent.is_empty() && silent.iter().all(|(_, node)| *node == winners[0]), "the loser is silent");
    for client in 0..2 {
        assert_eq!(
            world.table(client, address()),
            world.mac(winners[0]),
            "and every client knows the winner"
        );
    }
}

#[test]
fn clients_of_the_half_that_loses_are_told_at_once_when_a_split_heals() {
    for seed in 120..124 {
        let question_every = MS * 1_000;
        let mut world =
            settled(Setup { seed, nodes: 2, groups: 1, clients: 2, question_every, ..Setup::default() });
        // Node 0 with client 2, node 1 with client 3.
        inflict(&mut world, Fault::Split(vec![0, 2]));
        run(&mut world, MS * 8_000);
        assert_eq!(world.table(0, address()), world.mac(0));
        assert_eq!(world.table(1, address()), world.mac(1));
        inflict(&mut world, Fault::Heal);
        run(&mut world, T + MS * 40);
        let winner = world.mac(owner(&world, 0));
        assert_eq!([world.table(0, address()), world.table(1, address())], [winner; 2]);
    }
}

#[test]
fn an_owner_that_speaks_but_hears_nobody_is_replaced() {
    let mut world = settled(Setup { seed: 112, nodes: 3, groups: 1, ..Setup::default() });
    let (deaf, start) = (owner(&world, 0), world.elapsed());
    for from in (0..4).filter(|port| *port != deaf) {
        inflict(&mut world, Fault::Block { from, to: deaf });
    }
    run(&mut world, D * 3);
    let taken = claims(&world, start);
    assert!(matches!(taken[..], [(_, _, Cause::Deaf(_), false)]), "{taken:?}");
    inflict(&mut world, Fault::Heal);
    run(&mut world, MS * 300);
    assert_ne!(owner(&world, 0), deaf);
}

#[test]
fn two_nodes_that_do_not_hear_each_other_trust_the_one_between_them() {
    let mut world = settled(Setup { seed: 113, nodes: 3, groups: 4, ..Setup::default() });
    let start = world.elapsed();
    inflict(&mut world, Fault::Block { from: 0, to: 2 });
    inflict(&mut world, Fault::Block { from: 2, to: 0 });
    run(&mut world, MS * 10_000);
    assert!(since(&world, start).is_empty(), "{:?}", since(&world, start));
}

#[test]
fn a_pulled_cable_ends_ownership_at_once_and_its_return_moves_nothing() {
    let mut world = settled(Setup { seed: 114, nodes: 3, groups: 2, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::Cable(victim, false));
    assert!(!world.answering(0).contains(&victim));
    run(&mut world, MS * 2_000);
    let back = world.elapsed();
    assert!(claims(&world, start)[0].0 - start <= D + MARGIN);
    inflict(&mut world, Fault::Cable(victim, true));
    run(&mut world, MS * 5_000);
    assert!(claims(&world, back).is_empty());
}

#[test]
fn all_ports_down_for_five_seconds_and_back_one_by_one_ends_with_one_owner_each() {
    let mut world = settled(Setup { seed: 115, nodes: 3, groups: 6, ..Setup::default() });
    (0..3).for_each(|node| inflict(&mut world, Fault::Cable(node, false)));
    run(&mut world, MS * 5_000);
    for node in 0..3 {
        inflict(&mut world, Fault::Cable(node, true));
        run(&mut world, MS * 700);
    }
    run(&mut world, MS * 3_000);
    (0..6).for_each(|group| assert!(owner(&world, group) < 3));
}

#[test]
fn a_new_mac_is_announced_at_once() {
    let mut world =
        settled(Setup { seed: 116, nodes: 2, groups: 1, question_every: MS * 20, ..Setup::default() });
    let (node, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::NewMac(node));
    run(&mut world, MS * 5);
    assert!(!announced(&world, address(), start).is_empty());
    assert_eq!(world.table(0, address()), world.mac(node));
}
