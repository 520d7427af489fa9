// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads `docs/conformance.md` and the names of all tests: every behaviour in the catalogue is tested, or the page says
//! why FerroLB does otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the page says of one behaviour.
enum Standing {
    Tested,
    Different,
    Later,
}

/// The rows of the page: `| IPAM-001 | what | how |`.
fn catalogue(page: &str) -> Vec<(String, Standing)> {
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let (id, what, how) = (cells[1], cells[2], cells[3]);
        let Some((_, number)) = id.split_once('-') else { continue };
        if number.parse::<u16>().is_err() {
            continue;
        }
        assert!(!what.is_empty(), "{id} does not say what it is about");
        let standing = match how {
            "test" => Standing::Tested,
            how if how.starts_with("different: ") => Standing::Different,
            how if how.starts_with("later: ") => Standing::Later,
            how => panic!("{id} has neither a test nor a reason: {how}"),
        };
        rows.push((id.to_owned(), standing));
    }
    rows
}

/// The ids in the names of the tests of the whole workspace: `ipam_001_…` is IPAM-001.
fn tested(root: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["config", "controller", "speaker", "cli", "tests"].iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                ids.extend(text.split("fn ").skip(1).filter_map(id));
            }
        }
    }
    ids
}

fn id(name: &str) -> Option<String> {
    let mut parts = name.split('_');
    let (kind, number) = (parts.next()?, parts.next()?);
    let known = ["ipam", "ctrl", "conf"].contains(&kind) && number.len() == 3;
    (known && number.parse::<u16>().is_ok()).then(|| format!("{}-{number}", kind.to_uppercase()))
}

#[test]
fn every_id_is_covered_or_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rows = catalogue(&fs::read_to_string(root.join("docs/conformance.md")).unwrap());
    let tests = tested(root);
    let (mut covered, mut different, mut later, mut open) = (0, 0, 0, Vec::new());
    let mut seen = BTreeSet::new();
    for (id, standing) in rows {
        assert!(seen.insert(id.clone()), "{id} stands twice");
        match (standing, tests.contains(&id)) {
            (Standing::Tested, true) => covered += 1,
            (Standing::Tested, false) => open.push(id),
            (Standing::Different, _) => different += 1,
            (Standing::Later, _) => later += 1,
        }
    }
    println!("conformance: {covered} covered, {different} different, {later} later, {} open", open.len());
    assert_eq!(open, [""; 0], "neither tested nor explained");
    let unknown: Vec<_> = tests.difference(&seen).collect();
    assert_eq!(unknown, [""; 0], "tests of ids that the page does not know");
    let count = |kind: &str| seen.iter().filter(|id| id.starts_with(kind)).count();
    assert_eq!([count("IPAM"), count("CTRL"), count("CONF")], [99, 56, 55], "the catalogue is complete");
}
