// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A folder of manifests, one object a file, and the controller on it.

use std::fs;
use std::path::PathBuf;

use ferrolb_config::Objects;
use ferrolb_source::Directory;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A folder with a controller.
pub struct Folder {
    folder: TempDir,
    controller: Option<Controller>,
}

struct Controller {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Folder {
    pub fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        let mut folder = Self { folder, controller: None };
        folder.start();
        folder
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn start(&mut self) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(ferrolb_controller::run(self.source(), self.state(), stopped));
        self.controller = Some(Controller { stop, task });
    }

    async fn stop(&mut self) {
        let Controller { stop, task } = self.controller.take().expect("one runs");
        stop.send_replace(true);
        task.await.unwrap().unwrap();
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    pub async fn close(mut self) {
        self.stop().await;
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
