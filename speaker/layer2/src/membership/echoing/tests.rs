// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whom hellos echo, among few and among many.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::*;
use crate::{
    digest::Digest,
    hello::{Flags, Hello, Slice},
    identity::ClusterId,
    peer::{Absence, Reception},
    timing::Timing,
};

const INTERVAL: Duration = Timing::DEFAULT.hello;

fn process(number: u32) -> Incarnation {
    Incarnation::from_random(u64::from(number) + 1)
}

/// A node that hears all others, which all speak at `now` for the first time.
fn among(count: u32, number: u32, now: Instant) -> Membership {
    let mut members = Membership::new(id(number), Timing::DEFAULT);
    hear(&mut members, (0..count).filter(|other| *other != number), 1, now);
    members
}

/// Spread over the ring as digests are.
fn id(number: u32) -> NodeId {
    NodeId(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

fn hear(members: &mut Membership, nodes: impl Iterator<Item = u32>, seq: u64, now: Instant) {
    for reception in say(members, nodes, seq, now, true) {
        assert!(matches!(reception, Reception::Up(_) | Reception::Known), "{reception:?}");
    }
}

fn say(
    members: &mut Membership,
    nodes: impl Iterator<Item = u32>,
    seq: u64,
    now: Instant,
    echoes_us: bool,
) -> Vec<Reception> {
    let hello = |number| Hello {
        cluster: ClusterId(1),
        node: id(number),
        incarnation: process(number),
        seq,
        interval: INTERVAL,
        dead: Timing::DEFAULT.dead,
        flags: Flags::default(),
        owned: 0,
        digest: Digest::EMPTY,
        slice: Slice::WHOLE,
        claims: UpTo::new(),
        deltas: UpTo::new(),
        echoes: UpTo::new(),
    };
    let source = |number| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
    nodes.map(|number| members.hear(&hello(number), source(number), now, echoes_us)).collect()
}

fn echoed(members: &mut Membership, now: Instant) -> Vec<Incarnation> {
    members.echoes(now).iter().map(|echo| echo.incarnation).collect()
}

#[test]
fn among_few_everybody_is_echoed_in_every_hello() {
    let now = Instant::now();
    let mut members = among(9, 0, now);
    for _ in 0..3 {
        assert_eq!(BTreeSet::from_iter(echoed(&mut members, now)), (1..9).map(process).collect());
    }
}

#[test]
fn whoever_was_not_echoed_for_longest_is_next() {
    let now = Instant::now();
    let mut members = among(25, 0, now);
    let all: Vec<Incarnation> =
        (0..3).flat_map(|hello| echoed(&mut members, now + Duration::from_millis(hello))).collect();
    assert_eq!(BTreeSet::from_iter(all), (1..25).map(process).collect());
}

#[test]
fn among_many_each_is_echoed_by_three_in_every_interval_and_in_time_by_all() {
    const MANY: u32 = 100;
    let start = Instant::now();
    let mut nodes: Vec<Membership> = (0..MANY).map(|number| among(MANY, number, start)).collect();
    // Nobody waits for its first echo any more.
    nodes.iter_mut().for_each(|members| (0..MANY).for_each(|_| drop(members.echoes(start))));
    let mut by = BTreeMap::<Incarnation, BTreeSet<usize>>::new();
    for round in 0..MANY {
        let now = start + INTERVAL * round;
        let mut times = BTreeMap::<Incarnation, usize>::new();
        for (number, members) in nodes.iter_mut().enumerate() {
            let me = members.me;
            hear(members, (0..MANY).filter(|other| id(*other) != me), u64::from(round) + 2, now);
            for process in echoed(members, now) {
                *times.entry(process).or_default() += 1;
                by.entry(process).or_default().insert(number);
            }
        }
        assert_eq!(times.values().sum::<usize>(), nodes.len() * (SUCCESSORS + IN_TURN));
        assert!((0..MANY).all(|node| times[&process(node)] >= SUCCESSORS), "round {round}: {times:?}");
    }
    assert!(by.values().all(|nodes| nodes.len() == MANY as usize - 1));
}

#[test]
fn among_many_whoever_was_never_echoed_is_told_with_few_hellos() {
    let now = Instant::now();
    let mut members = among(100, 0, now);
    let hellos = 99usize.div_ceil(usize::from(MAX_ECHOES) - SUCCESSORS);
    let all: Vec<Incarnation> = (0..hellos).flat_map(|_| echoed(&mut members, now)).collect();
    assert_eq!(BTreeSet::from_iter(all), (1..100).map(process).collect());
    assert_eq!(echoed(&mut members, now).len(), SUCCESSORS + IN_TURN, "and then they are many like any");
}

#[test]
fn strangers_take_turns_whatever_their_ids_and_leave_half_of_the_room() {
    let now = Instant::now();
    let half = usize::from(MAX_ECHOES) / 2;
    let mut members = among(10, 0, now);
    say(&mut members, 10..90, 1, now, false);
    let hellos = 80usize.div_ceil(half);
    let all: Vec<Incarnation> = (0..hellos).flat_map(|_| echoed(&mut members, now)).collect();
    let strangers = all.iter().filter(|who| !(1..10).map(process).any(|known| known == **who));
    assert_eq!(strangers.clone().count(), 80, "each once");
    assert_eq!(BTreeSet::from_iter(all), (1..90).map(process).collect());
}

#[test]
fn among_many_too_whoever_returns_and_whoever_asks_comes_first() {
    let now = Instant::now();
    let mut members = among(100, 0, now);
    for round in 0..100 {
        echoed(&mut members, now + Duration::from_millis(round));
    }
    let now = now + Duration::from_millis(101);
    let far = (1..100).max_by_key(|node| distance(id(0), id(*node))).unwrap();
    members.echo_next(id(far));
    assert!(echoed(&mut members, now).contains(&process(far)));
    assert!(!echoed(&mut members, now).contains(&process(far)));
    members.bury(id(far), Absence::Deaf, now);
    assert!(echoed(&mut members, now).contains(&process(far)));
}

#[test]
fn a_process_is_vouched_for_by_its_number_until_another_takes_its_place() {
    let now = Instant::now();
    let mut members = among(3, 0, now);
    assert!(members.is_of_a_live_node(process(1)));
    assert!(!members.is_of_a_live_node(process(7)));
    let later = now + Timing::DEFAULT.dead - Duration::from_millis(1);
    let echo = Echo { incarnation: process(1), seq: 2, age: Duration::from_millis(20) };
    members.vouch(&echo, later);
    let mut verdicts = Vec::new();
    while let Some(verdict) = members.judge_next(now + Timing::DEFAULT.dead) {
        verdicts.push(verdict);
    }
    assert!(members.is_alive(id(1)) && !members.is_alive(id(2)), "{verdicts:?}");
    assert!(!members.is_of_a_live_node(process(2)));
}

#[test]
fn the_same_word_of_others_counts_once_and_the_next_counts_again() {
    let now = Instant::now();
    // The millisecond in which the peer dies that others heard so: sequence number, and after how many intervals.
    let dies = |words: &[(u64, u32)]| {
        let mut members = among(3, 0, now);
        for (seq, intervals) in words {
            let echo = Echo { incarnation: process(1), seq: *seq, age: Duration::ZERO };
            members.vouch(&echo, now + INTERVAL * *intervals);
        }
        (0..1000).find(|ms| {
            while members.judge_next(now + Duration::from_millis(*ms)).is_some() {}
            !members.is_alive(id(1))
        })
    };
    assert_eq!(dies(&[(1, 1)]), dies(&[]), "heard by ourselves");
    assert_eq!(dies(&[(2, 1), (2, 3)]), dies(&[(2, 1)]));
    assert_eq!(dies(&[(2, 1), (2, 3), (3, 3)]), dies(&[(3, 3)]));
    assert_eq!([dies(&[]), dies(&[(2, 1)]), dies(&[(3, 3)])], [Some(275), Some(350), Some(500)]);
}

#[test]
fn silence_is_granted_by_all_that_are_up_and_never_by_nobody() {
    let now = Instant::now();
    let dead = Timing::DEFAULT.dead;
    assert!(!among(1, 0, now).all_grant(Duration::ZERO));
    let mut members = among(3, 0, now);
    assert!(members.all_grant(dead));
    assert!(!members.all_grant(dead + Duration::from_millis(1)));
    members.bury(id(1), Absence::Silent, now);
    assert!(members.all_grant(dead));
    members.bury(id(2), Absence::Silent, now);
    assert!(!members.all_grant(dead));
}
