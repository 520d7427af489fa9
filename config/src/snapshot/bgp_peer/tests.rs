// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Peers from manifests, and what is said of them.

use std::path::Path;
use std::time::Duration;

use super::{BgpPeer, Hops, PeerAs, PeerTarget};
use crate::address::Family;
use crate::manifest::Manifest;
use crate::reason::{Reason, Severity};
use crate::snapshot::PasswordSource;
use crate::{Objects, Snapshot};

fn snapshot(text: &str) -> Snapshot {
    let manifest = Manifest::parse(Path::new("test.yaml"), text);
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    manifest.documents.into_iter().for_each(|document| objects.insert(document.object));
    Snapshot::build(&objects)
}

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n---\n"
    )
}

fn peer(spec: &str) -> BgpPeer {
    let snapshot = snapshot(&document("BGPPeer", "p", spec));
    assert_eq!(snapshot.refused, [], "{spec}");
    snapshot.bgp_peers["p"].clone()
}

const EXTERNAL: &str = "myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1";
const INTERNAL: &str = "myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1";

#[test]
fn a_peer_that_says_the_least_has_the_defaults_of_the_guide() {
    let BgpPeer { settings, node_selectors, password, .. } = peer(EXTERNAL);
    assert_eq!(settings.target, PeerTarget::Address("10.0.0.1".parse().unwrap()));
    assert_eq!((settings.port.get(), settings.local_as.get(), settings.hops), (179, 64_512, Hops::One));
    assert_eq!(settings.peer_as, PeerAs::Number(64_513.try_into().unwrap()));
    assert_eq!((settings.hold_time, settings.keepalive), (Duration::from_secs(90), None));
    assert_eq!(settings.retry, Duration::from_secs(30));
    assert!(node_selectors.is_empty() && password.is_none() && settings.bfd.is_none());
    assert!(!settings.graceful_restart && settings.router_id.is_none() && settings.source.is_none());
    assert!(settings.families.iter().eq(&[Family::V4]));
}

#[test]
fn conf_020_conf_021_conf_022_conf_024_conf_026_conf_034_what_makes_no_sense_is_refused_by_the_name_of_its_field()
 {
    for (spec, field) in [
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.400", "spec.peerAddress"),
        ("myASN: 1, peerASN: 2, peerAddress: 'fe80::1'", "spec.peerAddress"),
        ("myASN: 1, peerASN: 2", "spec.peerAddress"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, interface: eth0", "spec.interface"),
        ("myASN: 0, peerASN: 2, peerAddress: 1.2.3.4", "spec.myASN"),
        ("myASN: 1, peerASN: 0, peerAddress: 1.2.3.4", "spec.peerASN"),
        ("myASN: 1, peerAddress: 1.2.3.4", "spec.peerASN"),
        ("myASN: 1, peerASN: 2, dynamicASN: external, peerAddress: 1.2.3.4", "spec.dynamicASN"),
        ("myASN: 42, peerASN: 42, ebgpMultiHop: true, peerAddress: 1.2.3.4", "spec.ebgpMultiHop"),
        (
            "myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, ebgpMultiHop: true, ttlSecurity: 2",
            "spec.ebgpMultiHop",
        ),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, ttlSecurity: 255", "spec.ttlSecurity"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, localASN: 0", "spec.localASN"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, peerPort: 0", "spec.peerPort"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, holdTime: 1s", "spec.holdTime"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, holdTime: 20h", "spec.holdTime"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, holdTime: soon", "spec.holdTime"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, connectTime: 0s", "spec.connectTime"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, routerID: 1.2.3.400", "spec.routerID"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, routerID: 0.0.0.0", "spec.routerID"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, sourceAddress: x", "spec.sourceAddress"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.4, sourceAddress: '2001:db8::1'", "spec.sourceAddress"),
    ] {
        let snapshot = snapshot(&document("BGPPeer", "p", spec));
        let fields: Vec<_> = snapshot.refused.iter().filter_map(|it| it.field.as_deref()).collect();
        assert_eq!(fields, [field], "{spec}: {:?}", snapshot.refused);
        assert!(snapshot.bgp_peers.is_empty() && snapshot.refused[0].severity == Severity::Error);
    }
}

#[test]
fn conf_023_conf_025_times_follow_from_each_other_and_must_not_contradict() {
    let times = |more: &str| {
        let settings = peer(&format!("{EXTERNAL}, {more}")).settings;
        (settings.hold_time.as_secs(), settings.keepalive.map(|time| time.as_secs()))
    };
    assert_eq!(times("holdTime: 180s"), (180, None), "a third of it");
    assert_eq!(times("keepaliveTime: 60s"), (180, Some(60)));
    assert_eq!(times("holdTime: 0s, keepaliveTime: 0s"), (0, None));
    assert_eq!(times("holdTime: 57s, keepaliveTime: 13s"), (57, Some(13)));
    for contradiction in
        ["holdTime: 30s, keepaliveTime: 90s", "keepaliveTime: 0s", "holdTime: 9s, keepaliveTime: 0s"]
    {
        let snapshot = snapshot(&document("BGPPeer", "p", &format!("{EXTERNAL}, {contradiction}")));
        assert_eq!(snapshot.refused[0].reason, Reason::ContradictoryRequest, "{contradiction}");
        assert_eq!(snapshot.refused[0].field.as_deref(), Some("spec.keepaliveTime"));
    }
}

#[test]
fn conf_035_a_peer_may_be_of_any_other_or_of_our_autonomous_system_and_take_us_for_another() {
    let dynamic = |kind: &str| peer(&format!("myASN: 1, dynamicASN: {kind}, peerAddress: 10.0.0.1")).settings;
    assert_eq!(dynamic("internal").is_internal(), Some(true));
    assert_eq!(dynamic("external").is_internal(), Some(false));
    let settings = peer(&format!("{EXTERNAL}, localASN: 64520")).settings;
    assert_eq!(settings.local_as.get(), 64_520);
    let settings = peer(&format!("{EXTERNAL}, localASN: 64513")).settings;
    assert_eq!(settings.is_internal(), Some(true));
}

#[test]
fn bgp_063_only_an_external_peer_is_on_the_link_unless_it_says_otherwise() {
    let hops = |spec: &str| peer(spec).settings.hops;
    assert_eq!(hops(EXTERNAL), Hops::One);
    assert_eq!(hops(INTERNAL), Hops::Any);
    assert_eq!(hops(&format!("{EXTERNAL}, ebgpMultiHop: true")), Hops::Any);
    assert_eq!(hops(&format!("{EXTERNAL}, ttlSecurity: 1")), Hops::AtMost(1));
    assert_eq!(hops(&format!("{INTERNAL}, ttlSecurity: 3")), Hops::AtMost(3));
}

#[test]
fn bgp_073_a_session_carries_its_own_family_unless_told_otherwise_and_an_interface_both() {
    let families = |spec: &str| peer(spec).settings.families.len();
    assert_eq!(families(EXTERNAL), 1);
    assert_eq!(families(&format!("{EXTERNAL}, families: [IPv4, IPv6]")), 2);
    assert_eq!(families("myASN: 1, dynamicASN: external, interface: eth0"), 2);
    let six = peer("myASN: 1, peerASN: 2, peerAddress: '2001:db8::1'").settings.families;
    assert!(six.iter().eq(&[Family::V6]));
}

#[test]
fn conf_028_node_selectors_are_alternatives_and_none_selects_every_node() {
    let nodes = "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: a}}}\n---\n\
                 {apiVersion: v1, kind: Node, metadata: {name: n2}}\n---\n";
    let snapshot = snapshot(&[
        nodes.to_owned(),
        document("BGPPeer", "all", EXTERNAL),
        document(
            "BGPPeer",
            "some",
            "myASN: 1, peerASN: 2, peerAddress: 10.0.0.2, nodeSelectors: [{matchLabels: {rack: a}}, {matchLabels: {rack: b}}]",
        ),
    ].concat());
    let selects = |peer: &str, node: &str| snapshot.bgp_peers[peer].selects_node(&snapshot.nodes[node]);
    assert_eq!((selects("all", "n1"), selects("all", "n2")), (true, true));
    assert_eq!((selects("some", "n1"), selects("some", "n2")), (true, false));
}

#[test]
fn conf_027_a_selector_without_a_key_without_an_operator_or_with_an_unknown_one_is_refused() {
    let of = |expression: &str| {
        let spec = format!("{EXTERNAL}, nodeSelectors: [{{matchExpressions: [{{{expression}}}]}}]");
        let refused = snapshot(&document("BGPPeer", "p", &spec)).refused;
        refused.into_iter().filter_map(|refusal| refusal.field).collect::<Vec<_>>()
    };
    let at = "spec.nodeSelectors[0].matchExpressions[0]";
    assert_eq!(of("key: '', operator: In, values: [a]"), [format!("{at}.key")]);
    assert_eq!(of("key: a, operator: '', values: [a]"), [format!("{at}.operator")]);
    assert_eq!(of("key: a, operator: surrounds, values: [a]"), [format!("{at}.operator")]);
    assert_eq!(of("key: a, operator: In, values: [a, a]"), [""; 0], "twice the same value is no harm");
}

#[test]
fn conf_033_a_profile_that_is_not_there_leaves_the_session_without_bfd_and_is_told() {
    let with = format!("{EXTERNAL}, bfdProfile: fast");
    let alone = snapshot(&document("BGPPeer", "p", &with));
    assert_eq!((alone.refused[0].reason, alone.refused[0].severity), (Reason::NotFound, Severity::Warning));
    assert_eq!(alone.bgp_peers["p"].settings.bfd, None);
    let profile =
        document("BFDProfile", "fast", "receiveInterval: 50, transmitInterval: 60, detectMultiplier: 4");
    let both = snapshot(&(profile + &document("BGPPeer", "p", &with)));
    assert_eq!(both.refused, []);
    let bfd = both.bgp_peers["p"].settings.bfd.clone().unwrap();
    assert_eq!((bfd.receive.as_millis(), bfd.transmit.as_millis(), bfd.multiplier), (50, 60, 4));
}

#[test]
fn conf_038_one_router_twice_from_one_node_is_told_and_from_different_nodes_is_not() {
    let nodes = "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: a}}}\n---\n\
                 {apiVersion: v1, kind: Node, metadata: {name: n2, labels: {rack: b}}}\n---\n";
    let two = |one: &str, other: &str| {
        let one = document("BGPPeer", "p1", &format!("{EXTERNAL}, {one}"));
        let other = document("BGPPeer", "p2", &format!("{EXTERNAL}, {other}"));
        snapshot(&[nodes.to_owned(), one, other].concat()).refused
    };
    let rack = |rack: &str| format!("nodeSelectors: [{{matchLabels: {{rack: {rack}}}}}]");
    assert_eq!(two(&rack("a"), &rack("b")), []);
    for (one, other) in [(String::new(), String::new()), (rack("a"), String::new()), (rack("b"), rack("b"))] {
        let told = two(&one, &other);
        assert_eq!(told[0].reason, Reason::DuplicateObject, "{one} and {other}");
        assert_eq!(told[0].object.as_ref().unwrap().name, "p2");
    }
}

#[test]
fn a_password_is_in_a_secret_and_a_refused_edit_changes_nothing() {
    let secret = peer(&format!("{EXTERNAL}, passwordSecret: {{name: router}}"));
    assert_eq!(secret.password, Some(PasswordSource::Secret("router".to_owned())));
    let text = format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: p}}, \
         spec: {{myASN: 1, peerAddress: 10.0.0.9}}, status: {{accepted: {{{EXTERNAL}, passwordSecret: {{name: router}}}}}}}}"
    );
    let snapshot = snapshot(&text);
    assert_eq!(snapshot.refused[0].field.as_deref(), Some("spec.peerASN"));
    assert_eq!(snapshot.bgp_peers["p"], secret);
}
