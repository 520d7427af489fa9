// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! More nodes than echo each other in every hello.

use ferrolb_simulator::Signing;

use super::*;

#[test]
fn a_crowd_that_starts_at_once_knows_each_other_and_has_one_owner_a_group_within_three_seconds() {
    for (seed, nodes) in [(700, 66), (701, 100)] {
        let signing = Signing::Checksum;
        let mut world = World::new(Setup { seed, nodes, groups: 20, signing, ..Setup::default() });
        for node in 0..nodes {
            inflict(&mut world, Fault::Start(node));
        }
        run(&mut world, MS * 3_000);
        for node in 0..nodes {
            assert_eq!(world.view(node).unwrap().peers.len(), nodes - 1, "node {node} of {nodes}");
        }
        (0..20).for_each(|group| assert_eq!(world.answering(group).len(), 1, "group {group} of {nodes}"));
    }
}

#[test]
fn a_node_that_joins_a_crowd_is_believed_by_all_within_two_seconds() {
    let (nodes, signing) = (90, Signing::Checksum);
    let mut world = World::new(Setup { seed: 703, nodes, groups: 4, signing, ..Setup::default() });
    for node in 1..nodes {
        inflict(&mut world, Fault::Start(node));
    }
    run(&mut world, MS * 4_000);
    inflict(&mut world, Fault::Start(0));
    run(&mut world, MS * 2_000);
    let newcomer = world.id(0);
    assert_eq!(world.view(0).unwrap().peers.len(), nodes - 1);
    for node in 1..nodes {
        let peers = world.view(node).unwrap().peers;
        assert!(peers.iter().any(|peer| peer.node == newcomer), "node {node}");
    }
}
