// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A folder of manifests, one object a file, and controllers for it.

use std::fs;
use std::path::PathBuf;

use ferrolb_config::Objects;
use ferrolb_source::Directory;
use serde_json::Value;
use tempfile::TempDir;

use crate::running::Running;

/// A folder that a controller can run on.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    pub fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        Self { folder }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn controller(&self) -> Running {
        Running::start(|stopped| ferrolb_controller::run(self.source(), self.state(), stopped))
    }

    fn file(&self, kind: &str, namespace: &str, name: &str) -> PathBuf {
        self.source().join(format!("{kind}_{namespace}_{name}.json"))
    }

    pub fn apply(&self, object: &Value) {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let file = self.file(&text(&object["kind"]), &text(&metadata["namespace"]), &text(&metadata["name"]));
        fs::write(file, object.to_string()).unwrap();
    }

    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        fs::remove_file(self.file(kind, namespace, name)).unwrap();
    }

    pub fn look(&self) -> Objects {
        Directory::read(&self.source(), &self.state()).unwrap()
    }
}
