// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One peer against the clock and its own hellos.

use super::*;
use crate::{Digest, Flags, Slice, UpTo, hello::Echo, identity::ClusterId, identity::NodeId};

const MS: Duration = Duration::from_millis(1);
const T: Timing = Timing::DEFAULT;

fn hello(incarnation: u64, seq: u64) -> Hello {
    Hello {
        cluster: ClusterId(1),
        node: NodeId([1; 16]),
        incarnation: Incarnation::from_random(incarnation),
        seq,
        interval: T.hello,
        dead: T.dead,
        flags: Flags::default(),
        owned: 0,
        digest: Digest::EMPTY,
        slice: Slice::WHOLE,
        claims: UpTo::new(),
        deltas: UpTo::new(),
        echoes: UpTo::new(),
    }
}

fn hear(peer: &mut Peer, hello: &Hello, at: Instant, echoes_us: bool) -> Reception {
    peer.hear(hello, IpAddr::from([192, 0, 2, 1]), at, echoes_us, &T)
}

/// A peer heard at `at`.
fn up(at: Instant) -> Peer {
    let mut peer = Peer::new();
    assert_eq!(hear(&mut peer, &hello(1, 10), at, true), Reception::Up(Return::First));
    peer
}

/// What the clock says, in milliseconds after `start`, if it is looked at whenever asked for.
fn judgements(peer: &mut Peer, start: Instant, in_company: bool) -> Vec<(u128, &'static str)> {
    let mut now = start;
    let mut seen = Vec::new();
    while now < start + MS * 1_000 {
        let (next, name) = match peer.judge(now, in_company, &T) {
            Judgement::Fine { next } => (next, None),
            Judgement::Ask { next } => (next, Some("ask")),
            Judgement::Died { next, deaf } => (next, Some(if deaf { "deaf" } else { "died" })),
            Judgement::Forget => break,
        };
        seen.extend(name.map(|name| (now.duration_since(start).as_millis(), name)));
        now = next;
    }
    seen
}

#[test]
fn a_silent_peer_is_asked_three_times_and_dies_after_the_dead_interval() {
    let start = Instant::now();
    let seen = judgements(&mut up(start), start, true);
    assert_eq!(seen, [(175, "ask"), (200, "ask"), (225, "ask"), (275, "died")]);
}

#[test]
fn an_answer_ends_the_suspicion_and_the_next_silence_is_asked_about_anew() {
    let start = Instant::now();
    let mut peer = up(start);
    peer.judge(start + MS * 175, true, &T);
    assert!(peer.alive().unwrap().is_suspect());
    assert_eq!(hear(&mut peer, &hello(1, 11), start + MS * 180, false), Reception::Known);
    assert!(!peer.alive().unwrap().is_suspect());
    let seen = judgements(&mut peer, start + MS * 180, true);
    assert_eq!(seen, [(175, "ask"), (200, "ask"), (225, "ask"), (275, "died")]);
}

#[test]
fn our_own_stall_is_no_silence_of_the_peer() {
    let start = Instant::now();
    let mut peer = up(start);
    peer.forgive(MS * 3_000, start + MS * 3_050);
    let seen = judgements(&mut peer, start + MS * 3_050, true);
    assert_eq!(seen.last(), Some(&(225, "died")), "what passed before the stall counts");
}

#[test]
fn a_third_party_vouches_for_newer_hellos_of_the_same_process_only() {
    let start = Instant::now();
    let mut peer = up(start);
    peer.vouch(Incarnation::from_random(1), 10, start + MS * 200);
    peer.vouch(Incarnation::from_random(2), 99, start + MS * 200);
    assert_eq!(judgements(&mut peer, start, true).last(), Some(&(275, "died")));
    let mut peer = up(start);
    peer.vouch(Incarnation::from_random(1), 11, start + MS * 100);
    assert_eq!(judgements(&mut peer, start, true).last(), Some(&(375, "died")));
    assert_eq!(hear(&mut peer, &hello(1, 11), start + MS * 380, true), Reception::Up(Return::Healed));
}

#[test]
fn only_a_higher_sequence_number_counts() {
    let start = Instant::now();
    let mut peer = up(start);
    assert_eq!(hear(&mut peer, &hello(1, 10), start + MS, true), Reception::Replayed);
    assert_eq!(hear(&mut peer, &hello(1, 9), start + MS, true), Reception::Replayed);
    assert_eq!(hear(&mut peer, &hello(1, 11), start + MS, false), Reception::Known);
}

#[test]
fn a_question_that_was_overtaken_counts_once_and_only_as_a_question() {
    let start = Instant::now();
    let mut peer = up(start);
    let asking = |seq: u64| {
        let mut question = hello(1, seq);
        question.flags.ask = true;
        question
    };
    hear(&mut peer, &hello(1, 13), start + MS, true);
    assert_eq!(hear(&mut peer, &asking(9), start + MS * 2, true), Reception::Replayed, "from before we met");
    assert_eq!(hear(&mut peer, &asking(12), start + MS * 100, true), Reception::Overtaken);
    assert_eq!(hear(&mut peer, &asking(12), start + MS * 100, true), Reception::Replayed);
    assert_eq!(hear(&mut peer, &asking(11), start + MS * 100, true), Reception::Replayed);
    assert_eq!(judgements(&mut peer, start, true).last(), Some(&(276, "died")), "it is no sign of life");
    let mut peer = up(start);
    assert_eq!(hear(&mut peer, &asking(11), start, true), Reception::Known);
    hear(&mut peer, &hello(1, 12), start, true);
    assert_eq!(hear(&mut peer, &asking(11), start, true), Reception::Replayed, "it was answered in its turn");
    peer.bury(Absence::Silent, start + MS);
    hear(&mut peer, &hello(1, 14), start + MS * 1_000, false);
    assert_eq!(hear(&mut peer, &asking(13), start + MS * 1_000, true), Reception::Replayed, "nobody is up");
}

#[test]
fn who_comes_back_a_little_late_is_taken_at_its_word_and_later_only_with_an_echo() {
    let start = Instant::now();
    let dead = |at: Instant| {
        let mut peer = up(start);
        judgements(&mut peer, start, true);
        (hear(&mut peer, &hello(1, 11), at, false), hear(&mut peer, &hello(1, 12), at, true))
    };
    let up_again = Reception::Up(Return::Healed);
    assert_eq!(dead(start + MS * 300), (up_again, Reception::Known));
    assert_eq!(dead(start + MS * 600), (Reception::Unbelieved, up_again));
}

#[test]
fn a_new_process_replaces_one_that_missed_a_hello_and_a_speaking_one_never() {
    let start = Instant::now();
    let mut peer = up(start);
    assert_eq!(hear(&mut peer, &hello(2, 1), start + MS * 50, false), Reception::Unbelieved);
    let early = hear(&mut peer, &hello(2, 2), start + MS * 55, true);
    assert_eq!(early, Reception::Duplicate { proved: false }, "the next hello of the first is not due");
    assert_eq!(hear(&mut peer, &hello(2, 3), start + MS * 90, true), Reception::Up(Return::Replaced));

    let mut peer = up(start);
    hear(&mut peer, &hello(2, 1), start + MS * 50, false);
    hear(&mut peer, &hello(1, 11), start + MS * 60, true);
    let second = hear(&mut peer, &hello(2, 2), start + MS * 65, true);
    assert_eq!(second, Reception::Duplicate { proved: false }, "perhaps its last words were delayed");
    hear(&mut peer, &hello(1, 12), start + MS * 400, true);
    assert_eq!(hear(&mut peer, &hello(2, 3), start + MS * 405, true), Reception::Duplicate { proved: true });
    assert_eq!(peer.alive().unwrap().incarnation, Incarnation::from_random(1));
    judgements(&mut peer, start + MS * 400, true);
    let third = hear(&mut peer, &hello(2, 4), start + MS * 700, true);
    assert_eq!(third, Reception::Up(Return::Reborn), "once the first is dead");
}

#[test]
fn the_repetition_of_a_good_bye_does_not_revive() {
    let start = Instant::now();
    let mut peer = up(start);
    peer.bury(Absence::Left, start + MS);
    let mut bye = hello(1, 11);
    bye.flags.leaving = true;
    assert_eq!(hear(&mut peer, &bye, start + MS * 2, true), Reception::Replayed);
    assert!(peer.alive().is_none());
    assert_eq!(hear(&mut peer, &hello(2, 1), start + MS * 500, true), Reception::Up(Return::Rejoined));
}

#[test]
fn who_speaks_but_echoes_nobody_in_company_is_deaf_until_it_echoes_us() {
    let start = Instant::now();
    let mut peer = up(start);
    let speak = |peer: &mut Peer, at: Instant, seq: u64, age: Option<Duration>| {
        let mut hello = hello(1, seq);
        let echo = |age| Echo { incarnation: hello.incarnation, seq: 1, age };
        hello.echoes = UpTo::first_of(age.map(echo));
        hear(peer, &hello, at, false)
    };
    for step in 1..4 {
        speak(&mut peer, start + MS * 75 * step, 10 + u64::from(step), Some(MS * 20));
    }
    for step in 4..9 {
        speak(&mut peer, start + MS * 75 * step, 10 + u64::from(step), Some(MS * 300));
        assert!(matches!(peer.judge(start + MS * 75 * step, false, &T), Judgement::Fine { .. }), "alone");
    }
    let judgement = peer.judge(start + MS * 600, true, &T);
    assert!(matches!(judgement, Judgement::Died { deaf: true, .. }), "{judgement:?}");
    assert_eq!(speak(&mut peer, start + MS * 675, 19, None), Reception::Unbelieved);
    assert_eq!(hear(&mut peer, &hello(1, 20), start + MS * 700, true), Reception::Up(Return::Healed));
}
