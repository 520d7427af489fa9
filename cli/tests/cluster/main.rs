// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What people ask of a real API server: here `ferrolb status`, asked by who may read and no more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod planned;
mod uninstall;

use std::path::Path;
use std::process::Command;

use ferrolb_control_plane::{Account, ControlPlane, Options, install};
use serde_json::Value;

const OBJECTS: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [198.51.100.100/31]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: late, namespace: default}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
spec:
  address: 198.51.100.100
  pool: lan
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
---
{apiVersion: ferrolb.io/v1beta1, kind: Speaker, metadata: {name: n1}, spec: {}}
";

const STATUSES: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
status: {loadBalancer: {ingress: [{ip: 198.51.100.100}]}}
---
apiVersion: v1
kind: Service
metadata: {name: late, namespace: default}
status:
  conditions:
    - {type: ferrolb.io/Assigned, status: 'False', reason: PoolExhausted, message: no pool has a free address, lastTransitionTime: 2026-11-21T12:00:00Z}
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
status:
  layer2: [{segment: 198.51.100.0/24, interface: eth0, node: n1, term: 3, since: 2026-11-21T12:00:00Z, cause: n2 fell silent}]
---
apiVersion: ferrolb.io/v1beta1
kind: Speaker
metadata: {name: n1}
status:
  version: 0.1.0
  segments: [{interface: eth0, owned: 1, heard: [n2]}]
  conditions: [{type: Ready, status: 'True', reason: Carrying, message: '', lastTransitionTime: 2026-11-21T12:00:00Z}]
";

/// Exit code, standard output and standard error of `ferrolb status`.
fn status(kubeconfig: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    command.arg("status").arg("--kubeconfig").arg(kubeconfig).args(more).env_remove("RUST_LOG");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_status_of_a_cluster_is_told_to_who_may_read_and_errors_say_what_to_do() {
    let (viewer, stranger) = (Account::user("viewer", &[]), Account::user("stranger", &[]));
    let accounts = vec![viewer.clone(), stranger.clone()];
    let mut plane = ControlPlane::start(Options { accounts, ..Options::default() }).unwrap();
    let admin = plane.kubeconfig(&Account::admin()).unwrap();

    let (code, answer, complaint) = status(&admin, &[]);
    assert_eq!((code, answer.as_str()), (Some(1), ""), "{complaint}");
    assert!(complaint.contains("does not know the kind AddressPool"), "{complaint}");
    assert!(complaint.contains("ferrolb crds | kubectl apply"), "{complaint}");

    install(plane.kubectl()).unwrap();
    plane.kubectl().apply(OBJECTS).unwrap();
    plane.kubectl().apply_status(STATUSES).unwrap();
    // kube-controller-manager, which does not run here, would put ferrolb-view into the ClusterRole view.
    for more in [
        &["clusterrole", "services", "--verb=list", "--resource=services"][..],
        &["clusterrolebinding", "a", "--clusterrole=services", "--user=viewer"],
        &["clusterrolebinding", "b", "--clusterrole=ferrolb-view", "--user=viewer"],
    ] {
        plane.kubectl().run(&[&["create"], more].concat()).unwrap();
    }
    let viewer = plane.kubeconfig(&viewer).unwrap();
    let (code, answer, complaint) = status(&viewer, &[]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    let words = |start: &str| -> Vec<String> {
        let line = answer.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let carried = words("198.51.100.100").join(" ");
    assert!(carried.starts_with("198.51.100.100 default/web lan n1 198.51.100.0/24"), "{answer}");
    assert!(carried.ends_with("3 n2 fell silent"), "{answer}");
    assert_eq!(
        words("default/late").join(" "),
        "default/late - PoolExhausted no pool has a free address",
        "{answer}"
    );
    assert_eq!(words("n1"), ["n1", "ok", "-", "1", "n2"], "{answer}");

    let (code, answer, _) = status(&viewer, &["-o", "json"]);
    let report: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(report.pointer("/addresses/0/carriers/0/node"), Some(&Value::from("n1")), "{answer}");
    assert_eq!(report.pointer("/services/0/pending/reason"), Some(&Value::from("PoolExhausted")), "{answer}");
    let (code, answer, _) = status(&viewer, &["-o", "yaml"]);
    assert_eq!(code, Some(0));
    assert!(answer.contains("node: n1"), "{answer}");

    let (code, answer, complaint) = status(&plane.kubeconfig(&stranger).unwrap(), &[]);
    assert_eq!((code, answer.as_str()), (Some(1), ""), "{complaint}");
    let refused = "may not list addresspools, l2advertisements, bgppeers, bgpadvertisements, bfdprofiles, communities, \
                   floatingips, virtualips, speakers, services: ";
    assert!(complaint.contains(refused), "{complaint}");

    plane.stop_api_server().unwrap();
    for more in [&[][..], &["--watch"]] {
        let (code, answer, complaint) = status(&viewer, more);
        assert_eq!((code, answer.as_str()), (Some(1), ""), "{complaint}");
        assert!(complaint.starts_with("error: cannot read from https://"), "{complaint}");
        assert!(complaint.contains("Connection refused"), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}
