// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb move`, `drain` and `undrain` over a real API server: what they write, with which rights, and what they refuse.

use std::path::Path;
use std::process::Command;

use ferrolb_control_plane::{Account, ControlPlane, Options, install};

const OBJECTS: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}}
---
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [198.51.100.100/31]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: lan}, spec: {addressPools: [lan]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
spec:
  address: 198.51.100.100
  pool: lan
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
";

const STATUS: &str = "
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
status:
  layer2: [{segment: 198.51.100.0/24, interface: eth0, node: n1, term: 3, since: 2026-11-21T12:00:00Z, cause: first use}]
";

fn ferrolb(kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    command.args(arguments).arg("--kubeconfig").arg(kubeconfig).env_remove("RUST_LOG");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code(), said)
}

#[test]
fn an_operator_asks_by_annotations_that_say_what_is_meant_and_a_viewer_may_not() {
    let (operator, viewer) = (Account::user("operator", &[]), Account::user("viewer", &[]));
    let accounts = vec![operator.clone(), viewer.clone()];
    let plane = ControlPlane::start(Options { accounts, ..Options::default() }).unwrap();
    install(plane.kubectl()).unwrap();
    plane.kubectl().apply(OBJECTS).unwrap();
    plane.kubectl().apply_status(STATUS).unwrap();
    let reads = ["clusterrole", "reads", "--verb=get,list,watch"];
    let kinds = "--resource=addresspools,floatingips,l2advertisements,virtualips,speakers,services,nodes,namespaces,endpointslices";
    for more in [
        &["clusterrolebinding", "a", "--clusterrole=ferrolb-operator", "--user=operator"][..],
        &[&reads[..], &[kinds]].concat(),
        &["clusterrolebinding", "b", "--clusterrole=reads", "--user=viewer"],
    ] {
        plane.kubectl().run(&[&["create"], more].concat()).unwrap();
    }
    let annotation = |object: &[&str], name: &str| {
        let field = format!("jsonpath={{.metadata.annotations.ferrolb\\.io/{name}}}");
        plane.kubectl().run(&[&["get"], object, &["-o", &field]].concat()).unwrap()
    };
    let virtual_ip = ["virtualip", "198.51.100.100"];
    let operator = plane.kubeconfig(&operator).unwrap();

    let (code, said) = ferrolb(&operator, &["move", "198.51.100.100", "--to", "n2", "--no-wait"]);
    assert!(code == Some(0) && said.contains("n1 is asked to hand it over"), "{said}");
    let request = annotation(&virtual_ip, "move");
    assert!(request.starts_with(r#"{"to":"n2","until":""#), "{request}");
    assert!(request.ends_with(r#""from":[{"node":"n1","term":3}]}"#), "{request}");
    let (code, said) = ferrolb(&operator, &["move", "198.51.100.100", "--timeout", "1"]);
    assert!(code == Some(1) && said.contains("(NotTaken)"), "no speaker runs here: {said}");
    assert_eq!(annotation(&virtual_ip, "move"), "", "it is taken back");

    let (code, said) = ferrolb(&operator, &["drain", "n1", "--no-wait"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(annotation(&["node", "n1"], "drain"), "true");
    let (code, said) = ferrolb(&operator, &["move", "198.51.100.100", "--to", "n3"]);
    assert!(code == Some(1) && said.contains("(NotFound)"), "{said}");
    let (code, said) = ferrolb(&operator, &["undrain", "n1"]);
    assert!(code == Some(0) && said.contains("n1 takes addresses again"), "{said}");
    assert_eq!(annotation(&["node", "n1"], "drain"), "");
    let (code, said) = ferrolb(&operator, &["drain", "n9"]);
    assert!(code == Some(1) && said.contains("there is no Node n9; there are: n1, n2"), "{said}");

    let viewer = plane.kubeconfig(&viewer).unwrap();
    let (code, said) = ferrolb(&viewer, &["drain", "n1", "--no-wait"]);
    assert!(
        code == Some(1) && said.contains("annotating Node n1") && said.contains("cannot patch"),
        "{said}"
    );
    let (code, said) = ferrolb(&viewer, &["move", "198.51.100.100"]);
    assert!(code == Some(1) && said.contains("annotating VirtualIP 198.51.100.100"), "{said}");
}
