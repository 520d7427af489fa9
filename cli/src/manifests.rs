// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The manifests that a command is pointed to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ferrolb_config::manifest::Manifest;

/// Reads all that `paths` mean: files, and the manifests of folders.
///
/// # Errors
/// A file or folder cannot be read, or a folder holds no manifest.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for path in paths {
        for file in manifests_at(path)? {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            manifests.push(Manifest::parse(&file, &text));
        }
    }
    Ok(manifests)
}

/// The manifests that `path` means: itself, or those of the folder that it is, as `--source` reads it.
fn manifests_at(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let reading = || format!("reading the folder {}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(reading)? {
        let file = entry.with_context(reading)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest =
            file.extension().is_some_and(|suffix| suffix == "yaml" || suffix == "yml" || suffix == "json");
        if manifest && !hidden && file.is_file() {
            files.push(file);
        }
    }
    anyhow::ensure!(
        !files.is_empty(),
        "no manifest (*.yaml, *.yml, *.json) is in the folder {}",
        path.display()
    );
    files.sort_unstable();
    Ok(files)
}
