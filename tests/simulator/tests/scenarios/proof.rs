// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

#[test]
fn without_proof_nobody_claims_and_the_view_says_why() {
    // No router; a client that asks for the first time long after the crash.
    let question_every = Duration::from_secs(60);
    let mut world = World::new(Setup { seed: 61, nodes: 2, groups: 1, question_every, ..Setup::default() });
    inflict(&mut world, Fault::Start(0));
    inflict(&mut world, Fault::Start(1));
    run(&mut world, MS * 2_000);
    let victim = owner(&world, 0);
    assert!(world.book().answered().is_empty(), "no client was heard yet");
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 5_000);
    assert_eq!(state(&world, 1 - victim, 0), GroupState::NoProof);
    assert_eq!(world.answering(0), [] as [usize; 0]);

    // Its first question is what proves: it is probed at once, and after a moment for a late owner the group is claimed.
    while claims(&world, MS * 2_000).is_empty() && world.elapsed() < Duration::from_secs(120) {
        run(&mut world, MS * 10);
    }
    assert_eq!(owner(&world, 0), 1 - victim);
    assert!(world.book().answered().is_empty());
    run(&mut world, question_every * 2);
    assert!(!world.book().answered().is_empty(), "its second one is answered");
}

#[test]
fn a_router_is_proof_enough() {
    let gateway = Some("192.0.2.254".parse().unwrap());
    let mut world = settled(Setup { seed: 62, nodes: 2, groups: 1, clients: 0, gateway, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, Fault::Crash(victim));
    run(&mut world, MS * 400);
    assert_eq!(owner(&world, 0), 1 - victim);
    assert!(claims(&world, start)[0].0 - start <= D + MARGIN, "probes began before the dead interval ended");
}

#[test]
fn a_node_that_cannot_send_claims_nothing() {
    let mut world = settled(Setup { seed: 63, nodes: 3, groups: 6, ..Setup::default() });
    let mute = 0;
    for to in 1..4 {
        inflict(&mut world, Fault::Block { from: mute, to });
    }
    run(&mut world, D + T);
    let start = world.elapsed();
    inflict(&mut world, Fault::Crash(1));
    run(&mut world, MS * 3_000);
    assert!(claims(&world, start).iter().all(|(_, node, ..)| *node == 2));
    assert!((0..6).all(|group| owner(&world, group) == 2), "what the mute one had was taken, too");
}

#[test]
fn an_owner_that_hears_nobody_keeps_answering_but_announces_no_more() {
    let mut world = settled(Setup { seed: 64, nodes: 2, groups: 1, clients: 1, ..Setup::default() });
    let cut = owner(&world, 0);
    inflict(&mut world, Fault::Split(vec![cut]));
    run(&mut world, MS * 2_000);
    let start = world.elapsed();
    run(&mut world, MS * 100_000);
    assert!(world.answering(0).contains(&cut));
    assert!(announced(&world, address(), start).iter().all(|(_, node)| *node != cut));
    inflict(&mut world, Fault::Heal);
    run(&mut world, MS * 300);
    assert_eq!(owner(&world, 0), 1 - cut);
}
