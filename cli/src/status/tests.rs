// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The report, and every form that it is shown in, for one small cluster with most of what can be wrong.

use std::sync::Arc;

use ferrolb_config::api::{AddressMode, ConsumerKind, UnservedService};
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, ServiceName, Snapshot};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::collect;
use super::report::StatusReport;
use crate::format::StatusFormat;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn read<T: serde::de::DeserializeOwned>(object: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(object).unwrap())
}

fn service(objects: &mut Objects, name: &str, status: Value) {
    let key = ServiceName { namespace: "default".into(), name: name.into() };
    let spec = json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }] });
    let metadata = json!({ "namespace": "default", "name": name });
    objects.services.insert(key, read(json!({ "metadata": metadata, "spec": spec, "status": status })));
}

fn virtual_ip(objects: &mut Objects, name: &str, address: &str, service: &str, owner: Option<(&str, u64)>) {
    let user = json!({ "kind": "Service", "namespace": "default", "name": service,
                       "ports": [{ "protocol": "TCP", "port": 80 }] });
    let layer2: Vec<Value> = owner
        .iter()
        .map(|(node, term)| {
            json!({ "segment": "198.51.100.0/24", "interface": "eth0", "node": node, "term": term, "since": "2026-11-21T11:55:00Z",
                    "cause": "silence of n2" })
        })
        .collect();
    let vip = json!({
        "apiVersion": "ferrolb.io/v1beta1", "kind": "VirtualIP", "metadata": { "name": name },
        "spec": { "address": address, "pool": "lan", "consumers": [user], "group": format!("default/{service}") },
        "status": { "layer2": layer2 },
    });
    objects.virtual_ips.insert(name.into(), read(vip));
}

fn speaker(objects: &mut Objects, node: &str, heartbeat: &str, up: bool, refusals: Value) {
    let conditions = json!([
        { "type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": heartbeat },
        { "type": "ForwardingIPv6", "status": if node == "n2" { "False" } else { "True" }, "reason": "ForwardingDisabled",
          "message": "IPv6 forwarding is off; sysctl -w net.ipv6.conf.all.forwarding=1", "lastTransitionTime": heartbeat },
    ]);
    let status = json!({
        "version": "0.1.0", "profile": "fast", "helloKeys": ["1a2b", "3c4d"], "heartbeat": heartbeat, "conditions": conditions, "refusals": refusals,
        "interfaces": [{ "name": "eth0", "up": up, "mac": "02:00:00:00:00:01", "addresses": ["198.51.100.1/24"] }],
        "segments": [{ "interface": "eth0", "owned": 1, "heard": ["n1", "n2"] }],
    });
    let object = json!({ "apiVersion": "ferrolb.io/v1beta1", "kind": "Speaker", "metadata": { "name": node },
                         "spec": {}, "status": status });
    objects.speakers.insert(node.into(), read(object));
}

fn report() -> StatusReport {
    let mut objects = Objects::default();
    for (name, addresses) in [("lan", vec!["198.51.100.0/28"]), ("odd", vec!["198.51.100.90-198.51.100.80"])]
    {
        let pool = json!({ "apiVersion": "ferrolb.io/v1beta1", "kind": "AddressPool",
                           "metadata": { "name": name }, "spec": { "addresses": addresses } });
        objects.pools.insert(name.into(), read(pool));
    }
    let refused = json!({ "conditions": [{ "type": "ferrolb.io/Assigned", "status": "False",
        "reason": "AddressNotInPool", "message": "192.0.2.1 is in no pool; ask for an address of the pool lan",
        "lastTransitionTime": "2026-11-21T11:00:00Z" }] });
    service(&mut objects, "web", json!({}));
    service(&mut objects, "api", json!({}));
    service(&mut objects, "outside", refused);
    service(&mut objects, "unheard", json!({}));
    virtual_ip(&mut objects, "198.51.100.10", "198.51.100.10", "api", None);
    virtual_ip(&mut objects, "198.51.100.2", "198.51.100.2", "web", Some(("n1", 7)));
    virtual_ip(&mut objects, "2001-db8-0-0-0-0-0-2", "2001:db8::2", "web", Some(("n3", 2)));
    let no_endpoints = "NoEndpoints: the Service has no ready endpoint";
    speaker(&mut objects, "n1", "2026-11-21T11:59:55Z", true, json!({ "198.51.100.10": no_endpoints }));
    speaker(&mut objects, "n2", "2026-11-21T11:59:58Z", false, json!({ "198.51.100.10": no_endpoints }));
    speaker(&mut objects, "n3", "2026-11-21T11:58:00Z", true, json!({ "198.51.100.10": "out of date" }));
    collect(&objects, &Snapshot::build(&objects), now())
}

#[test]
fn a_port_that_several_nodes_cannot_serve_is_told_once_with_their_names() {
    let mut objects = Objects::default();
    virtual_ip(&mut objects, "198.51.100.2", "198.51.100.2", "web", Some(("n1", 7)));
    for (node, heartbeat) in [("n1", "2026-11-21T11:59:55Z"), ("n3", "2026-11-21T11:59:58Z")] {
        speaker(&mut objects, node, heartbeat, true, json!({}));
        let speaker = Arc::make_mut(objects.speakers.get_mut(node).unwrap());
        speaker.status.as_mut().unwrap().unserved.push(UnservedService {
            address: "198.51.100.2".to_owned(),
            service: "default/web".to_owned(),
            reason: "UnsupportedProtocol".to_owned(),
            message: "port 7 is SCTP".to_owned(),
        });
    }
    let report = collect(&objects, &Snapshot::build(&objects), now());
    let [address] = report.addresses.as_slice() else { panic!("{report:?}") };
    let [unserved] = address.unserved.as_slice() else { panic!("{report:?}") };
    assert_eq!(unserved.nodes, ["n1", "n3"]);
    let table = text(&report, StatusFormat::Table);
    assert!(table.contains("default/web  198.51.100.2  UnsupportedProtocol  port 7 is SCTP\n"), "{table}");
}

#[test]
fn a_floating_ip_is_shown_with_its_carrier_its_mode_and_what_it_lacks() {
    let mut objects = Objects::default();
    for (name, status) in [("api", json!({})), ("spare", json!({}))] {
        let key = ServiceName { namespace: "edge".into(), name: name.into() };
        let object = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "FloatingIP",
            "metadata": { "namespace": "edge", "name": name }, "spec": { "mode": "Bound" }, "status": status,
        });
        objects.floating_ips.insert(key, read(object));
    }
    virtual_ip(&mut objects, "198.51.100.2", "198.51.100.2", "api", Some(("n1", 7)));
    let record = Arc::make_mut(objects.virtual_ips.get_mut("198.51.100.2").unwrap());
    record.spec.mode = AddressMode::Bound;
    (record.spec.consumers[0].kind, record.spec.consumers[0].namespace) =
        (ConsumerKind::FloatingIP, "edge".to_owned());
    speaker(&mut objects, "n1", "2026-11-21T11:59:55Z", true, json!({}));
    let report = collect(&objects, &Snapshot::build(&objects), now());
    let [api, spare] = report.floating_ips.as_slice() else { panic!("{report:?}") };
    assert_eq!((api.addresses.as_slice(), &api.pending), (&["198.51.100.2".to_owned()][..], &None));
    assert_eq!((api.mode, spare.addresses.len()), (Some(AddressMode::Bound), 0));
    let table = text(&report, StatusFormat::Table);
    assert!(table.contains("198.51.100.2  FloatingIP edge/api (Bound)  lan   n1"), "{table}");
    assert!(table.contains("edge/spare          -    NoDecisionYet"), "{table}");
}

#[test]
fn an_address_that_another_node_asks_for_in_vain_is_told_with_the_remedy() {
    let mut objects = Objects::default();
    virtual_ip(&mut objects, "198.51.100.2", "198.51.100.2", "web", Some(("n1", 7)));
    let seen = json!([{ "type": "Reachable", "status": "False", "reason": "NoResponder",
        "message": "on 198.51.100.0/24: nobody answers", "lastTransitionTime": "2026-11-21T11:59:00Z" }]);
    let status = Arc::make_mut(objects.virtual_ips.get_mut("198.51.100.2").unwrap()).status.as_mut().unwrap();
    status.conditions = serde_json::from_value(seen).unwrap();
    let report = collect(&objects, &Snapshot::build(&objects), now());
    let table = text(&report, StatusFormat::Table);
    let line = "198.51.100.2  60s  NoResponder  on 198.51.100.0/24: nobody answers\n";
    assert!(table.contains(line), "{table}");
}

#[test]
fn an_address_that_only_routers_are_told_of_is_not_shown_as_nobodys() {
    let mut objects = Objects::default();
    service(&mut objects, "web", json!({}));
    virtual_ip(&mut objects, "198.51.100.2", "198.51.100.2", "web", None);
    let object = |kind: &str, name: &str, spec: Value| json!({ "apiVersion": "ferrolb.io/v1beta1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    let pool = object("AddressPool", "lan", json!({ "addresses": ["198.51.100.0/28"] }));
    objects.pools.insert("lan".into(), read(pool));
    let advertisement = object("BGPAdvertisement", "rack", json!({ "peers": ["rack"] }));
    objects.bgp_advertisements.insert("rack".into(), read(advertisement));
    let sessions =
        [("n1", "rack", "Established"), ("n2", "rack", "Connecting"), ("n3", "other", "Established")];
    for (node, peer, state) in sessions {
        objects.nodes.insert(node.into(), read(json!({ "metadata": { "name": node } })));
        speaker(&mut objects, node, "2026-11-21T11:59:58Z", true, json!({}));
        let speaker = Arc::make_mut(objects.speakers.get_mut(node).unwrap());
        let session = serde_json::from_value(json!({ "peer": peer, "state": state, "since": null })).unwrap();
        speaker.status.as_mut().unwrap().bgp.push(session);
    }
    let report = collect(&objects, &Snapshot::build(&objects), now());
    assert_eq!(report.addresses[0].told_to_routers_by, ["n1"]);
    let table = text(&report, StatusFormat::Table);
    assert!(table.contains("default/web  lan   n1    routers  -      -     told to routers\n"), "{table}");
    assert!(table.contains("ROUTERS") && table.contains("0/1"), "{table}");
}

#[test]
fn a_class_decides_which_services_are_shown() {
    let mut objects = Objects::default();
    service(&mut objects, "web", json!({}));
    let shown = |scope: &Scope| super::report(&objects, scope).services.len();
    assert_eq!((shown(&Scope::Ours), shown(&Scope::Class("example.com/lan".to_owned()))), (1, 0));
}

fn text(report: &StatusReport, format: StatusFormat) -> String {
    let mut out = Vec::new();
    super::write(report, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_names_carriers_reasons_silent_speakers_and_refused_objects() {
    insta::assert_snapshot!(text(&report(), StatusFormat::Table));
}

#[test]
fn the_wide_table_adds_ports_groups_and_interfaces() {
    insta::assert_snapshot!(text(&report(), StatusFormat::Wide));
}

#[test]
fn the_json_form_is_the_documented_one() {
    insta::assert_snapshot!(text(&report(), StatusFormat::Json));
}

#[test]
fn json_and_yaml_hold_the_same_report() {
    let report = report();
    let json: StatusReport = serde_json::from_str(&text(&report, StatusFormat::Json)).unwrap();
    let yaml: StatusReport = serde_saphyr::from_str(&text(&report, StatusFormat::Yaml)).unwrap();
    assert_eq!(json, report);
    assert_eq!(yaml, report);
}

#[test]
fn a_silent_speaker_is_not_asked_why_it_carries_nothing() {
    let report = report();
    let api = report.addresses.iter().find(|vip| vip.address == "198.51.100.10").unwrap();
    let nodes: Vec<&str> = api.refusals.iter().map(|refusal| refusal.node.as_str()).collect();
    assert_eq!(nodes, ["n1", "n2"]);
}

#[test]
fn nothing_at_all_is_said_in_words() {
    let objects = Objects::default();
    let report = collect(&objects, &Snapshot::build(&objects), now());
    assert_eq!(text(&report, StatusFormat::Table), "No address is in use.\n");
}
