// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which hellos count: of recordings, restarts, doubles and other segments.

use super::*;

#[test]
fn a_peer_is_believed_once_it_echoes_us_and_a_recording_never() {
    let mut bench = Bench::owner();
    let mut recording = peer(1);
    recording.owned.push(Claim { group: GROUP, term: Term(50) });
    for _ in 0..10 {
        let payload = recording.hello(None, &[Delta::Claim(Claim { group: GROUP, term: Term(50) })]);
        bench.hello(&payload);
        bench.pass(MS * 75);
    }
    assert_eq!((bench.state(), bench.rejected(Kind::Unbelieved)), (GroupState::Owner, 10));
    assert!(
        bench.hellos.iter().any(|(_, h)| h.echoes.iter().any(|e| e.incarnation == recording.incarnation))
    );
    bench.live_hello(&mut recording, &[]);
    assert_eq!(bench.state(), GroupState::Standby);
}

#[test]
fn an_echo_of_an_old_hello_of_ours_proves_nothing() {
    let mut bench = Bench::owner();
    bench.pass(MS * 100);
    let old = bench.hellos.last().unwrap().1.clone();
    bench.pass(MS * 300);
    let echo = Echo { incarnation: old.incarnation, seq: old.seq, age: MS };
    let payload = peer(1).hello(Some(echo), &[]);
    bench.hello(&payload);
    assert!(bench.segment.view(bench.now).peers.is_empty());
}

#[test]
fn a_restarted_peer_replaces_its_old_process_and_a_second_process_beside_it_does_not() {
    let mut bench = Bench::owner();
    let mut first = peer(1);
    bench.pass_with(&mut first, MS * 200);
    let mut second = peer(2);
    bench.clear();
    let payload = second.hello(None, &[]);
    bench.hello(&payload);
    for _ in 0..20 {
        bench.pass_with(&mut first, MS * 50);
        bench.live_hello(&mut second, &[]);
    }
    assert_eq!(bench.segment.view(bench.now).peers[0].incarnation, first.incarnation);
    let clash = |e: &&Event| matches!(e, Event::DuplicateIdentity { .. });
    assert_eq!((bench.events.len(), bench.events.iter().filter(clash).count()), (1, 1), "{:?}", bench.events);
    // Now the first falls silent.
    bench.clear();
    bench.pass_with(&mut second, MS * 400);
    assert_eq!(bench.segment.view(bench.now).peers[0].incarnation, second.incarnation);
    assert!(bench.events.contains(&Event::PeerUp(first.node)));
}

#[test]
fn our_name_in_the_mouth_of_another_is_counted_and_told_and_changes_nothing() {
    let mut bench = Bench::owner();
    let mut clone = peer(5);
    clone.node = NodeId::of("bench", "us");
    clone.owned.push(Claim { group: GROUP, term: Term(50) });
    for _ in 0..5 {
        bench.pass(MS * 75);
        bench.live_hello(&mut clone, &[]);
    }
    let clash = Event::DuplicateIdentity { node: clone.node, source: PEER_IP.into() };
    assert_eq!(bench.events, [clash]);
    assert_eq!((bench.state(), bench.rejected(Kind::OwnNode)), (GroupState::Owner, 5));
}

#[test]
fn s18_of_two_processes_of_our_node_the_one_that_owns_less_steps_aside_until_the_other_is_gone() {
    let mut bench = Bench::owner();
    let mut clone = peer(5);
    clone.node = NodeId::of("bench", "us");
    clone.owned.extend([1, 2].map(|group| Claim { group: GroupId(group), term: Term(1) }));
    let payload = clone.hello(None, &[]);
    bench.hello(&payload);
    assert_eq!(bench.segment.phase(), Phase::Active, "perhaps a recording");
    bench.pass(MS * 10);
    let echoed = |hello: &Hello| hello.echoes.iter().any(|echo| echo.incarnation == clone.incarnation);
    assert!(bench.hellos.iter().any(|(_, hello)| echoed(hello)));
    bench.live_hello(&mut clone, &[]);
    assert_eq!(bench.segment.phase(), Phase::Aside);
    let aside = Event::SteppedAside { source: PEER_IP.into() };
    let gave_up = |e: &Event| matches!(e, Event::Yielded { to: None, cause: Cause::Duplicate, .. });
    assert!(bench.events.contains(&aside) && bench.events.iter().any(gave_up), "{:?}", bench.events);
    assert!(bench.hellos.last().unwrap().1.flags.leaving, "peers need not wait for its silence");
    bench.clear();
    for _ in 0..40 {
        bench.pass(MS * 80);
        bench.live_hello(&mut clone, &[]);
    }
    assert!(
        bench
            .hellos
            .iter()
            .all(|(to, hello)| *to == Destination::Unicast(PEER_IP.into()) && hello.flags.aside)
    );
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert_eq!((bench.segment.phase(), bench.frames.len()), (Phase::Aside, 0));
    bench.pass(MS * 3_000);
    assert_eq!(bench.segment.phase(), Phase::Active);
}

#[test]
fn a_hello_that_came_over_a_router_or_twice_is_refused() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass(MS * 80);
    bench.live_hello(&mut peer, &[]);
    let payload = peer.hello(None, &[]);
    bench.give(Input::Hello {
        payload: &payload,
        hop_limit: 254,
        source: PEER_IP.into(),
        received: bench.now,
    });
    bench.hello(&payload);
    bench.hello(&payload);
    assert_eq!((bench.rejected(Kind::HopLimit), bench.rejected(Kind::Replayed)), (1, 1));
}

#[test]
fn a_question_that_a_later_hello_overtook_is_answered_once_and_says_nothing_else() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass(MS * 80);
    bench.live_hello(&mut peer, &[]);
    bench.pass(MS * 30);
    peer.flags.ask = true;
    let question = peer.hello(None, &[Delta::Claim(Claim { group: GROUP, term: Term(50) })]);
    peer.flags.ask = false;
    let later = peer.hello(None, &[]);
    bench.hello(&later);
    bench.clear();
    bench.hello(&question);
    bench.hello(&question);
    let answered: Vec<Destination> = bench.hellos.iter().map(|(to, _)| *to).collect();
    assert_eq!(answered, [Destination::Unicast(PEER_IP.into())]);
    let echo = &bench.hellos[0].1.echoes[0];
    assert_eq!((echo.incarnation, echo.seq), (peer.incarnation, peer.seq));
    assert_eq!((bench.state(), bench.rejected(Kind::Replayed)), (GroupState::Owner, 1));
}

#[test]
fn a_hello_carried_over_from_another_segment_is_heard_and_never_believed() {
    let mut bench = Bench::owner();
    let mut here = peer(1);
    bench.pass_with(&mut here, MS * 300);
    // The same node on the other segment: another engine, so another incarnation, and what it echoes is our engine over there.
    let mut there = peer(2);
    there.owned.push(Claim { group: GROUP, term: Term(50) });
    let claim = [Delta::Claim(Claim { group: GROUP, term: Term(50) })];
    let carry = |bench: &mut Bench, there: &mut Peer| {
        let echo = Echo { incarnation: Incarnation::from_random(98), seq: 1_000 + there.seq, age: MS };
        let payload = there.hello(Some(echo), &claim);
        bench.hello(&payload);
    };
    bench.clear();
    for _ in 0..20 {
        bench.pass_with(&mut here, MS * 50);
        carry(&mut bench, &mut there);
    }
    let alive = |bench: &Bench| {
        bench.segment.view(bench.now).peers.iter().map(|peer| peer.incarnation).collect::<Vec<_>>()
    };
    assert_eq!(
        (bench.state(), alive(&bench)),
        (GroupState::Owner, vec![here.incarnation]),
        "{:?}",
        bench.events
    );
    // Nor does it keep a dead peer alive.
    for _ in 0..8 {
        bench.pass(MS * 50);
        carry(&mut bench, &mut there);
    }
    assert_eq!((bench.state(), alive(&bench)), (GroupState::Owner, vec![]), "{:?}", bench.events);
}
