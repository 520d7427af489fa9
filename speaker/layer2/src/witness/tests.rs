// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Segments of a few nodes, as their views tell, and stations that answer or do not.

use super::*;
use crate::{
    Incarnation, Term, frame::announcement, frame::arp, view::Counts, view::GroupState, view::PeerView,
};

const VIP: &str = "192.0.2.100";
const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OWNER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node(n: u8) -> NodeId {
    NodeId::of("test", &format!("n{n}"))
}

fn source(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn link() -> LinkState {
    let addresses = ["192.0.2.1/24", "2001:db8::1/64"].map(|net| net.parse().unwrap()).to_vec();
    LinkState { up: true, mac: OWN, addresses, gateways: Vec::new() }
}

/// Node 1 sees these others; node 2 owns the addresses.
fn view(peers: &[u8], term: u64, addresses: &[&str], now: Instant) -> SegmentView {
    let peer = |n: &u8| PeerView {
        node: node(*n),
        incarnation: Incarnation::from_random(1),
        source: source(*n),
        heard: now,
        suspect: false,
        draining: false,
        complete: true,
    };
    let mut groups: Vec<GroupView> = addresses
        .iter()
        .map(|address| GroupView {
            id: GroupId::of(address),
            addresses: vec![ip(address)],
            state: GroupState::Standby,
            owner: Some(node(2)),
            term: Term(term),
            since: now,
            cause: None,
            in_use: Default::default(),
        })
        .collect();
    groups.sort_by_key(|group| group.id);
    let peers = peers.iter().map(peer).collect();
    let counters = Counts::default();
    SegmentView {
        phase: Phase::Active,
        draining: false,
        shaky: false,
        proven: true,
        peers,
        groups,
        slowed: None,
        counters,
    }
}

fn ports(port: Option<u16>, addresses: &[&str]) -> BTreeMap<IpAddr, NonZeroU16> {
    let port = port.and_then(NonZeroU16::new);
    addresses.iter().filter_map(|address| Some((ip(address), port?))).collect()
}

/// A node that watches, on a wire where stations answer.
struct Scene {
    witness: Witness,
    now: Instant,
    /// Who answers for which address.
    answering: Vec<(IpAddr, MacAddr)>,
    /// What the port says: open, refused, nothing.
    port: Option<bool>,
    sent: Vec<(Instant, Vec<u8>)>,
}

impl Scene {
    fn new(port: Option<u16>) -> Self {
        Self::of(port, &[VIP])
    }

    fn of(port: Option<u16>, addresses: &[&str]) -> Self {
        let (mut witness, now) = (Witness::new(node(1), 7), Instant::now());
        witness.follow(&view(&[2], 1, addresses, now), &link(), &ports(port, addresses), now);
        let vips = addresses.iter().map(|address| (ip(address), OWNER));
        let answering = vips.chain([(source(2), OWNER)]).collect();
        Self { witness, now, answering, port: Some(true), sent: Vec::new() }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.witness.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.witness.act(self.now);
            while let Some(sent) = self.witness.poll_output() {
                self.answer(&sent);
                self.sent.push((self.now, sent));
            }
        }
        self.now = end;
    }

    fn answer(&mut self, frame: &[u8]) {
        if let Ok(Some(heard)) = frame::parse(frame) {
            let asked = heard.asked().unwrap();
            for (_, mac) in self.answering.iter().filter(|(address, _)| *address == asked) {
                self.witness.hear(&frame::answer(&heard, *mac).unwrap(), self.now);
            }
        } else if let Some(open) = self.port {
            self.witness.hear_port(&tcp::tests::answer_to(frame, open), self.now);
        }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.witness.testimonies().map(|testimony| testimony.verdict).collect()
    }
}

const FIRST_CHECK: Duration = Duration::from_secs(8);

#[test]
fn an_address_that_answers_is_asked_for_a_second_after_the_claim_and_then_about_every_minute() {
    let mut scene = Scene::new(Some(80));
    let begin = scene.now;
    scene.run(Duration::from_millis(999));
    assert!(scene.sent.is_empty() && !scene.witness.is_asking());
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
    // The address, the owner's own address, the port, and the end of what the port opened.
    assert_eq!(scene.sent.len(), 4);
    assert!(!scene.witness.is_asking());
    scene.sent.clear();
    scene.run(Duration::from_secs(1000));
    let rounds = scene.sent.iter().filter(|(_, frame)| frame::parse(frame) != Ok(None)).count();
    assert!((12..=21).contains(&rounds), "{rounds} in {:?}", scene.now - begin);
}

#[test]
fn silence_is_told_after_three_tries_and_cleared_when_the_address_answers_again() {
    let mut scene = Scene::new(Some(80));
    scene.answering.retain(|(address, _)| *address != ip(VIP));
    scene.run(Duration::from_millis(3_900));
    assert_eq!(scene.verdicts(), []);
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::NoResponder { mute: false }]);
    scene.answering.push((ip(VIP), OWNER));
    scene.run(Duration::from_secs(15));
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
}

#[test]
fn when_the_owners_own_address_is_silent_too_the_filter_may_be_anywhere() {
    let mut scene = Scene::new(None);
    scene.answering.clear();
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::NoResponder { mute: true }]);
}

#[test]
fn one_lost_answer_is_no_silence() {
    let mut scene = Scene::new(None);
    let answering = std::mem::take(&mut scene.answering);
    scene.run(Duration::from_millis(1_500));
    scene.answering = answering;
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
}

#[test]
fn a_port_that_says_nothing_is_filtered_and_one_that_refuses_is_not() {
    let mut scene = Scene::new(Some(443));
    scene.port = None;
    scene.run(FIRST_CHECK);
    let port = NonZeroU16::new(443).unwrap();
    assert_eq!(scene.verdicts(), [Verdict::PortFiltered { port }]);
    scene.port = Some(false);
    scene.run(Duration::from_secs(15));
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
}

#[test]
fn a_stranger_that_answers_is_told_with_its_mac_and_whether_the_owner_answers_too() {
    for beside_owner in [true, false] {
        let mut scene = Scene::new(None);
        if !beside_owner {
            scene.answering.retain(|(address, _)| *address != ip(VIP));
        }
        scene.answering.push((ip(VIP), STRANGER));
        scene.run(FIRST_CHECK);
        let other = Verdict::OtherStation { mac: STRANGER, node: None, beside_owner };
        assert_eq!(scene.verdicts(), [other]);
    }
}

#[test]
fn a_stale_binding_is_told_with_the_node_that_holds_it() {
    // Whoever of the other two is the witness: the third one answers beside the owner.
    let mut scene = Scene::new(None);
    let groups: Vec<String> = (0..64).map(|n| format!("192.0.2.{}", 100 + n)).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let now = scene.now;
    scene.witness.follow(&view(&[2, 3], 1, &groups, now), &link(), &BTreeMap::new(), now);
    scene.answering = vec![(source(2), OWNER), (source(3), STRANGER)];
    for vip in &groups {
        scene.answering.extend([(ip(vip), OWNER), (ip(vip), STRANGER)]);
    }
    scene.run(FIRST_CHECK);
    let stale = Verdict::OtherStation { mac: STRANGER, node: Some(node(3)), beside_owner: true };
    let verdicts = scene.verdicts();
    assert!((16..=48).contains(&verdicts.len()), "one of the two is the witness: {}", verdicts.len());
    assert!(verdicts.iter().all(|verdict| *verdict == stale), "{verdicts:?}");
}

#[test]
fn a_node_that_fell_silent_is_still_told_by_its_name() {
    let mut scene = Scene::new(None);
    let (now, none) = (scene.now, BTreeMap::new());
    scene.witness.follow(&view(&[2, 3], 1, &[VIP], now), &link(), &none, now);
    scene.witness.follow(&view(&[2], 2, &[VIP], now), &link(), &none, now);
    scene.witness.expect([(node(4), [source(4)].as_slice())]);
    for silent in [3, 4] {
        scene.answering = vec![(ip(VIP), OWNER), (source(2), OWNER)];
        scene.answering.extend([(ip(VIP), STRANGER), (source(silent), STRANGER)]);
        scene.run(Duration::from_secs(15));
        let stale = Verdict::OtherStation { mac: STRANGER, node: Some(node(silent)), beside_owner: true };
        assert_eq!(scene.verdicts(), [stale]);
        scene.witness.stations.clear();
    }
}

/// Node 1 itself owns the address, and nobody but it is heard.
fn own_view(term: u64, now: Instant) -> SegmentView {
    let mut view = view(&[], term, &[VIP], now);
    view.groups[0].owner = Some(node(1));
    view
}

#[test]
fn an_owner_asks_nothing_until_somebody_else_answers_its_probes_and_then_tells_who_until_that_ends() {
    let mut scene = Scene::new(None);
    let (now, none) = (scene.now, BTreeMap::new());
    scene.witness.follow(&own_view(2, now), &link(), &none, now);
    scene.answering = vec![(ip(VIP), STRANGER), (source(2), STRANGER)];
    let probe = || arp::probe(OWN, "192.0.2.100".parse().unwrap());
    // Whoever had it before may be answering still.
    scene.answer(&probe());
    scene.run(Duration::from_secs(100));
    assert_eq!((scene.sent.len(), scene.verdicts()), (0, vec![]));
    scene.answer(&probe());
    scene.run(Duration::from_millis(3_900));
    assert_eq!(scene.verdicts(), [], "three questions, from a second later on");
    scene.run(Duration::from_millis(200));
    let stale = Verdict::OtherStation { mac: STRANGER, node: Some(node(2)), beside_owner: true };
    assert_eq!(scene.verdicts(), [stale]);
    scene.answering.clear();
    scene.sent.clear();
    scene.run(Duration::from_secs(1000));
    assert_eq!(scene.verdicts(), []);
    let asked = scene.sent.iter().filter(|(_, sent)| *sent == probe()).count();
    assert_eq!(asked, 1, "the question that nobody answered");
    scene.witness.follow(&own_view(3, scene.now), &link(), &none, scene.now);
    assert_eq!(scene.witness.next_deadline(), None);
}

#[test]
fn what_a_killed_process_leaves_on_an_interface_for_three_seconds_is_no_stale_binding() {
    let mut scene = Scene::new(None);
    let (now, none) = (scene.now, BTreeMap::new());
    scene.witness.follow(&own_view(2, now), &link(), &none, now);
    scene.answering = vec![(ip(VIP), STRANGER)];
    scene.run(Duration::from_secs(1));
    scene.answer(&arp::probe(OWN, "192.0.2.100".parse().unwrap()));
    scene.run(Duration::from_millis(2_500));
    scene.answering.clear();
    scene.run(Duration::from_secs(10));
    assert_eq!(scene.verdicts(), []);
}

#[test]
fn each_address_has_exactly_one_witness_and_its_owner_is_not_it() {
    let now = Instant::now();
    let peers = |me: u8| -> Vec<u8> { (1..=5).filter(|n| *n != me).collect() };
    for address in ["192.0.2.100", "192.0.2.101", "2001:db8::7", "192.0.2.103"] {
        let witnesses = (1..=5).filter(|me| {
            let mut witness = Witness::new(node(*me), 1);
            witness.follow(&view(&peers(*me), 1, &[address], now), &link(), &BTreeMap::new(), now);
            assert!(*me != 2 || witness.next_deadline().is_none(), "the owner does not ask itself");
            witness.next_deadline().is_some()
        });
        assert_eq!(witnesses.count(), 1, "{address}");
    }
}

#[test]
fn questions_are_paced() {
    let addresses: Vec<String> = (0..1000).map(|n| format!("198.51.{}.{}", n / 250, n % 250)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut scene = Scene::of(None, &addresses);
    scene.run(Duration::from_secs(30));
    assert_eq!(scene.verdicts().len(), 1000);
    let second = |n: u64| {
        let (from, to) =
            (scene.sent[0].0 + Duration::from_secs(n), scene.sent[0].0 + Duration::from_secs(n + 1));
        scene.sent.iter().filter(|(at, _)| (from..to).contains(at)).count()
    };
    assert!((0..10).all(|n| second(n) <= 201), "{:?}", (0..10).map(second).collect::<Vec<_>>());
}

#[test]
fn ipv6_is_asked_and_tried_alike() {
    let mut scene = Scene::of(Some(80), &["2001:db8::100"]);
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
    assert_eq!(scene.witness.tries_ports(), (false, true));
}

#[test]
fn an_announcement_alone_is_no_answer() {
    let mut scene = Scene::new(None);
    scene.answering.retain(|(address, _)| *address != ip(VIP));
    for _ in 0..40 {
        scene.run(Duration::from_millis(200));
        announcement(OWNER, ip(VIP)).iter().for_each(|frame| scene.witness.hear(frame, scene.now));
    }
    assert_eq!(scene.verdicts(), [Verdict::NoResponder { mute: false }]);
}

#[test]
fn a_new_claim_is_looked_at_anew_and_a_node_that_hears_nobody_says_nothing() {
    let mut scene = Scene::new(None);
    scene.run(FIRST_CHECK);
    let (now, none) = (scene.now, BTreeMap::new());
    scene.witness.follow(&view(&[2], 1, &[VIP], now), &link(), &none, now);
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
    scene.witness.follow(&view(&[2], 2, &[VIP], now), &link(), &none, now);
    assert_eq!(scene.verdicts(), []);
    assert_eq!(scene.witness.next_deadline(), Some(now + AFTER_CLAIM));
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
    let unproven = SegmentView { proven: false, ..view(&[2], 2, &[VIP], now) };
    scene.witness.follow(&unproven, &link(), &none, now);
    assert_eq!((scene.verdicts(), scene.witness.next_deadline()), (vec![], None));
    assert_eq!(scene.witness.tries_ports(), (false, false));
}

#[test]
fn whatever_arrives_changes_nothing_that_was_not_asked() {
    let mut scene = Scene::new(Some(80));
    let mut random = fastrand::Rng::with_seed(3);
    scene.run(Duration::from_millis(1_100));
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.usize(..90)).map(|_| random.u8(..)).collect();
        scene.witness.hear(&bytes, scene.now);
        scene.witness.hear_port(&bytes, scene.now);
    }
    scene.run(FIRST_CHECK);
    assert_eq!(scene.verdicts(), [Verdict::Reachable]);
}
