// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the schemas refuse, with the field that is named.

use crate::install::{admin, controller};

const CREATE: [&str; 4] = ["create", "--dry-run=server", "-f", "-"];

fn pool(spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {{name: refused}}, spec: {{{spec}}}}}"
    )
}

fn advertisement(spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {{name: refused}}, spec: {{{spec}}}}}"
    )
}

fn virtual_ip(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
    )
}

#[test]
fn a_pool_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let ranges = "spec.addresses: Invalid value: each range is a CIDR";
    let reversed = "spec.addresses: Invalid value: a range begins with its lowest address";
    let table = [
        ("", "spec.addresses: Required value"),
        ("addresses: []", "spec.addresses in body should have at least 1 items"),
        ("addresses: 192.0.2.0/24", "spec.addresses: Invalid value"),
        ("addresses: [garbage]", ranges),
        ("addresses: ['']", "spec.addresses[0]"),
        ("addresses: [192.0.2.0/33]", ranges),
        ("addresses: ['2001:db8::/129']", ranges),
        ("addresses: [192.0.2.256/24]", ranges),
        ("addresses: [192.0.2.010]", ranges),
        ("addresses: [192.0.2.1-]", ranges),
        ("addresses: [192.0.2.1-192.0.2.5-192.0.2.9]", ranges),
        ("addresses: [192.0.2.0/24-192.0.3.0/24]", ranges),
        ("addresses: ['192.0.2.1-2001:db8::1']", ranges),
        ("addresses: ['::ffff:192.0.2.1']", ranges),
        ("addresses: ['fe80::1%eth0']", ranges),
        ("addresses: [192.0.2.0/24, nonsense]", ranges),
        ("addresses: [192.0.2.20-192.0.2.10]", reversed),
        ("addresses: [192.0.2.10-192.0.2.9]", reversed),
        ("addresses: [192.0.3.1 - 192.0.2.200]", reversed),
        ("addresses: [10.0.0.1-9.255.255.255]", reversed),
        ("addresses: [192.0.2.0/24], autoAssign: maybe", "spec.autoAssign"),
        ("addresses: [192.0.2.0/24], retention: soon", "spec.retention"),
        ("addresses: [192.0.2.0/24], retention: 1d", "spec.retention"),
        ("addresses: [192.0.2.0/24], retention: -5m", "spec.retention"),
        ("addresses: [192.0.2.0/24], quota: {perNamespace: -1}", "spec.quota.perNamespace"),
        ("addresses: [192.0.2.0/24], serviceAllocation: {priority: -1}", "spec.serviceAllocation.priority"),
        (
            "addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [a, a]}",
            "spec.serviceAllocation.namespaces[1]: Duplicate value",
        ),
        (
            "addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchLabel: {a: b}}]}",
            "unknown field \"spec.serviceAllocation.namespaceSelectors[0].matchLabel\"",
        ),
        ("addresses: [192.0.2.0/24], autoasign: false", "unknown field \"spec.autoasign\""),
    ];
    for (spec, field) in table {
        let said = admin().refused(&CREATE, &pool(spec)).unwrap();
        assert!(said.contains(field), "{spec}: {said}");
    }
    let long = vec!["192.0.2.1"; 257].join(", ");
    let said = admin().refused(&CREATE, &pool(&format!("addresses: [{long}]"))).unwrap();
    assert!(said.contains("spec.addresses: Too many"), "{said}");
}

#[test]
fn an_advertisement_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let table = [
        ("addressPools: [a, a]", "spec.addressPools[1]: Duplicate value"),
        ("interfaces: [eth0, eth0]", "spec.interfaces[1]: Duplicate value"),
        ("interfaces: [an-interface-with-a-long-name]", "spec.interfaces[0]"),
        ("addressPools: ['']", "spec.addressPools[0]"),
        ("nodeSelectors: {a: b}", "spec.nodeSelectors"),
        ("nodeSelectors: [{matchLabels: {a: 1}}]", "spec.nodeSelectors[0].matchLabels.a"),
        ("nodeSelectors: [{matchLabel: {a: b}}]", "unknown field \"spec.nodeSelectors[0].matchLabel\""),
        (
            "nodeSelectors: [{matchExpressions: [{operator: In}]}]",
            "spec.nodeSelectors[0].matchExpressions[0].key: Required value",
        ),
    ];
    for (spec, field) in table {
        let said = admin().refused(&CREATE, &advertisement(spec)).unwrap();
        assert!(said.contains(field), "{spec}: {said}");
    }
}

fn own(kind: &str, spec: &str) -> String {
    format!("{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: refused}}, spec: {{{spec}}}}}")
}

#[test]
fn conf_041_a_peer_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let least = "myASN: 1, peerASN: 2, peerAddress: 192.0.2.1";
    let with = |more: &str| format!("{least}, {more}");
    let table = [
        ("peerASN: 2, peerAddress: 192.0.2.1".to_owned(), "spec.myASN: Required value"),
        ("myASN: 0, peerASN: 2, peerAddress: 192.0.2.1".to_owned(), "spec.myASN"),
        ("myASN: 4294967296, peerASN: 2, peerAddress: 192.0.2.1".to_owned(), "spec.myASN"),
        ("myASN: 1, peerAddress: 192.0.2.1".to_owned(), "a peer has either peerASN, or dynamicASN"),
        (with("dynamicASN: external"), "a peer has either peerASN, or dynamicASN"),
        (
            "myASN: 1, dynamicASN: other, peerAddress: 192.0.2.1".to_owned(),
            "spec.dynamicASN: Unsupported value",
        ),
        ("myASN: 1, peerASN: 2".to_owned(), "a peer has either peerAddress, or an interface"),
        (with("interface: eth0"), "a peer has either peerAddress, or an interface"),
        ("myASN: 1, peerASN: 2, peerAddress: 1.2.3.400".to_owned(), "peerAddress is an IP address"),
        (with("sourceAddress: nowhere"), "sourceAddress is an IP address"),
        (with("sourceAddress: '2001:db8::1'"), "sourceAddress and peerAddress are of one family"),
        (with("routerID: 1.2.3.400"), "routerID is written like an IPv4 address"),
        (with("routerID: 0.0.0.0"), "routerID is written like an IPv4 address"),
        (with("peerPort: 0"), "spec.peerPort"),
        (with("peerPort: 65536"), "spec.peerPort"),
        (with("holdTime: 1s"), "holdTime is 0s, or 3s to 65535s"),
        (with("holdTime: 20h"), "holdTime is 0s, or 3s to 65535s"),
        (with("holdTime: soon"), "spec.holdTime"),
        (with("keepaliveTime: 10h"), "keepaliveTime is 0s, or 1s to 21845s"),
        (with("connectTime: 0s"), "connectTime is 1s to 65535s"),
        (with("ttlSecurity: 255"), "spec.ttlSecurity"),
        (with("ttlSecurity: 1, ebgpMultiHop: true"), "ttlSecurity says how far away"),
        (
            "myASN: 42, peerASN: 42, peerAddress: 192.0.2.1, ebgpMultiHop: true".to_owned(),
            "ebgpMultiHop is for peers",
        ),
        (
            "myASN: 1, dynamicASN: internal, peerAddress: 192.0.2.1, ebgpMultiHop: true".to_owned(),
            "ebgpMultiHop is for peers",
        ),
        (with("families: [IPv4, IPv4]"), "spec.families[1]: Duplicate value"),
        (with("passwordSecret: {}"), "spec.passwordSecret.name: Required value"),
        (with("password: plain"), "unknown field \"spec.password\""),
    ];
    for (spec, field) in table {
        let said = admin().refused(&CREATE, &own("BGPPeer", &spec)).unwrap();
        assert!(said.contains(field), "{spec}: {said}");
    }
}

#[test]
fn conf_050_conf_056_conf_074_what_is_written_for_routers_is_refused_by_the_name_of_its_field() {
    let community = "a community is two numbers up to 65535";
    let named = |value: &str| format!("communities: [{{name: a, value: '{value}'}}]");
    let table = [
        ("BGPAdvertisement", "aggregationLength: 34".to_owned(), "spec.aggregationLength"),
        ("BGPAdvertisement", "aggregationLengthV6: 129".to_owned(), "spec.aggregationLengthV6"),
        ("BGPAdvertisement", "localPref: 4294967296".to_owned(), "spec.localPref"),
        ("BGPAdvertisement", "addressPools: [a, a]".to_owned(), "spec.addressPools[1]: Duplicate value"),
        ("BGPAdvertisement", "peers: [a, a]".to_owned(), "spec.peers[1]: Duplicate value"),
        (
            "BGPAdvertisement",
            "communities: ['1:1', '1:1']".to_owned(),
            "spec.communities[1]: Duplicate value",
        ),
        ("BFDProfile", "receiveInterval: 2".to_owned(), "spec.receiveInterval"),
        ("BFDProfile", "receiveInterval: 90000".to_owned(), "spec.receiveInterval"),
        ("BFDProfile", "transmitInterval: 9".to_owned(), "spec.transmitInterval"),
        ("BFDProfile", "echoInterval: 60001".to_owned(), "spec.echoInterval"),
        ("BFDProfile", "detectMultiplier: 1".to_owned(), "spec.detectMultiplier"),
        ("BFDProfile", "minimumTtl: 255".to_owned(), "spec.minimumTtl"),
        ("Community", named("99999999:1"), community),
        ("Community", named("1:65536"), community),
        ("Community", named("lar:123:9999:123"), community),
        ("Community", named("large:1:2"), community),
        ("Community", named("large:1:2:4294967296"), community),
        ("Community", named("1:2:3"), community),
        ("Community", "communities: [{name: 'a:b', value: '1:1'}]".to_owned(), "spec.communities[0].name"),
        (
            "Community",
            "communities: [{name: a, value: '1:1'}, {name: a, value: '1:2'}]".to_owned(),
            "spec.communities[1]: Duplicate value",
        ),
    ];
    for (kind, spec, field) in table {
        let said = admin().refused(&CREATE, &own(kind, &spec)).unwrap();
        assert!(said.contains(field), "{kind} {spec}: {said}");
    }
}

#[test]
fn an_address_has_one_name_only() {
    let name = "the name is the address";
    let canonical = "spec.address: Invalid value: \"{address}\": an IP address in its canonical form";
    let rest = "pool: p, consumers: []";
    let table = [
        ("192.0.2.1", "address: 192.0.2.2", name),
        ("a-name", "address: 192.0.2.2", name),
        ("192.0.2.1", "address: 192.0.2.01", canonical),
        ("192.0.2.1", "address: 192.0.2.0/24", canonical),
        ("192.0.2.1", "address: ''", "spec.address"),
        ("2001-db8-0-0-0-0-0-1", "address: '2001:db8:0:0:0:0:0:1'", canonical),
        ("2001-db8-0-0-0-0-0-1", "address: '2001:DB8::1'", canonical),
        ("2001-db8-0-0-0-0-0-1", "address: '::ffff:192.0.2.1'", "spec.address"),
        ("2001-db8--1", "address: '2001:db8::1'", name),
        ("2001-0db8-0-0-0-0-0-1", "address: '2001:db8::1'", name),
        ("2001-db8-0-0-0-0-0-2", "address: '2001:db8::1'", name),
        ("2001-db8-0-0-0-0-1", "address: '2001:db8::1'", name),
    ];
    for (name, spec, field) in table {
        let said = controller().refused(&CREATE, &virtual_ip(name, &format!("{spec}, {rest}"))).unwrap();
        let address = spec.trim_start_matches("address: ").trim_matches('\'');
        assert!(said.contains(&field.replace("{address}", address)), "{name}, {spec}: {said}");
    }
}

#[test]
fn another_address_is_another_virtual_ip() {
    let text = virtual_ip("192.0.2.200", "address: 192.0.2.200, pool: p, consumers: []");
    controller().create(&text).unwrap();
    let other = text.replace("address: 192.0.2.200", "address: 192.0.2.201");
    let said = controller().refused(&["replace", "-f", "-"], &other).unwrap();
    assert!(said.contains("another address is another VirtualIP"), "{said}");
}

#[test]
fn a_consumer_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let consumer = "kind: Service, namespace: a, name: b";
    let table = [
        ("consumers: [{kind: Pod, namespace: a, name: b}]", "spec.consumers[0].kind: Unsupported value"),
        ("consumers: [{kind: Service, namespace: a}]", "spec.consumers[0].name: Required value"),
        (
            &format!("consumers: [{{{consumer}, ports: [{{protocol: TCP, port: 0}}]}}]"),
            "spec.consumers[0].ports[0].port",
        ),
        (
            &format!("consumers: [{{{consumer}, ports: [{{protocol: TCP, port: 65536}}]}}]"),
            "spec.consumers[0].ports[0].port",
        ),
        ("consumers: [], pool: ''", "spec.pool"),
    ];
    for (spec, field) in table {
        let pool = if spec.contains("pool:") { "" } else { ", pool: p" };
        let text = virtual_ip("192.0.2.1", &format!("address: 192.0.2.1, {spec}{pool}"));
        let said = controller().refused(&CREATE, &text).unwrap();
        assert!(said.contains(field), "{spec}: {said}");
    }
}
