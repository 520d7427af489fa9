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
fn what_is_written_for_routers_may_be_written_as_the_guide_shows() {
    let least = "myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1";
    for (kind, spec) in [
        ("BGPPeer", least.to_owned()),
        ("BGPPeer", format!("{least}, holdTime: 9s, keepaliveTime: 3s, connectTime: 10s, peerPort: 1179")),
        ("BGPPeer", format!("{least}, holdTime: 1m30s, routerID: 10.10.10.1, sourceAddress: 192.0.2.9")),
        ("BGPPeer", format!("{least}, holdTime: 0s, keepaliveTime: 0s, ebgpMultiHop: true, localASN: 64520")),
        ("BGPPeer", format!("{least}, ttlSecurity: 1, families: [IPv4, IPv6], enableGracefulRestart: true")),
        ("BGPPeer", format!("{least}, passwordSecret: {{name: router}}, bfdProfile: fast")),
        ("BGPPeer", "myASN: 4200000000, dynamicASN: external, interface: eth0".to_owned()),
        ("BGPPeer", "myASN: 64512, peerASN: 64512, peerAddress: '2001:db8::1'".to_owned()),
        ("BGPAdvertisement", String::new()),
        (
            "BGPAdvertisement",
            "aggregationLength: 24, aggregationLengthV6: 124, localPref: 50, communities: ['65535:65282', 'large:123:456:7890', \
             backup], peers: [a], serviceSelectors: [{matchLabels: {a: b}}]"
                .to_owned(),
        ),
        ("BFDProfile", "receiveInterval: 10, transmitInterval: 60000, detectMultiplier: 255, minimumTtl: 1".to_owned()),
        ("Community", "communities: [{name: backup, value: '65535:0'}, {name: far, value: 'large:1:2:4294967295'}]".to_owned()),
    ] {
        created(&format!(
            "{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: accepted}}, spec: {{{spec}}}}}"
        ));
    }
    let peer = created(&format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: bare}}, spec: {{{least}}}}}"
    ));
    assert_eq!(
        (&peer["spec"]["peerPort"], &peer["spec"]["ebgpMultiHop"]),
        (&Value::from(179), &Value::from(false))
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
