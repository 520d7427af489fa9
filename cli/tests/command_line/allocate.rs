// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb allocate`: addresses that are given once and handed out with the manifests.

use std::fs;
use std::path::Path;

use super::{Ended, ferrolb};

const MANIFESTS: &str = "\
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [198.51.100.10-198.51.100.19], allowBound: true}
---
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
spec: {}
---
apiVersion: ferrolb.io/v1beta1
kind: FloatingIP
metadata: {name: api, namespace: kube-system}
spec: {mode: Bound, addresses: [198.51.100.15], healthChecks: [{tcp: {port: 6443}}]}
---
apiVersion: ferrolb.io/v1beta1
kind: FloatingIP
metadata: {name: web}
spec: {target: {ports: [{port: 80, targetPort: 8080}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80}]}
";

fn folder(manifests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    folder
}

fn allocate(folder: &Path, more: &[&str]) -> Ended {
    ferrolb(&[&["allocate", folder.to_str().unwrap()], more].concat())
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn everybody_is_given_an_address_once_and_keeps_it() {
    let folder = folder(MANIFESTS);
    let first = allocate(folder.path(), &[]);
    assert_eq!((first.code, first.complaint.as_str()), (Some(0), ""), "{}", first.answer);
    assert!(
        first.answer.contains("198.51.100.15  FloatingIP kube-system/api  lan   Bound      new"),
        "{}",
        first.answer
    );
    assert_eq!(
        files(folder.path()),
        [
            "all.yaml",
            "virtualip-198.51.100.10.yaml",
            "virtualip-198.51.100.11.yaml",
            "virtualip-198.51.100.15.yaml"
        ]
    );
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let before = text("virtualip-198.51.100.15.yaml");
    assert!(before.contains("mode: Bound") && before.contains("kind: FloatingIP"), "{before}");

    let again = allocate(folder.path(), &["-o", "json"]);
    let outcome: serde_json::Value = serde_json::from_str(&again.answer).unwrap();
    let records: Vec<_> = outcome["addresses"].as_array().unwrap().iter().map(|one| &one["record"]).collect();
    assert_eq!(records, ["kept", "kept", "kept"]);
    assert_eq!(text("virtualip-198.51.100.15.yaml"), before);
    let checked = ferrolb(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{}", checked.answer);
}

#[test]
fn an_edit_moves_nobody_who_may_stay_and_frees_what_nobody_has() {
    let folder = folder(MANIFESTS);
    assert_eq!(allocate(folder.path(), &[]).code, Some(0));
    let edited = MANIFESTS
        .replace("addresses: [198.51.100.15], ", "")
        .replace("metadata: {name: web}\nspec: {type", "metadata: {name: a-shop}\nspec: {type");
    fs::write(folder.path().join("all.yaml"), edited).unwrap();
    let ended = allocate(folder.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.answer);
    assert!(ended.answer.contains("198.51.100.15  FloatingIP kube-system/api"), "{}", ended.answer);
    assert!(ended.answer.contains("Service default/a-shop"), "{}", ended.answer);
    assert_eq!(files(folder.path()).len(), 4, "{}", ended.answer);
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = folder(MANIFESTS);
    let ended = allocate(folder.path(), &["--dry-run"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.answer.contains("198.51.100.15") && ended.answer.ends_with("(--dry-run).\n"),
        "{}",
        ended.answer
    );
    assert_eq!(files(folder.path()), ["all.yaml"]);
}

#[test]
fn who_lacks_an_address_is_named_with_the_reason_and_the_others_are_served() {
    let folder = folder(&MANIFESTS.replace(", allowBound: true", ""));
    let ended = allocate(folder.path(), &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.answer.contains("FloatingIP kube-system/api"), "{}", ended.answer);
    assert!(ended.answer.contains("[BoundNotAllowed]\n    "), "{}", ended.answer);
    assert_eq!(files(folder.path()).len(), 3);
}

#[test]
fn nothing_is_given_while_a_document_cannot_be_read() {
    let folder = folder(&MANIFESTS.replace("mode: Bound", "mood: Bound"));
    let ended = allocate(folder.path(), &[]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.answer.contains("spec.mood") && ended.complaint.contains("nothing is given"),
        "{}",
        ended.answer
    );
    assert_eq!(files(folder.path()), ["all.yaml"]);
}

#[test]
fn a_record_among_other_manifests_is_kept_and_not_rewritten() {
    let folder = folder(MANIFESTS);
    assert_eq!(allocate(folder.path(), &[]).code, Some(0));
    let ours = folder.path().join("virtualip-198.51.100.15.yaml");
    let elsewhere = folder.path().join("records.yaml");
    fs::rename(&ours, &elsewhere).unwrap();
    assert_eq!(allocate(folder.path(), &[]).code, Some(0));
    assert!(!ours.exists());
    fs::write(folder.path().join("all.yaml"), MANIFESTS.replace("198.51.100.15", "198.51.100.16")).unwrap();
    let ended = allocate(folder.path(), &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.complaint.contains("records.yaml; move it to"), "{}", ended.complaint);
}

#[test]
fn no_controller_runs_on_a_folder_that_holds_records() {
    let (folder, state) = (folder(MANIFESTS), tempfile::tempdir().unwrap());
    assert_eq!(allocate(folder.path(), &[]).code, Some(0));
    let source = folder.path().to_str().unwrap();
    let ended = ferrolb(&["controller", "--source", source, "--state", state.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.complaint.contains("run only the speaker here"), "{}", ended.complaint);
}
