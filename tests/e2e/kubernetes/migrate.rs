// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From `spec.externalIPs` to type LoadBalancer while a client connects all the time.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use ferrolb_control_plane::{Account, Installation, ProxyMode};
use ferrolb_lab::backend::ask;
use ferrolb_lab::probe::Connects;
use ferrolb_lab::rights::within;
use serde_json::{Value, json};

use crate::patience::{SLOWLY, SOON, eventually, expect};
use crate::start::{alone, binary, eventually_reported, launched};

/// A Service that asks for an external address, and its endpoints.
const LISTED: &str = "\
apiVersion: v1
kind: Service
metadata: {name: listed, namespace: default, annotations: {ferrolb.io/external-ips-from: quickstart}}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: listed-1, namespace: default, labels: {kubernetes.io/service-name: listed}}
addressType: IPv4
endpoints:
  - {addresses: [10.244.1.10], nodeName: n1, conditions: {ready: true}}
  - {addresses: [10.244.2.10], nodeName: n2, conditions: {ready: true}}
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: stranger, namespace: default}
spec: {ports: [{port: 80}], externalIPs: [198.51.100.119, 203.0.113.9]}
";

fn service(installation: &Installation, name: &str) -> Result<Value> {
    installation.kubectl().get(&["service", name])
}

/// `ferrolb migrate external-ips`, typed by the administrator.
fn migrate(installation: &Installation, arguments: &[&str]) -> Result<String> {
    let plane = installation.cluster().plane();
    let mut command = Command::new(binary());
    command.args(["migrate", "external-ips"]).args(arguments);
    command.arg("--kubeconfig").arg(plane.kubeconfig(&Account::admin())?);
    let namespace = plane.namespace().context("the control plane is a station of the lab")?;
    installation.lab().output(namespace, command)
}

fn no_connect_fails_while_a_service_leaves_its_external_address(mode: ProxyMode, policy: &str) -> Result<()> {
    let _turn = alone();
    let installation = launched(2, mode)?;
    let client = &installation.lab().client;
    installation.kubectl().create(LISTED)?;
    let listed = eventually("the list is filled", SLOWLY, || {
        let service = service(&installation, "listed")?;
        let entry = service.pointer("/spec/externalIPs/0").and_then(Value::as_str);
        Ok(entry.context("it is empty")?.to_owned())
    });
    let listed = listed.map_err(|error| error.context(installation.logs()))?;
    let policy = json!({"spec": {"externalTrafficPolicy": policy}}).to_string();
    installation.kubectl().run(&["patch", "service", "listed", "--type=merge", "-p", &policy])?;
    let target = SocketAddr::new(listed.parse()?, 80);
    eventually("the external address is served", SLOWLY, || ask(client, target))
        .map_err(|error| error.context(installation.logs()))?;

    let connects = Connects::start(client, target)?;
    thread::sleep(SOON / 3);
    let before = service(&installation, "listed")?;
    let said = migrate(&installation, &["default/listed", "--dry-run"])?;
    ensure!(said.contains("nothing was written") && said.contains("externalIPs: null"), "{said}");
    expect(&service(&installation, "listed")?.pointer("/spec"), &before.pointer("/spec"))?;
    let said = migrate(&installation, &["default/listed"]);
    let said = said.map_err(|error| error.context(installation.logs()))?;
    ensure!(said.contains("has no external addresses any more"), "{said}");
    // What is wrong may show when everybody has followed.
    thread::sleep(SOON);
    let report = connects.finish()?;
    eprintln!("{mode:?}: {} of {} connects failed", report.failed, report.attempts);
    ensure!(report.failed == 0, "{report:?}\n{}", installation.logs());

    let after = service(&installation, "listed")?;
    expect(&after.pointer("/spec/type"), &Some(&json!("LoadBalancer")))?;
    expect(&after.pointer("/spec/externalIPs"), &None)?;
    expect(&installation.address_of("listed", true)?, &target.ip())?;
    eventually_reported(&installation, "listed", "")?;

    // Nothing is written where an entry is not ours to move.
    let before = service(&installation, "stranger")?;
    let said = match migrate(&installation, &["default/stranger"]) {
        Ok(said) => anyhow::bail!("it was moved: {said}"),
        Err(error) => error.to_string(),
    };
    ensure!(said.contains("203.0.113.9") && said.contains("ExternalIPsNotOurs"), "{said}");
    expect(&service(&installation, "stranger")?, &before)
}

#[test]
fn no_connect_fails_while_a_service_leaves_its_external_address_with_nftables() {
    within(|| no_connect_fails_while_a_service_leaves_its_external_address(ProxyMode::NFTables, "Cluster"));
}

#[test]
fn no_connect_fails_while_a_local_service_leaves_its_external_address_with_iptables() {
    within(|| no_connect_fails_while_a_service_leaves_its_external_address(ProxyMode::IPTables, "Local"));
}
