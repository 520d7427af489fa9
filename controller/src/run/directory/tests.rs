// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;

struct Controller {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Controller {
    fn start(folders: &Folders) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(folders.source(), folders.state(), stopped));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folders.source()).unwrap();
        folders
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.source().join(file), text).unwrap();
    }

    /// Waits until the state folder shows exactly these VirtualIPs.
    async fn records(&self, expected: &[&str]) {
        let folder = self.state().join("controller/virtualips");
        wait(|| names(&folder) == expected.iter().map(|name| format!("{name}.yaml")).collect::<Vec<_>>())
            .await;
    }

    async fn service(&self, name: &str, shows: impl Fn(&str) -> bool) {
        let path = self.state().join(format!("controller/status/services/default_{name}.yaml"));
        wait(|| fs::read_to_string(&path).is_ok_and(|text| shows(&text))).await;
    }
}

async fn wait(until: impl Fn() -> bool) {
    for _ in 0..1000 {
        if until() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

fn pool(range: &str) -> String {
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {{name: p}}\nspec: {{addresses: [\"{range}\"]}}\n"
    )
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n"
    )
}

#[tokio::test]
async fn edits_are_followed_and_a_restart_changes_nothing() {
    let folders = Folders::new();
    folders.write("pool.yaml", &pool("192.0.2.0/30"));
    folders.write("b.yaml", &service("b"));
    let controller = Controller::start(&folders);
    folders.records(&["192.0.2.0"]).await;
    folders.service("b", |text| text.contains("ip: \"192.0.2.0\"") && text.contains("Assigned")).await;
    folders.write("a.yaml", &service("a"));
    folders.records(&["192.0.2.0", "192.0.2.1"]).await;
    folders.service("a", |text| text.contains("ip: \"192.0.2.1\"")).await;
    controller.stop().await;

    // While nobody is there, one Service goes and one comes.
    fs::remove_file(folders.source().join("b.yaml")).unwrap();
    folders.write("c.yaml", &service("c"));
    let controller = Controller::start(&folders);
    folders.service("c", |text| text.contains("ip: \"192.0.2.0\"")).await;
    folders.records(&["192.0.2.0", "192.0.2.1"]).await;
    assert_eq!(
        names(&folders.state().join("controller/status/services")),
        ["default_a.yaml", "default_c.yaml"]
    );
    controller.stop().await;
}

#[tokio::test]
async fn who_waits_is_told_why_and_a_broken_pool_takes_nothing_away() {
    let folders = Folders::new();
    folders.write("pool.yaml", &pool("192.0.2.0/32"));
    folders.write("a.yaml", &service("a"));
    let controller = Controller::start(&folders);
    folders.service("a", |text| text.contains("ip: \"192.0.2.0\"")).await;
    folders.write("b.yaml", &service("b"));
    folders.service("b", |text| text.contains("PoolExhausted")).await;
    folders.write("pool.yaml", &pool("192.0.2.9-192.0.2.0"));
    let status = folders.state().join("controller/status/addresspools/p.yaml");
    wait(|| fs::read_to_string(&status).is_ok_and(|text| text.contains("InvalidRange"))).await;
    folders.records(&["192.0.2.0"]).await;
    folders.write("pool.yaml", "kind: [");
    folders.write("c.yaml", &service("c"));
    folders.service("c", |text| text.contains("False")).await;
    folders.records(&["192.0.2.0"]).await;
    // Also when the process starts while the pool cannot be read, and so has never seen it.
    controller.stop().await;
    let controller = Controller::start(&folders);
    folders.write("d.yaml", &service("d"));
    folders.service("d", |text| text.contains("False")).await;
    folders.records(&["192.0.2.0"]).await;
    folders.write("pool.yaml", &pool("192.0.2.0/31"));
    folders.service("b", |text| text.contains("ip: \"192.0.2.1\"")).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_source_with_virtual_ips_of_its_own_is_refused() {
    let folders = Folders::new();
    folders.write(
        "vip.yaml",
        "apiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {name: 192.0.2.0}\n\
         spec: {address: 192.0.2.0, pool: p, consumers: []}\n",
    );
    let (_stop, stopped) = watch::channel(false);
    let error = run(folders.source(), folders.state(), stopped).await.unwrap_err();
    assert!(error.to_string().contains("run only the speaker"), "{error}");
}

#[tokio::test]
async fn a_second_controller_on_one_state_is_refused() {
    let folders = Folders::new();
    let _writer = StateWriter::open(&folders.state(), &Role::Controller).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let error = run(folders.source(), folders.state(), stopped).await.unwrap_err();
    assert!(format!("{error:#}").contains("in use"), "{error:#}");
}

#[tokio::test]
async fn a_write_that_fails_is_tried_again_until_it_succeeds() {
    let folders = Folders::new();
    folders.write("pool.yaml", &pool("192.0.2.0/32"));
    let controller = Controller::start(&folders);
    let status = folders.state().join("controller/status/addresspools/p.yaml");
    wait(|| status.exists()).await;
    // A file stands where the folder should be, so the record cannot be written.
    let records = folders.state().join("controller/virtualips");
    fs::write(&records, "in the way").unwrap();
    folders.write("a.yaml", &service("a"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(names(&folders.state().join("controller/status/services")), Vec::<String>::new());
    fs::remove_file(&records).unwrap();
    folders.service("a", |text| text.contains("ip: \"192.0.2.0\"")).await;
    controller.stop().await;
}
