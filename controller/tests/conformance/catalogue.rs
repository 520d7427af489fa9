// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads `docs/conformance.md` and the names of all tests: every behaviour in the catalogue is tested, or the page says
//! why FerroLB does otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds of ids that the page holds.
const KINDS: [&str; 7] = ["IPAM", "CTRL", "CONF", "L2", "BGP", "MET", "STAT"];

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

/// The ids in the names of the tests of the whole workspace: `ipam_001_…` is IPAM-001, `l2_031_l2_032_…` is two.
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
                ids.extend(test_names(&text).flat_map(ids_in));
            }
        }
    }
    ids
}

/// The names of the functions that are marked as tests, with what follows them.
fn test_names(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().map(str::trim_start).filter_map(move |line| {
        marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let (_, name) = line.split_once("fn ")?;
        std::mem::take(&mut marked).then_some(name)
    })
}

fn is_of(kind: &str, id: &str) -> bool {
    id.split('-').next() == Some(kind)
}

/// The ids that a name begins with.
fn ids_in(name: &str) -> Vec<String> {
    let mut parts = name.split('_');
    let mut ids = Vec::new();
    while let (Some(kind), Some(number)) = (parts.next(), parts.next()) {
        let kind = kind.to_uppercase();
        if !KINDS.contains(&&*kind) || number.len() != 3 || number.parse::<u16>().is_err() {
            break;
        }
        ids.push(format!("{kind}-{number}"));
    }
    ids
}

#[test]
fn only_tests_count_and_a_name_may_begin_with_several_ids() {
    let text = "#[test]\nfn ipam_001_l2_002_both() {}\n\nfn ctrl_003_no_test() {\n    fn conf_004() {}\n}\n\n\
                #[tokio::test(flavor = \"x\")]\nasync fn l2_005_later() {}\n";
    let ids: Vec<String> = test_names(text).flat_map(ids_in).collect();
    assert_eq!(ids, ["IPAM-001", "L2-002", "L2-005"]);
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
    let count = |ids: &BTreeSet<String>| KINDS.map(|kind| ids.iter().filter(|id| is_of(kind, id)).count());
    let (of_each, all) = (count(&tests), count(&seen));
    println!(
        "conformance: {covered} covered, {different} different, {later} later, {} open; tests of {of_each:?} of {all:?} \
         ({})",
        open.len(),
        KINDS.join(", ")
    );
    assert_eq!(open, [""; 0], "neither tested nor explained");
    let unknown: Vec<_> = tests.difference(&seen).collect();
    assert_eq!(unknown, [""; 0], "tests of ids that the page does not know");
    assert_eq!(all, [99, 56, 55, 64, 74, 4, 5], "the catalogue is complete");
}
