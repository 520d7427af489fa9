// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb validate` over the quickstart and over folders with mistakes.

use std::fs;

use super::{ferrolb, repository};

#[test]
fn the_quickstart_is_without_fault() {
    let ended = ferrolb(&["validate", repository("deploy/examples/quickstart").to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.answer);
    assert!(ended.answer.ends_with(": nothing is refused\n"), "{}", ended.answer);
}

#[test]
fn warnings_alone_do_not_fail() {
    let folder = tempfile::tempdir().unwrap();
    let pool = "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {name: lan}\nspec: {addresses: [192.0.2.1/24]}\n";
    fs::write(folder.path().join("pool.yaml"), pool).unwrap();
    let ended = ferrolb(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.answer);
    assert!(ended.answer.contains("pool.yaml:4:"), "{}", ended.answer);
    assert!(ended.answer.contains("192.0.2.0 to 192.0.2.255"), "{}", ended.answer);
    assert!(ended.answer.ends_with(": nothing is refused, 2 warnings\n"), "{}", ended.answer);
}

#[test]
fn the_same_object_in_two_files_is_refused_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    for name in ["a.yaml", "b.yaml"] {
        fs::write(folder.path().join(name), service).unwrap();
    }
    let ended = ferrolb(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    let line = ended.answer.lines().next().unwrap_or_default();
    assert!(line.contains("b.yaml:1:1: error: Service default/web") && line.contains("a.yaml:1"), "{line}");
}

#[test]
fn a_path_that_is_not_there_or_a_folder_without_manifests_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["/nonexistent/pool.yaml", folder.path().to_str().unwrap()] {
        let ended = ferrolb(&["validate", path]);
        assert_eq!((ended.code, ended.answer.as_str()), (Some(1), ""), "{path}");
        assert!(ended.complaint.contains(path), "{}", ended.complaint);
    }
}

#[test]
fn of_ten_mistakes_each_is_named_with_its_file_line_and_remedy() {
    let folder = repository("config/tests/mistakes");
    let ended = ferrolb(&["validate", folder.to_str().unwrap()]);
    assert_eq!((ended.code, ended.complaint.as_str()), (Some(1), ""));
    for file in fs::read_dir(&folder).unwrap() {
        let start = format!("{}:", file.unwrap().path().display());
        let mut lines = ended.answer.lines();
        let found = lines.find(|line| line.starts_with(&start)).unwrap_or_default();
        let line = found.strip_prefix(&start).and_then(|rest| rest.split(':').next()).unwrap_or_default();
        assert!(line.parse::<u32>().is_ok_and(|line| line > 0), "{start} {found}");
        assert!(lines.next().is_some_and(|remedy| remedy.starts_with("    ")), "no remedy below: {found}");
    }
}

#[test]
fn json_counts_what_it_lists() {
    let ended = ferrolb(&["validate", "-o", "json", repository("config/tests/mistakes").to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    let answer: serde_json::Value = serde_json::from_str(&ended.answer).unwrap();
    let findings = answer["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error").count();
    assert_eq!(answer["errors"], errors);
    assert_eq!(answer["warnings"], findings.len() - errors);
    assert!(findings.iter().all(|finding| finding["line"].is_u64() && finding["reason"].is_string()));
}
