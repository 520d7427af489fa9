// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who carries an address when nodes die, stand still, leave and come back.

use std::collections::BTreeSet;

use ferrolb_layer2::{Cause, Event};

use crate::cluster::{Cluster, FAILOVER, FROM_NOTHING, MS};
use crate::manifests::{LOCAL, conditioned, endpoints, grouped, served, service};

const VIP: &str = "192.0.2.100";

fn web(nodes: u8) -> Cluster {
    let mut cluster = Cluster::of(nodes);
    cluster.apply(&served("web", "", VIP, &["n1"]));
    cluster.settle();
    cluster
}

#[test]
fn l2_014_another_node_takes_the_address_of_a_dead_one_which_takes_nothing_back_when_it_returns() {
    let mut cluster = web(3);
    let owner = cluster.owner(VIP);
    cluster.crash(&owner);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    let claims = cluster.claims();
    cluster.start(&owner);
    cluster.settle();
    assert_eq!((cluster.owner(VIP), cluster.claims()), (heir.clone(), claims), "ownership is sticky");
    cluster.crash(&heir);
    cluster.pass(FAILOVER);
    assert_ne!(cluster.owner(VIP), heir, "and it is a candidate again");
}

#[test]
fn l2_015_repeated_failovers_neither_lose_the_address_nor_double_it() {
    let mut cluster = web(3);
    for round in 0..8 {
        let owner = cluster.owner(VIP);
        cluster.crash(&owner);
        let mut dark = 0;
        for _ in 0..50 {
            cluster.pass(MS * 8);
            let answering = cluster.answering(VIP);
            assert!(answering.len() <= 1, "round {round}: {answering:?}");
            dark = if answering.is_empty() { dark + 1 } else { 0 };
        }
        assert_eq!(dark, 0, "round {round}: nobody answers");
        cluster.start(&owner);
        for _ in 0..50 {
            cluster.pass(MS * 50);
            assert_eq!(cluster.answering(VIP).len(), 1, "round {round}: while a node returns");
        }
    }
}

#[test]
fn l2_018_a_node_that_falls_silent_is_out_of_the_election_and_gives_no_old_answer_when_it_wakes() {
    let mut cluster = web(3);
    let owner = cluster.owner(VIP);
    cluster.freeze(&owner);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    cluster.pass(MS * 2_000);
    cluster.thaw(&owner);
    for _ in 0..50 {
        assert_eq!(cluster.owner(VIP), heir);
        cluster.pass(MS * 10);
    }
}

#[test]
fn l2_019_a_speaker_that_ends_gives_its_addresses_away_at_once_and_no_question_is_left_unanswered() {
    let mut cluster = web(3);
    let owner = cluster.owner(VIP);
    let begin = cluster.elapsed();
    cluster.drain(&owner);
    while !cluster.is_drained(&owner) {
        assert!(!cluster.answering(VIP).is_empty());
        assert!(cluster.elapsed() - begin < MS * 100, "long before silence would tell");
    }
    cluster.leave(&owner);
    for _ in 0..100 {
        assert_ne!(cluster.owner(VIP), owner);
        cluster.pass(MS * 5);
    }
    let handed =
        |(_, event): &(String, Event)| matches!(event, Event::Claimed { cause: Cause::HandedOver(_), .. });
    assert_eq!(cluster.events().iter().filter(|event| handed(event)).count(), 1);
}

#[test]
fn l2_020_flapping_endpoints_policies_and_rapid_edits_end_in_one_holder() {
    let mut cluster = web(3);
    let owner = cluster.owner(VIP);
    for _ in 0..5 {
        cluster.apply(&[conditioned("web", &[("n1", "ready: false")])]);
        cluster.pass(MS * 20);
        cluster.apply(&[endpoints("web", &["n1"])]);
        cluster.pass(MS * 20);
    }
    cluster.pass(FROM_NOTHING);
    assert_eq!(cluster.answering(VIP).len(), 1, "after flaps that took the address from {owner}");
    cluster.apply(&[service("web", LOCAL)]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), "n1", "where the endpoint is");
    cluster.apply(&[service("web", ""), endpoints("web", &["n1", "n2", "n3"])]);
    let claims = cluster.claims();
    for number in 0..15 {
        let on = ["n1", "n2", "n3"][number % 3];
        cluster.apply(&[
            endpoints("web", &[on]),
            service("web", &format!("sessionAffinity: ClientIP, healthCheckNodePort: {}", 30_000 + number)),
        ]);
        cluster.pass(MS);
    }
    cluster.pass(FAILOVER);
    assert_eq!(
        (cluster.owner(VIP).as_str(), cluster.claims()),
        ("n1", claims),
        "nothing of that concerns the holder"
    );
}

#[test]
fn l2_021_who_lost_an_address_stands_by_and_takes_it_when_the_next_one_dies() {
    let mut cluster = web(2);
    let mut owner = cluster.owner(VIP);
    for _ in 0..3 {
        cluster.drain(&owner);
        cluster.pass(FAILOVER);
        let heir = cluster.owner(VIP);
        assert_ne!(heir, owner);
        cluster.leave(&owner);
        cluster.start(&owner);
        cluster.settle();
        assert_eq!(cluster.owner(VIP), heir);
        cluster.crash(&heir);
        cluster.settle();
        assert_eq!(cluster.owner(VIP), owner);
        cluster.start(&heir);
        cluster.settle();
        owner = cluster.owner(VIP);
    }
}

#[test]
fn l2_022_the_addresses_of_a_group_move_together_and_one_that_goes_leaves_the_other_running() {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let mut cluster = Cluster::of(4);
    for (number, address) in addresses.iter().enumerate() {
        let [service, endpoints, _] = served(&format!("web{number}"), "", address, &["n1"]);
        cluster.apply(&[service, endpoints, grouped(address, &[&format!("web{number}")], "front")]);
    }
    cluster.settle();
    let carriers = |cluster: &mut Cluster, addresses: &[&str]| -> BTreeSet<String> {
        addresses.iter().map(|address| cluster.owner(address)).collect()
    };
    let before = carriers(&mut cluster, &addresses);
    cluster.crash(before.first().unwrap());
    cluster.pass(FAILOVER);
    let after = carriers(&mut cluster, &addresses);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
    let claims = cluster.claims();
    cluster.delete_service("web0");
    cluster.release(addresses[0]);
    assert_eq!(carriers(&mut cluster, &addresses[1..]), after);
    assert_eq!(cluster.answering(addresses[0]), [""; 0]);
    cluster.pass(FAILOVER);
    assert_eq!((carriers(&mut cluster, &addresses[1..]), cluster.claims()), (after, claims));
}
