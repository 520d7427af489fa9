// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use serde_json::{Value, json};

use super::*;
use crate::reason::Reason;

fn read(spec: Value, accepted: Option<Value>) -> (FloatingIP, Vec<Refusal>) {
    let mut object = json!({
        "apiVersion": "ferrolb.io/v1beta1", "kind": "FloatingIP",
        "metadata": {"name": "ingress", "namespace": "edge"}, "spec": spec,
    });
    if let Some(accepted) = accepted {
        object["status"] = json!({"addresses": ["192.0.2.9"], "accepted": accepted});
    }
    let object = serde_json::from_value(object).unwrap();
    let name = ServiceName { namespace: "edge".to_owned(), name: "ingress".to_owned() };
    let mut refused = Vec::new();
    (FloatingIP::read(&name, &object, &mut refused), refused)
}

fn fault(spec: Value) -> (Reason, String) {
    let (read, refused) = read(spec, None);
    assert_eq!(read.wanted, None);
    assert_eq!(read.refusal.as_ref(), refused.first());
    assert!(refused.iter().all(|refusal| refusal.remedy.is_some()), "{refused:?}");
    let first = refused.into_iter().next().unwrap();
    (first.reason, first.field.unwrap())
}

#[test]
fn a_floating_ip_says_how_it_is_held_by_whom_and_what_must_answer() {
    let (floating_ip, refused) = read(
        json!({
            "pool": "edge", "addresses": ["192.0.2.10", "2001:db8::10"], "ipFamilies": ["IPv6", "IPv4"], "group": "front",
            "target": {"ports": [{"port": 443, "targetPort": 8443}, {"port": 443, "protocol": "UDP"}]},
            "candidates": {"nodeSelector": {"matchLabels": {"ingress": "yes"}}, "service": "nginx"},
            "healthChecks": [{"http": {"port": 8080}}, {"tcp": {"port": 8443}, "rise": 1, "fall": 1, "timeoutSeconds": 5}],
        }),
        None,
    );
    assert_eq!(refused, []);
    let form = floating_ip.in_force().unwrap();
    assert_eq!(form.families, [Family::V6, Family::V4]);
    let Carriage::ReplyOnly(FloatingTarget::Ports(ports)) = &form.carriage else { panic!("{form:?}") };
    assert_eq!(
        ports.iter().map(|port| (port.port, port.target)).collect::<Vec<_>>(),
        [(443, 8443), (443, 443)]
    );
    assert_eq!(form.candidates.service.as_ref().unwrap().to_string(), "edge/nginx");
    let [http, tcp] = form.health_checks.as_slice() else { panic!("{form:?}") };
    let Probe::Http { path, expected, .. } = &http.probe else { panic!("{http:?}") };
    assert_eq!((path.as_str(), expected.contains(204), expected.contains(404)), ("/", true, false));
    assert_eq!((http.interval.as_secs(), http.timeout.as_secs(), http.rise, http.fall), (1, 1, 2, 3));
    assert_eq!((tcp.timeout.as_secs(), tcp.rise, tcp.fall), (5, 1, 1));
    assert_eq!(floating_ip.group(), "edge/group/front");
}

#[test]
fn every_mistake_names_its_field() {
    let to = || json!({"ports": [{"port": 80}]});
    let check = |check: Value| json!({"target": to(), "healthChecks": [check]});
    for (spec, field) in [
        (json!({}), "spec.target"),
        (json!({"target": {}}), "spec.target"),
        (json!({"target": {"service": "Web"}}), "spec.target.service"),
        (json!({"target": {"ports": [{"port": 0}]}}), "spec.target.ports[0].port"),
        (json!({"target": {"ports": [{"port": 80}, {"port": 80}]}}), "spec.target.ports[1].port"),
        (json!({"target": to(), "addresses": ["192.0.2.1", "x"]}), "spec.addresses[1]"),
        (json!({"target": to(), "addresses": ["192.0.2.1", "192.0.2.2"]}), "spec.addresses[1]"),
        (json!({"target": to(), "ipFamilies": ["IPv4", "IPv4"]}), "spec.ipFamilies[1]"),
        (json!({"target": to(), "group": "a/b"}), "spec.group"),
        (check(json!({})), "spec.healthChecks[0]"),
        (check(json!({"tcp": {"port": 0}})), "spec.healthChecks[0].tcp.port"),
        (check(json!({"tcp": {"port": 1}, "rise": 0})), "spec.healthChecks[0].rise"),
        (check(json!({"exec": {"command": []}})), "spec.healthChecks[0].exec.command"),
        (check(json!({"http": {"port": 1, "path": "x"}})), "spec.healthChecks[0].http.path"),
        (check(json!({"http": {"port": 1, "path": "/a\r\nb"}})), "spec.healthChecks[0].http.path"),
        (check(json!({"http": {"port": 1, "host": "a b"}})), "spec.healthChecks[0].http.host"),
        (
            check(json!({"http": {"port": 1, "expectedStatus": "2xx"}})),
            "spec.healthChecks[0].http.expectedStatus",
        ),
        (
            check(json!({"http": {"port": 1, "expectedStatus": "399-200"}})),
            "spec.healthChecks[0].http.expectedStatus",
        ),
    ] {
        assert_eq!(fault(spec.clone()), (Reason::InvalidValue, field.to_owned()), "{spec}");
    }
}

#[test]
fn wishes_that_contradict_each_other_are_refused_as_such() {
    let to = || json!({"ports": [{"port": 80}]});
    for (spec, field) in [
        (json!({"mode": "Bound", "target": to()}), "spec.target"),
        (json!({"target": {"ports": [{"port": 80}], "service": "web"}}), "spec.target"),
        (json!({"target": to(), "addresses": ["192.0.2.1"], "ipFamilies": ["IPv6"]}), "spec.addresses"),
        (
            json!({"target": to(), "addresses": ["192.0.2.1"], "ipFamilies": ["IPv4", "IPv6"]}),
            "spec.addresses",
        ),
        (
            json!({"target": to(), "healthChecks": [{"tcp": {"port": 1}, "exec": {"command": ["x"]}}]}),
            "spec.healthChecks[0]",
        ),
    ] {
        assert_eq!(fault(spec.clone()), (Reason::ContradictoryRequest, field.to_owned()), "{spec}");
    }
    let selector = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
    let (reason, field) = fault(json!({"target": to(), "candidates": {"nodeSelector": selector}}));
    assert_eq!(reason, Reason::InvalidSelector);
    assert_eq!(field, "spec.candidates.nodeSelector.matchExpressions[0].operator");
}

#[test]
fn a_refused_edit_leaves_what_was_accepted_in_force() {
    let accepted = json!({"target": {"service": "nginx"}, "group": "front"});
    let (floating_ip, refused) = read(json!({"mode": "ReplyOnly"}), Some(accepted));
    assert_eq!(refused.len(), 1);
    assert!(floating_ip.refusal.is_some());
    assert_eq!(floating_ip.group(), "edge/group/front");
    let form = floating_ip.in_force().unwrap();
    assert!(matches!(&form.carriage, Carriage::ReplyOnly(FloatingTarget::Service(_))));
}

#[test]
fn another_mode_is_in_force_once_the_record_has_it() {
    let accepted = json!({"target": {"service": "nginx"}});
    let (floating_ip, _) = read(json!({"mode": "Bound"}), Some(accepted));
    let mode = |mode| floating_ip.carried_as(mode).map(FloatingForm::mode);
    assert_eq!(mode(AddressMode::ReplyOnly), Some(AddressMode::ReplyOnly));
    assert_eq!(mode(AddressMode::Bound), Some(AddressMode::Bound));
    assert_eq!(read(json!({"mode": "Bound"}), None).0.carried_as(AddressMode::ReplyOnly), None);
}

#[test]
fn no_service_is_elected_with_a_floating_ip() {
    let (floating_ip, _) = read(json!({"mode": "Bound"}), None);
    assert_eq!(floating_ip.group(), "edge/floatingip/ingress");
}
