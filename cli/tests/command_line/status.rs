// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb status` over folders as controller and speakers leave them.

use std::fs;
use std::path::Path;

use super::{ferrolb, repository};

const VIRTUAL_IP: &str = "
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
spec:
  address: 198.51.100.100
  pool: quickstart
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
";

const SERVICE_STATUS: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: default, name: dual}
status:
  loadBalancer: {}
  conditions:
    - type: ferrolb.io/Assigned
      status: 'False'
      reason: PoolExhausted
      message: no pool has a free IPv6 address
      lastTransitionTime: 2026-11-21T12:00:00Z
";

fn speaker(node: &str, heartbeat: &str) -> String {
    format!(
        "
apiVersion: ferrolb.io/v1beta1
kind: Speaker
metadata: {{name: {node}}}
spec: {{}}
status:
  version: 0.1.0
  heartbeat: {heartbeat}
  segments: [{{interface: eth0, owned: 1, heard: []}}]
"
    )
}

fn owned(node: &str, term: u64) -> String {
    format!(
        "{VIRTUAL_IP}
status:
  layer2: [{{segment: 198.51.100.0/24, interface: eth0, node: {node}, term: {term}, since: 2026-11-21T12:00:00Z, cause: nobody answered}}]
"
    )
}

fn write(state: &Path, file: &str, text: &str) {
    let file = state.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// `n1` died long ago as the owner; `n2` lives and owns.
fn state() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now().to_string();
    write(state.path(), "controller/virtualips/198.51.100.100.yaml", VIRTUAL_IP);
    write(state.path(), "controller/status/services/default_dual.yaml", SERVICE_STATUS);
    write(state.path(), "speaker-n1/speaker.yaml", &speaker("n1", "2026-01-01T00:00:00Z"));
    write(state.path(), "speaker-n1/virtualips.yaml", &owned("n1", 1));
    write(state.path(), "speaker-n2/speaker.yaml", &speaker("n2", &now));
    write(state.path(), "speaker-n2/virtualips.yaml", &owned("n2", 2));
    state
}

fn status(state: &Path, more: &[&str]) -> super::Ended {
    let source = repository("deploy/examples/quickstart");
    let folders = ["status", "--source", source.to_str().unwrap(), "--state", state.to_str().unwrap()];
    ferrolb(&[&folders, more].concat())
}

#[test]
fn the_table_says_who_carries_what_and_what_is_pending() {
    let state = state();
    let ended = status(state.path(), &[]);
    assert_eq!((ended.code, ended.complaint.as_str()), (Some(0), ""));
    let line = |start: &str| ended.answer.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    let words = |start: &str| line(start).split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        words("198.51.100.100")[..5],
        ["198.51.100.100", "default/web", "quickstart", "n2", "198.51.100.0/24"]
    );
    assert!(line("198.51.100.100").ends_with("nobody answered"), "{}", ended.answer);
    assert!(line("default/dual").contains("PoolExhausted"), "{}", ended.answer);
    assert_eq!(words("n1")[1], "SILENT");
    assert_eq!(words("n2")[1], "ok");
}

#[test]
fn json_holds_what_scripts_ask_for() {
    let state = state();
    let ended = status(state.path(), &["-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.answer).unwrap();
    assert_eq!(report["version"], "v1beta1");
    assert_eq!(report["addresses"][0]["address"], "198.51.100.100");
    assert_eq!(report["addresses"][0]["carriers"][0]["node"], "n2");
    assert_eq!(report["addresses"][0]["carriers"][0]["term"], 2);
}

#[test]
fn a_source_that_is_not_there_is_named_and_exits_with_1() {
    let ended = ferrolb(&["status", "--source", "/nonexistent/manifests"]);
    assert_eq!((ended.code, ended.answer.as_str()), (Some(1), ""));
    assert!(ended.complaint.starts_with("error: "), "{}", ended.complaint);
    assert!(ended.complaint.contains("/nonexistent/manifests"), "{}", ended.complaint);
}

#[test]
fn a_state_that_is_not_there_yet_means_that_nothing_is_in_use() {
    let state = tempfile::tempdir().unwrap();
    let ended = status(&state.path().join("none"), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.complaint);
    assert!(ended.answer.starts_with("No address is in use."), "{}", ended.answer);
    assert!(ended.answer.contains("NoDecisionYet"), "{}", ended.answer);
}

#[test]
fn a_state_that_cannot_be_read_is_an_error_and_not_an_empty_answer() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("controller"), "no folder").unwrap();
    let ended = status(state.path(), &[]);
    assert_eq!((ended.code, ended.answer.as_str()), (Some(1), ""));
    assert_eq!(ended.complaint.matches("os error").count(), 1, "the cause is told once: {}", ended.complaint);
    assert!(
        ended.complaint.contains(&format!("cannot read the folder {}", state.path().display())),
        "{}",
        ended.complaint
    );
}
