// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the schema of FloatingIPs takes, adds and refuses.

use serde_json::Value;

use crate::install::admin;

const CREATE: [&str; 6] = ["create", "--dry-run=server", "-o", "json", "-f", "-"];

fn floating_ip(spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: FloatingIP, metadata: {{name: judged, namespace: default}}, spec: {{{spec}}}}}"
    )
}

#[test]
fn the_server_fills_in_what_a_floating_ip_leaves_out() {
    let checks = "healthChecks: [{http: {port: 8080}}, {tcp: {port: 8443}}]";
    let text = floating_ip(&format!("target: {{ports: [{{port: 80}}]}}, {checks}"));
    let answer = admin().feed(&CREATE, &text).unwrap();
    assert_eq!(answer.warnings, "");
    let made: Value = serde_json::from_str(&answer.text).unwrap();
    let spec = &made["spec"];
    assert_eq!(
        (&spec["mode"], &spec["target"]["ports"][0]["protocol"]),
        (&"ReplyOnly".into(), &"TCP".into())
    );
    let http = &spec["healthChecks"][0];
    assert_eq!((&http["http"]["path"], &http["http"]["expectedStatus"]), (&"/".into(), &"200-399".into()));
    for (field, number) in [("intervalSeconds", 1), ("timeoutSeconds", 1), ("rise", 2), ("fall", 3)] {
        assert_eq!(http[field], number, "{field}");
    }
}

#[test]
fn a_floating_ip_may_say_everything_that_the_guide_shows() {
    for spec in [
        "mode: Bound, pool: api, addresses: [192.0.2.10, '2001:db8::10'], ipFamilies: [IPv6, IPv4]",
        "addresses: ['2001:db8::10'], ipFamilies: [IPv6], target: {service: web}, group: front",
        "target: {ports: [{port: 53, protocol: UDP}, {port: 53, targetPort: 5353}]}, candidates: {service: dns, \
         nodeSelector: {matchExpressions: [{key: role, operator: In, values: [edge]}]}}",
    ] {
        admin().feed(&CREATE, &floating_ip(spec)).unwrap();
    }
    let most = vec!["{http: {port: 1, path: '/a?b=c', host: h, expectedStatus: '200'}}"; 16].join(", ");
    admin().feed(&CREATE, &floating_ip(&format!("mode: Bound, healthChecks: [{most}]"))).unwrap();
}

#[test]
fn a_floating_ip_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let to = "target: {service: web}";
    let table = [
        (String::new(), "mode ReplyOnly needs spec.target"),
        ("target: {}".to_owned(), "a target is either ports or a service"),
        ("target: {service: web, ports: [{port: 80}]}".to_owned(), "a target is either ports or a service"),
        ("target: {ports: [{port: 0}]}".to_owned(), "spec.target.ports[0].port"),
        ("target: {ports: [{port: 80}, {port: 80}]}".to_owned(), "spec.target.ports[1]: Duplicate value"),
        (format!("mode: Bound, {to}"), "mode Bound takes none"),
        (format!("mode: Both, {to}"), "spec.mode: Unsupported value"),
        (format!("{to}, addresses: [x]"), "addresses holds IP addresses"),
        (format!("{to}, addresses: [192.0.2.1, 192.0.2.2]"), "at most one of each family"),
        (format!("{to}, addresses: [192.0.2.1], ipFamilies: [IPv6]"), "asks for other families"),
        (format!("{to}, ipFamilies: [IPv4, IPv4]"), "spec.ipFamilies[1]: Duplicate value"),
        (format!("{to}, group: a/b"), "spec.group"),
        (format!("{to}, healthChecks: [{{}}]"), "a health check is either http or tcp"),
        (
            format!("{to}, healthChecks: [{{exec: {{command: [/bin/true]}}}}]"),
            "unknown field \"spec.healthChecks[0].exec\"",
        ),
        (format!("{to}, healthChecks: [{{tcp: {{port: 1}}, rise: 0}}]"), "spec.healthChecks[0].rise"),
        (format!("{to}, healthChecks: [{{http: {{port: 1, path: x}}}}]"), "spec.healthChecks[0].http.path"),
        (
            format!("{to}, healthChecks: [{{http: {{port: 1, expectedStatus: 2xx}}}}]"),
            "spec.healthChecks[0].http.expectedStatus",
        ),
    ];
    for (spec, field) in table {
        let said = admin().refused(&CREATE, &floating_ip(&spec)).unwrap();
        assert!(said.contains(field), "{spec}: {said}");
    }
}
