// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that a station outside the cluster has, or may have.

use super::*;

#[test]
fn an_address_that_a_stranger_answers_for_is_left_alone_for_a_minute() {
    let mut bench = Bench::new();
    bench.pass(MS * 11_100);
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    bench.frame(&arp::reply(CLIENT_MAC, CLIENT_IP, OUR_MAC, OUR_IP));
    bench.frame(&arp::reply(PEER_MAC, VIP, OUR_MAC, Ipv4Addr::UNSPECIFIED));
    bench.search();
    assert_eq!((bench.state(), bench.announcements()), (GroupState::InUse, 0));
    assert_eq!(bench.segment.view(bench.now).groups[0].in_use, [(VIP.into(), PEER_MAC)].into());
    assert!(bench.events.contains(&Event::InUse { group: GROUP, address: VIP.into(), mac: PEER_MAC }));
    bench.pass(MS * 59_000);
    bench.search();
    bench.search();
    assert_eq!(bench.state(), GroupState::Owner, "it answers no more");
}

/// Another address of the same group, and how often we asserted it.
const JOINED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);

fn asserted(bench: &Bench, address: Ipv4Addr) -> usize {
    bench.frames.iter().filter(|heard| heard.asserted() == Some((address.into(), OUR_MAC))).count()
}

#[test]
fn an_address_that_comes_to_a_group_of_ours_is_searched_for_while_the_others_are_served() {
    let mut bench = Bench::owner();
    bench.intend_for(&[VIP, JOINED], true);
    assert_eq!(bench.frames.iter().filter_map(Heard::asked).collect::<Vec<_>>(), [IpAddr::V4(JOINED)]);
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, JOINED));
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert_eq!((asserted(&bench, JOINED), asserted(&bench, VIP)), (0, 1));
    bench.search();
    assert!(asserted(&bench, JOINED) >= 2, "announced when nobody else had it");
    bench.clear();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, JOINED));
    assert_eq!(asserted(&bench, JOINED), 1);
}

#[test]
fn an_address_that_comes_to_a_group_of_ours_and_a_stranger_has_is_left_to_it_until_it_leaves() {
    let mut bench = Bench::owner();
    bench.intend_for(&[VIP, JOINED], true);
    bench.frame(&arp::reply(PEER_MAC, JOINED, OUR_MAC, Ipv4Addr::UNSPECIFIED));
    bench.search();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, JOINED));
    assert_eq!((asserted(&bench, JOINED), bench.state()), (0, GroupState::Owner));
    let found = Event::InUse { group: GROUP, address: JOINED.into(), mac: PEER_MAC };
    assert_eq!(bench.events.iter().filter(|event| **event == found).count(), 1);
    assert_eq!(bench.segment.view(bench.now).groups[0].in_use, [(JOINED.into(), PEER_MAC)].into());
    bench.pass(MS * 60_000);
    // The node must be heard again first.
    (0..3).for_each(|_| bench.search());
    assert!(asserted(&bench, JOINED) >= 2, "it answers no more");
    assert!(bench.segment.view(bench.now).groups[0].in_use.is_empty());
}

#[test]
fn an_address_that_leaves_while_it_is_searched_for_is_forgotten() {
    let mut bench = Bench::owner();
    bench.intend_for(&[VIP, JOINED], true);
    bench.intend_for(&[VIP], true);
    bench.clear();
    bench.search();
    assert_eq!(asserted(&bench, JOINED), 0);
    assert!(bench.frames.iter().all(|heard| heard.asked() != Some(JOINED.into())));
}

#[test]
fn a_stranger_with_our_address_is_told_to_people_and_defended_against_once_in_ten_seconds() {
    let mut bench = Bench::owner();
    bench.pass(Duration::from_secs(20));
    bench.clear();
    for _ in 0..9 {
        bench.frame(&arp::announcement_request(PEER_MAC, VIP));
        bench.frame(&arp::reply(CLIENT_MAC, CLIENT_IP, OUR_MAC, OUR_IP));
        bench.pass(MS * 1_000);
    }
    let foreign = Event::ForeignAnswer { address: VIP.into(), mac: PEER_MAC };
    assert_eq!(bench.events, [foreign]);
    assert_eq!(bench.state(), GroupState::Owner);
}

#[test]
fn a_peers_announcement_is_no_strangers_though_its_claim_comes_later() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass_with(&mut peer, MS * 200);
    bench.frame(&arp::reply(PEER_MAC, PEER_IP, OUR_MAC, OUR_IP));
    bench.clear();
    bench.frame(&arp::announcement_request(PEER_MAC, VIP));
    peer.owned.push(Claim { group: GROUP, term: Term(9) });
    bench.live_hello(&mut peer, &[]);
    bench.pass_with(&mut peer, MS * 1_000);
    assert!(
        matches!(bench.events[..], [Event::Yielded { cause: Cause::HigherClaim(_), .. }]),
        "{:?}",
        bench.events
    );
}
