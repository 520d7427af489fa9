// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a node hands over, and when.

use std::net::{IpAddr, Ipv4Addr};

use ferrolb_layer2::{Cause, Counts, Incarnation, PeerView, Term};

use super::*;
use crate::intent::{Carriage, InterfaceRule};
use crate::layer2::{SegmentReport, Traffic};

const GROUPS: u8 = 12;

fn id(node: &str) -> NodeId {
    NodeId::of("test", node)
}

fn vips(preferred: &[(&str, u32)]) -> Vec<VipIntent> {
    let candidates: Arc<_> = Arc::new(["n1", "n2", "n3"].map(str::to_owned).into());
    let preferences: Arc<BTreeMap<_, _>> =
        Arc::new(preferred.iter().map(|(node, weight)| ((*node).to_owned(), *weight)).collect());
    let vip = |host: u8| VipIntent {
        group: host.to_string().as_str().into(),
        candidates: Arc::clone(&candidates),
        preferences: Arc::clone(&preferences),
        here: Ok(()),
        interfaces: InterfaceRule::OnLink,
        tcp_port: None,
        unserved: Box::default(),
        carriage: Carriage::Service,
        checks: Box::default(),
    };
    (0..GROUPS).map(vip).collect()
}

/// A segment on which `n1` owns everything, claimed at the moment given, and hears these peers.
fn alone(phase: Phase, peers: &[&str], claimed: Instant) -> Observed {
    let group = |host: u8| GroupView {
        id: GroupId::of(&host.to_string()),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))],
        state: GroupState::Owner,
        owner: Some(id("n1")),
        term: Term(1),
        since: claimed,
        cause: Some(Cause::FirstUse),
        in_use: BTreeMap::new(),
    };
    let peer = |node: &&str| PeerView {
        node: id(node),
        incarnation: Incarnation::from_random(1),
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 250)),
        heard: claimed,
        suspect: false,
        draining: false,
        complete: true,
    };
    let view = SegmentView {
        phase,
        draining: false,
        shaky: false,
        proven: true,
        peers: peers.iter().map(peer).collect(),
        groups: (0..GROUPS).map(group).collect(),
        slowed: None,
        counters: Counts::default(),
    };
    let (traffic, testimonies) = (Traffic::default(), Vec::new());
    let report = SegmentReport {
        age: Duration::ZERO,
        view,
        traffic,
        testimonies,
        questions: 0,
        detours: BTreeMap::new(),
    };
    let segments = BTreeMap::from([("eth0".to_owned(), report)]);
    Observed { segments, ..Observed::default() }
}

fn due(
    balance: &mut Balance,
    observed: &Observed,
    vips: &[VipIntent],
    mode: Rebalance,
    now: Instant,
) -> Vec<NodeId> {
    let vips: Vec<&VipIntent> = vips.iter().collect();
    balance.due(observed, &vips, id, (id("n1"), mode), now).into_iter().map(|(_, to)| to).collect()
}

#[test]
fn what_was_taken_when_a_dark_segment_came_back_is_shared_with_those_that_come_later() {
    let (mut balance, vips, start) = (Balance::default(), vips(&[]), Instant::now());
    let claimed = start + Duration::from_secs(1);
    let none = due(&mut balance, &alone(Phase::Active, &[], claimed), &vips, Rebalance::Off, start);
    assert_eq!(none, [], "nobody else is there");
    let joined = alone(Phase::Active, &["n2"], claimed);
    let then = start + Duration::from_secs(20);
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Off, then), [id("n2")], "one at a time");
    let late = start + MOVABLE;
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Off, late), [], "then claims are for good");
    assert_eq!(balance.elsewhere, 4, "of twelve at most eight belong to one of two nodes");
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, late).len(), 1);
}

#[test]
fn what_was_claimed_later_or_beside_others_stays_unless_moving_is_always_allowed() {
    let (vips, start) = (vips(&[]), Instant::now());
    let joined = alone(Phase::Active, &["n2", "n3"], start + SETTLE + Duration::from_secs(1));
    let then = start + SETTLE + Duration::from_secs(2);
    let mut balance = Balance::default();
    due(&mut balance, &alone(Phase::Active, &[], start), &vips, Rebalance::Off, start);
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Off, then), []);
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, then).len(), 1);
}

#[test]
fn the_preferred_node_gets_what_it_should_have_and_who_did_not_take_it_is_left_alone_for_a_while() {
    let (mut balance, vips, start) = (Balance::default(), vips(&[("n3", 50)]), Instant::now());
    let joined = alone(Phase::Active, &["n2", "n3"], start);
    for offer in 0..GROUPS {
        assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, start), [id("n3")], "{offer}");
    }
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, start), [], "each was offered once");
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, start + AGAIN).len(), 1);
}

#[test]
fn what_nobody_took_does_not_keep_another_one_from_lightening_the_load() {
    let (mut balance, vips, start) = (Balance::default(), vips(&[]), Instant::now());
    let joined = alone(Phase::Active, &["n2"], start);
    // Four are too many; as nobody takes any, all twelve are tried.
    for offer in 0..GROUPS {
        assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, start), [id("n2")], "{offer}");
    }
    assert_eq!(due(&mut balance, &joined, &vips, Rebalance::Paced, start), [], "each was offered once");
}

#[test]
fn nothing_moves_while_claims_are_unknown_or_something_moves_already() {
    let (vips, start) = (vips(&[]), Instant::now());
    let asked =
        |observed: &Observed| due(&mut Balance::default(), observed, &vips, Rebalance::Paced, start).len();
    let steady = alone(Phase::Active, &["n2"], start);
    assert_eq!(asked(&steady), 1);
    let changed = |change: fn(&mut SegmentView)| {
        let mut observed = steady.clone();
        observed.segments.values_mut().for_each(|report| change(&mut report.view));
        asked(&observed)
    };
    assert_eq!(changed(|view| view.peers[0].complete = false), 0);
    assert_eq!(changed(|view| view.peers[0].draining = true), 0);
    assert_eq!(changed(|view| view.peers[0].suspect = true), 0);
    assert_eq!(changed(|view| view.groups[3].state = GroupState::Offering(view.peers[0].node)), 0);
    assert_eq!(changed(|view| view.phase = Phase::Stalled), 0);
    assert_eq!(changed(|view| view.draining = true), 0);
}
