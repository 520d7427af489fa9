// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Seeds that once broke a rule are played again for ever. One file per seed in `regressions/`, named after it, says what was
//! wrong then. As worlds change, an old seed may come to play something else; it costs little to keep.

#![cfg(test)]

use std::{fs, path::Path};

use ferrolb_simulator::play;

#[test]
fn seeds_that_once_failed_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut seeds: Vec<u64> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    seeds.sort_unstable();
    assert!(!seeds.is_empty());
    let failed: Vec<String> =
        seeds.iter().filter_map(|seed| Some(play(*seed, false).err()?.to_string())).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
