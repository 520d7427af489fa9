// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One engine against packets made by hand.

use std::{net::Ipv4Addr, time::Duration};

use super::*;
use crate::{
    Budget, Claim, ClusterId, Delta, Destination, Digest, Echo, Flags, GroupId, GroupState, Hello,
    Incarnation, KeyRing, Slice, Term, UpTo,
    frame::{self, Heard, arp},
    rejection::Kind,
};

mod answers;
mod belief;
mod strangers;

const MS: Duration = Duration::from_millis(1);
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const CLIENT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);
const OUR_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PEER_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const GROUP: GroupId = GroupId(7);

/// An engine, a clock, and what came out.
struct Bench {
    segment: Segment,
    now: Instant,
    frames: Vec<Heard>,
    hellos: Vec<(Destination, Hello)>,
    events: Vec<Event>,
}

/// A peer whose hellos are made by hand.
struct Peer {
    node: NodeId,
    incarnation: Incarnation,
    seq: u64,
    owned: Vec<Claim>,
    flags: Flags,
}

fn keys() -> KeyRing {
    KeyRing::default_for("bench")
}

fn peer(number: u64) -> Peer {
    Peer {
        node: NodeId::of("bench", "peer"),
        incarnation: Incarnation::from_random(number),
        seq: 0,
        owned: Vec::new(),
        flags: Flags::default(),
    }
}

impl Peer {
    fn hello(&mut self, echo: Option<Echo>, deltas: &[Delta]) -> Vec<u8> {
        self.seq += 1;
        let hello = Hello {
            cluster: ClusterId::of("bench"),
            node: self.node,
            incarnation: self.incarnation,
            seq: self.seq,
            interval: Timing::DEFAULT.hello,
            dead: Timing::DEFAULT.dead,
            flags: self.flags,
            owned: u32::try_from(self.owned.len()).unwrap(),
            digest: self.owned.iter().copied().collect::<Digest>(),
            slice: Slice::WHOLE,
            claims: UpTo::first_of(self.owned.iter().copied()),
            deltas: UpTo::first_of(deltas.iter().copied()),
            echoes: UpTo::first_of(echo),
        };
        hello.encode(&keys())
    }
}

impl Bench {
    /// A node alone on its segment, listening.
    fn new() -> Self {
        let now = Instant::now();
        let config = SegmentConfig {
            cluster: ClusterId::of("bench"),
            node: NodeId::of("bench", "us"),
            incarnation: Incarnation::from_random(99),
            seed: 1,
            keys: keys(),
            timing: Timing::DEFAULT,
            budget: Budget::DEFAULT,
        };
        let segment = Segment::new(config, now);
        let mut bench = Self { segment, now, frames: Vec::new(), hellos: Vec::new(), events: Vec::new() };
        bench.link(true);
        bench.intend(true);
        bench
    }

    /// The same, owning the group by a client's proof.
    fn owner() -> Self {
        let mut bench = Self::new();
        // The peer is expected, but does not come.
        bench.pass(MS * 11_100);
        bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
        bench.search();
        bench.pass(MS * 200);
        assert_eq!(bench.state(), GroupState::Owner);
        bench.clear();
        bench
    }

    /// The client answers while the address is searched for.
    fn search(&mut self) {
        for _ in 0..=7 {
            self.frame(&arp::reply(CLIENT_MAC, CLIENT_IP, OUR_MAC, OUR_IP));
            self.pass(MS * 100);
        }
    }

    fn link(&mut self, up: bool) {
        let addresses = vec!["192.0.2.1/24".parse().unwrap()];
        self.give(Input::Link(LinkState { up, mac: OUR_MAC, addresses, gateways: Vec::new() }));
    }

    fn intend(&mut self, ready: bool) {
        self.intend_for(&[VIP], ready);
    }

    fn intend_for(&mut self, addresses: &[Ipv4Addr], ready: bool) {
        let candidates = [NodeId::of("bench", "us"), NodeId::of("bench", "peer")].into();
        let intent = GroupIntent {
            id: GROUP,
            addresses: addresses.iter().copied().map(IpAddr::V4).collect(),
            candidates,
            preferences: Default::default(),
            ready,
            bound: false,
        };
        self.give(Input::Groups(vec![intent]));
    }

    fn intend_bound(&mut self) {
        let candidates = [NodeId::of("bench", "us"), NodeId::of("bench", "peer")].into();
        let addresses = vec![VIP.into()];
        self.give(Input::Groups(vec![GroupIntent {
            id: GROUP,
            addresses,
            candidates,
            preferences: Default::default(),
            ready: true,
            bound: true,
        }]));
    }

    fn give(&mut self, input: Input<'_>) {
        self.segment.handle(self.now, input);
        while let Some(output) = self.segment.poll_output() {
            match output {
                Output::Hello { to, payload } => {
                    self.hellos.push((to, Hello::decode(&payload, &keys()).unwrap()));
                }
                Output::Frame(bytes) => self.frames.extend(frame::parse(&bytes).unwrap()),
                Output::Event(event) => self.events.push(event),
                Output::Drained => {}
            }
        }
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.give(Input::Frame { bytes, received: self.now });
    }

    fn hello(&mut self, payload: &[u8]) {
        self.give(Input::Hello { payload, hop_limit: 255, source: PEER_IP.into(), received: self.now });
    }

    /// A hello of the peer that echoes our newest one.
    fn live_hello(&mut self, peer: &mut Peer, deltas: &[Delta]) {
        let echo = self.hellos.last().map(|(_, ours)| Echo {
            incarnation: ours.incarnation,
            seq: ours.seq,
            age: MS,
        });
        let payload = peer.hello(echo, deltas);
        self.hello(&payload);
    }

    /// Lets time pass, meeting every deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.segment.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.give(Input::Timeout);
        }
        self.now = end;
    }

    /// As before, while the peer goes on saying hello.
    fn pass_with(&mut self, peer: &mut Peer, time: Duration) {
        for _ in 0..time.as_millis() / 50 {
            self.pass(MS * 50);
            self.live_hello(peer, &[]);
        }
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.hellos.clear();
        self.events.clear();
    }

    fn state(&self) -> GroupState {
        self.segment.view(self.now).groups[0].state
    }

    fn rejected(&self, kind: Kind) -> u64 {
        self.segment.view(self.now).counters.rejections.get(kind)
    }

    /// Announcements of the address among the frames.
    fn announcements(&self) -> usize {
        self.frames.iter().filter(|heard| heard.asserted() == Some((VIP.into(), OUR_MAC))).count()
    }
}

#[test]
fn a_lone_node_is_proved_by_its_first_client_and_announces_itself_to_it_at_once() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.state(), GroupState::NoProof);
    bench.clear();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert_eq!(bench.frames.iter().filter_map(Heard::asked).collect::<Vec<_>>(), [IpAddr::V4(CLIENT_IP)]);
    bench.frame(&arp::reply(CLIENT_MAC, CLIENT_IP, OUR_MAC, OUR_IP));
    assert_eq!(bench.state(), GroupState::Searching);
    bench.clear();
    bench.search();
    assert_eq!(bench.state(), GroupState::Owner);
    assert!(bench.announcements() >= 3, "its entry waits to be filled: in both forms, and in person");
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let probes = bench.frames.iter().filter(|heard| heard.asked() == Some(VIP.into()));
    assert_eq!(probes.count(), 2, "the first went out with the search; none of {nobody} disturbs a table");
}

#[test]
fn a_lower_claim_is_contradicted_at_once_and_by_frames() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass_with(&mut peer, MS * 200);
    let ours = bench.segment.view(bench.now).groups[0].term;
    bench.clear();
    peer.owned.push(Claim { group: GROUP, term: Term(0) });
    bench.live_hello(&mut peer, &[]);
    assert_eq!(bench.announcements(), 3, "both forms, and to the client that asked");
    let (_, hello) = &bench.hellos[0];
    assert_eq!(hello.deltas[..], [Delta::Claim(Claim { group: GROUP, term: ours })]);
}

#[test]
fn a_question_is_answered_at_once_to_who_asked_alone() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass(MS * 80);
    bench.live_hello(&mut peer, &[]);
    bench.pass(MS * 30);
    bench.clear();
    peer.flags.ask = true;
    let payload = peer.hello(None, &[]);
    bench.hello(&payload);
    let (to, hello) = &bench.hellos[0];
    assert_eq!(*to, Destination::Unicast(PEER_IP.into()));
    assert_eq!((hello.echoes[0].incarnation, hello.echoes[0].seq), (peer.incarnation, peer.seq));
}

#[test]
fn an_offer_is_taken_only_from_the_owner_and_only_when_ready() {
    let mut bench = Bench::new();
    let mut peer = peer(1);
    let claim = Claim { group: GROUP, term: Term(4) };
    peer.owned.push(claim);
    bench.pass_with(&mut peer, MS * 1_200);
    assert_eq!(bench.state(), GroupState::Standby);
    let offer = |term| Delta::HandOver { claim: Claim { group: GROUP, term }, to: NodeId::of("bench", "us") };
    bench.intend(false);
    bench.live_hello(&mut peer, &[offer(Term(4))]);
    assert_eq!(bench.state(), GroupState::NotReady);
    bench.intend(true);
    bench.live_hello(&mut peer, &[Delta::HandOver { claim, to: NodeId::of("bench", "another") }]);
    assert_eq!(bench.state(), GroupState::Standby);
    bench.clear();
    bench.live_hello(&mut peer, &[offer(Term(4))]);
    assert_eq!(bench.state(), GroupState::Owner);
    assert_eq!(bench.segment.view(bench.now).groups[0].term, Term(5));
    assert_eq!(bench.announcements(), 2);
}

#[test]
fn announcements_come_before_the_hello_that_claims() {
    let mut bench = Bench::new();
    let mut peer = peer(1);
    peer.owned.push(Claim { group: GROUP, term: Term(4) });
    bench.pass_with(&mut peer, MS * 1_200);
    let offer = Delta::HandOver { claim: peer.owned[0], to: NodeId::of("bench", "us") };
    let echo = bench.hellos.last().unwrap().1.clone();
    let echo = Echo { incarnation: echo.incarnation, seq: echo.seq, age: MS };
    let payload = peer.hello(Some(echo), &[offer]);
    let source = PEER_IP.into();
    bench
        .segment
        .handle(bench.now, Input::Hello { payload: &payload, hop_limit: 255, source, received: bench.now });
    let outputs: Vec<Output> = std::iter::from_fn(|| bench.segment.poll_output()).collect();
    assert!(
        matches!(outputs[..], [Output::Event(_), Output::Frame(_), Output::Frame(_), Output::Hello { .. }]),
        "{outputs:?}"
    );
}

#[test]
fn what_was_on_the_interface_of_a_dead_speaker_is_announced_at_once_though_its_kernel_lives() {
    for (bound, expected) in [(false, GroupState::Quiet(peer(1).node)), (true, GroupState::Owner)] {
        let mut bench = Bench::new();
        if bound {
            bench.intend_bound();
        }
        let mut peer = peer(1);
        peer.owned.push(Claim { group: GROUP, term: Term(4) });
        bench.pass_with(&mut peer, MS * 1_200);
        bench.clear();
        for _ in 0..60 {
            bench.pass(MS * 10);
            bench.frame(&arp::reply(PEER_MAC, PEER_IP, OUR_MAC, OUR_IP));
        }
        assert_eq!((bench.state(), bench.announcements() > 0), (expected, bound), "bound: {bound}");
        assert!(bench.segment.owns(GROUP));
    }
}

#[test]
fn a_group_taken_off_the_list_is_given_up_and_one_that_gains_an_address_announces_it() {
    let mut bench = Bench::owner();
    let added = Ipv4Addr::new(192, 0, 2, 101);
    let candidates = [NodeId::of("bench", "us")].into();
    let addresses = vec![VIP.into(), added.into()];
    bench.give(Input::Groups(vec![GroupIntent {
        id: GROUP,
        addresses,
        candidates,
        preferences: Default::default(),
        ready: true,
        bound: false,
    }]));
    bench.search();
    bench.pass(MS * 1_100);
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, added));
    assert!(bench.frames.iter().any(|heard| heard.asserted() == Some((added.into(), OUR_MAC))));
    bench.clear();
    bench.give(Input::Groups(Vec::new()));
    assert!(matches!(bench.events[..], [Event::Yielded { to: None, cause: Cause::NotEligible, .. }]));
    assert!(matches!(bench.hellos[0].1.deltas[..], [Delta::Resign(_)]));
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert_eq!(bench.frames, []);
}

#[test]
fn nothing_is_done_after_leaving_or_while_the_link_is_down() {
    let mut bench = Bench::owner();
    bench.link(false);
    bench.clear();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    bench.pass(MS * 500);
    assert!(bench.frames.is_empty() && bench.hellos.is_empty());
    assert_eq!(bench.segment.next_deadline(), None);
    let mut bench = Bench::owner();
    bench.give(Input::Leave);
    assert!(bench.hellos.iter().all(|(_, hello)| hello.flags.leaving && hello.owned == 0));
    assert_eq!(bench.hellos.len(), 2);
    bench.clear();
    bench.link(true);
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert!(bench.frames.is_empty() && bench.segment.next_deadline().is_none());
}

#[test]
fn an_idle_node_sends_one_hello_per_interval_and_nothing_else() {
    let mut bench = Bench::owner();
    let mut peer = peer(1);
    bench.pass_with(&mut peer, Duration::from_secs(20));
    bench.clear();
    bench.pass_with(&mut peer, Duration::from_secs(3));
    assert_eq!(bench.hellos.len(), 40);
    assert_eq!((bench.frames.len(), bench.events.len()), (0, 0));
}
