// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Advertisements from manifests, and what is said of them.

use std::path::Path;

use crate::manifest::Manifest;
use crate::reason::{Reason, Severity};
use crate::{Objects, Snapshot};

const NODES: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: a}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2, labels: {rack: b}}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, labels: {tier: front}}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
";

fn snapshot(documents: &[String]) -> Snapshot {
    let text = format!("{NODES}---\n{}", documents.join("\n---\n"));
    let manifest = Manifest::parse(Path::new("test.yaml"), &text);
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    manifest.documents.into_iter().for_each(|document| objects.insert(document.object));
    Snapshot::build(&objects)
}

fn own(kind: &str, name: &str, spec: &str) -> String {
    format!("{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}")
}

fn pool(addresses: &str) -> String {
    own("AddressPool", "lan", &format!("addresses: ['{addresses}']"))
}

fn advertisement(name: &str, spec: &str) -> String {
    own("BGPAdvertisement", name, spec)
}

/// Severity, reason and field of what is said of advertisements.
fn said(documents: &[String]) -> Vec<(Severity, Reason, String)> {
    let refused = snapshot(documents).refused.into_iter();
    let of = refused.filter(|it| it.object.as_ref().is_some_and(|object| object.kind == "BGPAdvertisement"));
    of.map(|it| (it.severity, it.reason, it.field.unwrap_or_default())).collect()
}

#[test]
fn conf_053_an_advertisement_that_says_nothing_announces_every_address_alone_to_everybody() {
    let snapshot = snapshot(&[pool("192.0.2.0/24"), advertisement("a", "")]);
    let advertisement = &snapshot.bgp_advertisements["a"];
    let pool = &snapshot.pools["lan"];
    assert!(advertisement.selects_pool(pool) && advertisement.selects_peer("anyone"));
    assert!(snapshot.nodes.values().all(|node| advertisement.selects_node(node)));
    let prefix = advertisement.prefix(pool, "192.0.2.7".parse().unwrap()).unwrap();
    assert_eq!(prefix.to_string(), "192.0.2.7/32");
    assert_eq!((advertisement.local_pref, advertisement.communities.len()), (None, 0));
}

#[test]
fn conf_050_a_length_longer_than_an_address_is_refused() {
    let error = |field: &str| vec![(Severity::Error, Reason::InvalidValue, field.to_owned())];
    assert_eq!(said(&[advertisement("a", "aggregationLength: 34")]), error("spec.aggregationLength"));
    assert_eq!(said(&[advertisement("a", "aggregationLength: 0")]), error("spec.aggregationLength"));
    assert_eq!(said(&[advertisement("a", "aggregationLengthV6: 129")]), error("spec.aggregationLengthV6"));
}

#[test]
fn conf_051_conf_052_a_length_into_which_the_pool_does_not_fit_is_told_and_used_as_far_as_it_fits() {
    let doubt = vec![(Severity::Warning, Reason::AggregateTooWide, "spec.aggregationLength".to_owned())];
    for (addresses, length, wanted) in [
        ("1.2.3.0/28", 26, &doubt[..]),
        ("1.2.3.0/28", 28, &[]),
        ("3.3.3.2-3.3.3.254", 24, &doubt),
        ("3.3.3.2-3.3.3.254", 26, &[]),
        ("10.0.0.0/8", 24, &[]),
    ] {
        let found = said(&[pool(addresses), advertisement("a", &format!("aggregationLength: {length}"))]);
        assert_eq!(found, wanted, "{addresses} by /{length}");
    }
}

#[test]
fn an_aggregate_covers_nothing_outside_the_pool() {
    let snapshot = snapshot(&[pool("3.3.3.2-3.3.3.254"), advertisement("a", "aggregationLength: 26")]);
    let (advertisement, pool) = (&snapshot.bgp_advertisements["a"], &snapshot.pools["lan"]);
    let prefix = |text: &str| advertisement.prefix(pool, text.parse().unwrap()).unwrap().to_string();
    assert_eq!(prefix("3.3.3.100"), "3.3.3.64/26");
    assert_eq!(prefix("3.3.3.5"), "3.3.3.4/30");
    assert_eq!(prefix("3.3.3.254"), "3.3.3.254/32");
}

#[test]
fn conf_054_conf_055_two_preferences_for_one_route_are_told_on_both_and_others_are_none() {
    let both = |one: &str, other: &str| {
        said(&[
            pool("192.0.2.0/24"),
            own("BGPPeer", "p1", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1"),
            own("BGPPeer", "p2", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.2"),
            advertisement("a", &format!("localPref: 100, {one}")),
            advertisement("b", &format!("localPref: 200, {other}")),
        ])
        .len()
    };
    let rack = |rack: &str| format!("nodeSelectors: [{{matchLabels: {{rack: {rack}}}}}]");
    for (one, other, wanted) in [
        ("", "", 2),
        ("peers: [p1]", "", 2),
        ("peers: [p1]", "peers: [p1, p2]", 2),
        ("peers: [p1]", "peers: [p2]", 0),
        ("aggregationLength: 24", "", 0),
        (&rack("a"), "", 2),
        (&rack("a"), &rack("b"), 0),
        ("serviceSelectors: [{matchLabels: {tier: front}}]", "", 2),
        (
            "serviceSelectors: [{matchLabels: {tier: front}}]",
            "serviceSelectors: [{matchLabels: {tier: back}}]",
            0,
        ),
    ] {
        assert_eq!(both(one, other), wanted, "{one} and {other}");
    }
}

#[test]
fn conf_056_conf_059_conf_063_what_stands_twice_or_cannot_be_read_is_told_by_its_field() {
    let field = |spec: &str| -> Vec<_> {
        let peer = own("BGPPeer", "p", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1");
        said(&[pool("192.0.2.0/24"), peer, advertisement("a", spec)]).into_iter().map(|it| it.2).collect()
    };
    assert_eq!(field("addressPools: [lan, lan]"), ["spec.addressPools[1]"]);
    assert_eq!(field("peers: [p, p]"), ["spec.peers[1]"]);
    assert_eq!(field("communities: ['1:1', '1:1']"), ["spec.communities[1]"]);
    assert_eq!(field("communities: ['1234']"), ["spec.communities[0]"]);
    assert_eq!(field("communities: [unknown]"), ["spec.communities[0]"]);
    let selector = "nodeSelectors: [{matchExpressions: [{key: a, operator: surrounds}]}]";
    assert_eq!(field(selector), ["spec.nodeSelectors[0].matchExpressions[0].operator"]);
}

#[test]
fn conf_064_a_selector_that_fits_nothing_selects_nothing() {
    let snapshot = snapshot(&[
        pool("192.0.2.0/24"),
        advertisement("a", "addressPoolSelectors: [{matchLabels: {zone: none}}]"),
    ]);
    assert!(!snapshot.bgp_advertisements["a"].selects_pool(&snapshot.pools["lan"]));
}

#[test]
fn conf_062_service_selectors_and_a_length_go_together() {
    let spec = "aggregationLength: 24, serviceSelectors: [{matchLabels: {tier: front}}]";
    assert_eq!(said(&[pool("192.0.2.0/24"), advertisement("a", spec)]), []);
}

#[test]
fn a_refused_edit_leaves_the_accepted_form_in_force_also_when_a_name_it_used_is_gone() {
    let status = "status: {accepted: {communities: ['65000:7'], aggregationLength: 24}}";
    let text = format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {{name: a}}, \
         spec: {{communities: [gone], aggregationLength: 25}}, {status}}}"
    );
    let snapshot = snapshot(&[pool("192.0.2.0/24"), text]);
    let advertisement = &snapshot.bgp_advertisements["a"];
    assert_eq!((advertisement.length_v4, advertisement.communities.len()), (24, 1));
}
