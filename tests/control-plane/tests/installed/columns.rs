// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `kubectl get` tells at a glance.

use crate::install::{admin, controller, speaker};

/// What `kubectl get` shows of one object: the value under each heading.
#[track_caller]
fn check(kind: &str, name: &str, wanted: &[(&str, &str)]) {
    let text = admin().run(&["get", kind, name]).unwrap();
    let mut lines = text.lines();
    let (headings, values) = (lines.next().unwrap(), lines.next().unwrap());
    let shown: Vec<(&str, &str)> = headings
        .split("  ")
        .map(str::trim)
        .filter(|heading| !heading.is_empty())
        .map(|heading| {
            let start = headings.find(heading).unwrap();
            (heading, values.get(start..).unwrap_or_default().split_whitespace().next().unwrap_or_default())
        })
        .collect();
    for column in wanted {
        assert!(shown.contains(column), "{column:?} in\n{text}");
    }
}

fn report(kubectl: &ferrolb_control_plane::Kubectl, status: &str) {
    kubectl.apply_status(status).unwrap();
}

const READY: &str =
    "{type: Ready, status: 'True', reason: Valid, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}";

#[test]
fn a_pool_shows_whether_it_is_ready_and_what_is_left() {
    admin()
        .create("{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: shown}, spec: {addresses: [192.0.2.0/24]}}")
        .unwrap();
    report(
        &controller(),
        &format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {{name: shown}}, status: {{conditions: [{READY}], \
             acceptedAddresses: [192.0.2.0/24], ipv4: {{total: '256', assigned: '3', available: '253'}}}}}}"
        ),
    );
    check(
        "pools",
        "shown",
        &[("NAME", "shown"), ("READY", "True"), ("AUTO", "true"), ("IPV4 USED", "3"), ("IPV4 FREE", "253")],
    );
}

#[test]
fn a_virtual_ip_shows_whose_it_is_and_who_carries_it() {
    controller()
        .create(
            "{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 192.0.2.220}, spec: {address: 192.0.2.220, \
             pool: blue, consumers: [{kind: Service, namespace: shop, name: web}]}}",
        )
        .unwrap();
    report(
        &speaker(),
        &format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: 192.0.2.220}}, status: {{conditions: [{READY}], layer2: \
             [{{segment: 192.0.2.0/24, node: n2, term: 1, since: '2026-01-01T00:00:00Z', cause: test, interface: eth0}}]}}}}"
        ),
    );
    check(
        "vip",
        "192.0.2.220",
        &[
            ("NAME", "192.0.2.220"),
            ("READY", "True"),
            ("POOL", "blue"),
            ("NAMESPACE", "shop"),
            ("CONSUMER", "web"),
            ("NODE", "n2"),
        ],
    );
}

#[test]
fn advertisements_and_speakers_show_whether_they_are_ready() {
    admin()
        .create("{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: shown}, spec: {addressPools: [blue]}}")
        .unwrap();
    report(
        &controller(),
        &format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {{name: shown}}, status: {{conditions: [{READY}]}}}}"
        ),
    );
    check("l2advertisements", "shown", &[("NAME", "shown"), ("READY", "True"), ("POOLS", "[\"blue\"]")]);

    speaker()
        .create("{apiVersion: ferrolb.io/v1beta1, kind: Speaker, metadata: {name: shown}, spec: {}}")
        .unwrap();
    let lacking = READY.replace("Ready", "RealTime").replace("'True'", "'False'").replace("Valid", "NoRight");
    report(
        &speaker(),
        &format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: Speaker, metadata: {{name: shown}}, status: {{version: 0.1.0, owned: 3, \
             conditions: [{READY}, {lacking}], segments: [{{interface: eth0, owned: 3, heard: [n2, n3]}}]}}}}"
        ),
    );
    check(
        "speakers",
        "shown",
        &[
            ("NAME", "shown"),
            ("READY", "True"),
            ("OWNS", "3"),
            ("HEARS", "[\"n2\",\"n3\"]"),
            ("PROBLEMS", "NoRight"),
        ],
    );
}
