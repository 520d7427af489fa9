// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A folder with ten mistakes yields ten refusals, each with its place, its reason and what to do.

use std::fs;
use std::io;
use std::path::Path;

use ferrolb_config::manifest::Manifest;
use ferrolb_config::validate;

fn told(folder: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut manifests = Vec::new();
    for name in &names {
        manifests.push(Manifest::parse(Path::new(name), &fs::read_to_string(folder.join(name))?));
    }
    Ok(validate(&manifests).iter().map(|refusal| format!("{refusal}\n")).collect())
}

#[test]
fn ten_mistakes_are_ten_refusals_in_the_order_of_the_files() {
    let told = told(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")).unwrap();
    assert_eq!(told.lines().count(), 10, "{told}");
    insta::assert_snapshot!(told);
}
