// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the schemas take, and what they add.

use serde_json::Value;

use crate::install::{admin, controller};

const CREATE: [&str; 6] = ["create", "--dry-run=server", "-o", "json", "-f", "-"];

fn created(text: &str) -> Value {
    let answer = admin().feed(&CREATE, text).unwrap();
    assert_eq!(answer.warnings, "", "{text}");
    serde_json::from_str(&answer.text).unwrap()
}

#[test]
fn a_pool_may_be_written_in_every_form_that_the_guide_shows() {
    let forms = [
        "192.0.2.0/24",
        "192.0.2.7/32",
        "192.0.2.7/24",
        "192.0.2.7",
        "192.0.2.10-192.0.2.20",
        "192.0.2.10 - 192.0.2.20",
        "192.0.2.10-192.0.2.10",
        "192.0.1.200-192.0.2.10",
        "9.255.255.255-10.0.0.1",
        "0.0.0.0-255.255.255.255",
        "2001:db8::/112",
        "2001:db8::10-2001:db8::20",
    ];
    for form in forms {
        created(&format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {{name: accepted}}, spec: {{addresses: ['{form}']}}}}"
        ));
    }
    let most =
        vec!["'2001:0db8:0000:0000:0000:0000:0000:0001 - 2001:0db8:0000:0000:0000:0000:0000:ffff'"; 256];
    created(&format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {{name: most}}, spec: {{addresses: [{}]}}}}",
        most.join(", ")
    ));
}

#[test]
fn a_pool_may_say_whom_it_serves_how_much_and_how_long_it_remembers() {
    created(
        "{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: particular}, spec: {addresses: [192.0.2.0/24], \
         retention: 1h30m, quota: {perNamespace: 10}, serviceAllocation: {priority: 1, namespaces: [a], \
         namespaceSelectors: [{matchExpressions: [{key: team, operator: In, values: [red, blue]}]}], serviceSelectors: [{matchLabels: {a: b}}]}}}",
    );
}

#[test]
fn the_server_fills_in_what_a_pool_leaves_out() {
    let pool = created(
        "{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: bare}, spec: {addresses: [192.0.2.0/24]}}",
    );
    assert_eq!(pool["spec"]["autoAssign"], true);
    assert_eq!(pool["spec"]["avoidBuggyIPs"], false);
}

#[test]
fn an_advertisement_of_everything_is_empty() {
    created(
        "{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: everything}, spec: {}}",
    );
}

#[test]
fn a_virtual_ip_is_named_after_its_address() {
    for (name, address) in
        [("192.0.2.1", "192.0.2.1"), ("2001-db8-0-0-0-0-0-1", "2001:db8::1"), ("0-0-0-0-0-0-0-1", "::1")]
    {
        let text = format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: {name}}}, \
             spec: {{address: '{address}', pool: p, consumers: [{{kind: Service, namespace: a, name: b}}]}}}}"
        );
        controller().feed(&CREATE, &text).unwrap();
    }
}
