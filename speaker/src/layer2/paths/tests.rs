// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The ways of hellos, in made-up time.

use super::*;

const TIMING: Timing = Timing::DEFAULT;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn node(name: &str) -> NodeId {
    NodeId::of("test", name)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// One peer that is expected, at an address that is known.
fn expecting(now: Instant) -> Paths {
    let mut paths = Paths::new(TIMING);
    paths.expect(BTreeMap::from([(node("peer"), vec![address(2)])]), now);
    paths
}

fn copies_between(paths: &mut Paths, start: Instant, from: u64, to: u64) -> usize {
    let times = (from..to).step_by(75);
    times.filter(|at| paths.copies(start + ms(*at)) != Copies::default()).count()
}

#[test]
fn while_everybody_is_heard_by_multicast_nothing_is_sent_twice() {
    let start = Instant::now();
    let mut paths = expecting(start);
    for step in 0..100 {
        let now = start + ms(75 * step);
        paths.heard(node("peer"), Way::Multicast, address(2), now);
        assert_eq!(paths.copies(now + ms(170)), Copies::default());
    }
    assert!(paths.detours(start + ms(7500)).is_empty());
}

#[test]
fn an_expected_node_that_was_never_heard_is_tried_at_its_addresses_and_by_frames() {
    let start = Instant::now();
    let mut paths = expecting(start);
    assert_eq!(paths.copies(start + ms(100)), Copies::default(), "there is time yet");
    let copies = paths.copies(start + TIMING.suspect);
    assert_eq!(copies, Copies { unicast: vec![address(2)], raw: Some(Wish::Everybody) });
}

#[test]
fn a_peer_that_falls_silent_is_asked_in_frames_before_it_counts_as_dead() {
    let start = Instant::now();
    let mut paths = expecting(start);
    paths.heard(node("peer"), Way::Multicast, address(2), start);
    assert_eq!(paths.copy_to_one(address(2), start + ms(100)), None);
    assert_eq!(paths.copy_to_one(address(2), start + TIMING.suspect), Some(Wish::One(node("peer"))));
    assert!(TIMING.suspect < TIMING.dead);
}

#[test]
fn who_answers_none_is_tried_ever_more_seldom() {
    let start = Instant::now();
    let mut paths = expecting(start);
    assert!(copies_between(&mut paths, start, 200, 1100) >= 11, "with each hello");
    let seldom = copies_between(&mut paths, start, 2_000, 12_000);
    assert!((9..=11).contains(&seldom), "{seldom} in ten seconds");
    let rarely = copies_between(&mut paths, start, 100_000, 200_000);
    assert!((9..=11).contains(&rarely), "{rarely} in a hundred seconds");
}

#[test]
fn who_is_heard_by_a_detour_gets_copies_of_everything_and_is_named() {
    let start = Instant::now();
    for way in [Way::Unicast, Way::Raw] {
        let mut paths = expecting(start);
        for step in 0..1000 {
            let now = start + ms(75 * step);
            paths.heard(node("peer"), way, address(2), now);
            assert_eq!(paths.copies(now).raw.is_some(), now >= start + TIMING.suspect);
        }
        let now = start + ms(75 * 1000);
        assert_eq!(paths.detours(now), BTreeMap::from([(node("peer"), way)]));
        paths.heard(node("peer"), Way::Multicast, address(2), now);
        assert!(paths.detours(now).is_empty(), "healed");
        assert_eq!(paths.copies(now), Copies::default());
    }
}

#[test]
fn a_frame_that_wishes_for_ours_is_answered_by_frames_that_wish_for_nothing() {
    let start = Instant::now();
    let mut paths = expecting(start);
    paths.heard(node("peer"), Way::Multicast, address(2), start);
    paths.wished_for(start);
    assert_eq!(paths.copies(start + ms(10)), Copies { unicast: vec![], raw: Some(Wish::Nothing) });
    assert_eq!(paths.copy_to_one(address(2), start + ms(10)), Some(Wish::Nothing));
    paths.heard(node("peer"), Way::Multicast, address(2), start + ms(1200));
    assert_eq!(paths.copies(start + ms(1201)), Copies::default(), "it asks no more");
}

#[test]
fn a_crowd_of_absent_nodes_has_its_turn_by_turn() {
    let start = Instant::now();
    let mut paths = Paths::new(TIMING);
    let nodes = (0..100).map(|number| (node(&number.to_string()), vec![address(number)]));
    paths.expect(nodes.collect(), start);
    let mut tried = std::collections::BTreeSet::new();
    for step in 0..7 {
        let copies = paths.copies(start + ms(200 + 75 * step));
        assert!(copies.unicast.len() <= UNICAST_AT_ONCE);
        tried.extend(copies.unicast);
    }
    assert_eq!(tried.len(), 100);
}

#[test]
fn where_others_are_heard_only_the_nodes_that_are_missed_are_asked_for_frames() {
    let start = Instant::now();
    let mut paths = expecting(start);
    let mut wishes = Vec::new();
    for step in 0..8 {
        let now = start + ms(200 + 75 * step);
        paths.heard(node("other"), Way::Multicast, address(3), now);
        wishes.push(paths.copies(now).raw);
    }
    assert!(wishes.iter().all(|wish| *wish == Some(Wish::One(node("peer")))), "{wishes:?}");
}

#[test]
fn a_node_that_left_is_forgotten_after_a_while_unless_it_is_expected() {
    let start = Instant::now();
    let mut paths = expecting(start);
    paths.heard(node("stranger"), Way::Multicast, address(9), start);
    paths.expect(BTreeMap::from([(node("peer"), vec![address(2)])]), start);
    let targets = |paths: &mut Paths, at| paths.copies(start + at).unicast;
    assert_eq!(targets(&mut paths, ms(300)).len(), 2);
    assert_eq!(targets(&mut paths, TIMING.forget + ms(1)), [address(2)]);
}
