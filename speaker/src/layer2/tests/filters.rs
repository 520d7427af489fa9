// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Filters between speakers that hear each other by multicast at first: nothing moves, nobody answers twice, a dead owner is
//! still succeeded, and the detour ends with the filter.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// A host firewall that lets in what it knows, and hellos are not that.
const FIREWALL: &str = "table inet firewall {
    chain input { type filter hook input priority 0; udp dport 7948 drop; }
}
";
/// A switch that floods no multicast of hosts.
const NO_MULTICAST: &str = "table bridge filter {
    chain forward {
        type filter hook forward priority 0;
        ether daddr 01:00:5e:00:00:01 drop;
        ether daddr 33:33:00:00:00:01 udp dport 7948 drop;
    }
}
";
/// Longer than it takes to notice a death and claim, several times.
const WHILE: Duration = Duration::from_secs(3);

fn nft(namespace: &Namespace, script: &'static str) {
    namespace.run(move || {
        let mut nft =
            Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft is there");
        nft.stdin.take().expect("piped").write_all(script.as_bytes()).expect("nft reads");
        assert!(nft.wait().expect("nft ends").success(), "nft refuses {script}");
    });
}

/// Both speakers, from a moment at which they have heard each other by multicast.
fn acquainted() -> Two {
    let lab = Two::start();
    for speaker in [&lab.first, &lab.second] {
        speaker.observed_until("the peer", |observed| {
            observed.segments.values().any(|segment| segment.view.peers.len() == 1)
        });
        speaker.events.try_iter().for_each(drop);
    }
    lab
}

fn detours(speaker: &Speaker) -> Vec<Way> {
    let observed = speaker.layer2.observed();
    let observed = observed.borrow();
    observed.segments.values().flat_map(|segment| segment.detours.values().copied()).collect()
}

fn hears_by(speaker: &Speaker, way: Option<Way>) {
    speaker.observed_until(&format!("heard by {way:?}"), |_| detours(speaker) == Vec::from_iter(way));
}

fn nothing_happened(speaker: &Speaker) {
    let happened: Vec<Event> = speaker.events.try_iter().collect();
    assert!(happened.is_empty(), "{happened:?}");
}

#[test]
fn a_firewall_that_drops_hellos_on_one_node_moves_nothing_and_is_named_until_it_is_gone() {
    let lab = acquainted();
    let before = lab.answering();
    nft(&lab.one, FIREWALL);
    hears_by(&lab.first, Some(Way::Raw));
    thread::sleep(WHILE);
    assert_eq!(lab.answering(), before);
    assert!(detours(&lab.second).is_empty(), "the other one hears by multicast");
    for speaker in [&lab.first, &lab.second] {
        nothing_happened(speaker);
    }
    nft(&lab.one, "delete table inet firewall");
    hears_by(&lab.first, None);
    assert_eq!(lab.answering(), before);
}

#[test]
fn a_switch_that_drops_multicast_moves_nothing_and_a_dead_owner_is_still_succeeded() {
    let lab = acquainted();
    let before = lab.answering();
    nft(&lab.switch, NO_MULTICAST);
    for speaker in [&lab.first, &lab.second] {
        hears_by(speaker, Some(Way::Unicast));
    }
    thread::sleep(WHILE);
    assert_eq!(lab.answering(), before);
    for speaker in [&lab.first, &lab.second] {
        nothing_happened(speaker);
    }
    let ((_, port), (survivor, _)) = lab.owner();
    lab.switch.ip(&format!("link set {port} down"));
    let cut = Instant::now();
    survivor.until("a claim", is_claimed);
    assert!(cut.elapsed() < Duration::from_secs(2), "{:?}", cut.elapsed());
    let after = lab.answering();
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
}

#[test]
fn speakers_that_never_heard_each_other_by_multicast_find_each_other_and_one_carries_the_address() {
    let (switch, [one, two, client]) = Namespace::switch();
    nft(&switch, NO_MULTICAST);
    let nodes = names::<2>();
    let first = Speaker::start(&one, &nodes[0], wanted(&nodes, &both_families()));
    let second = Speaker::start(&two, &nodes[1], wanted(&nodes, &both_families()));
    for speaker in [&first, &second] {
        hears_by(speaker, Some(Way::Unicast));
    }
    let end = Instant::now() + PATIENCE;
    let mut answering = BTreeSet::new();
    while answering.is_empty() {
        assert!(Instant::now() < end, "nobody answers");
        answering = who_has(&client, Duration::from_millis(200));
    }
    thread::sleep(WHILE);
    assert_eq!(who_has(&client, Duration::from_millis(200)).len(), 1);
}
