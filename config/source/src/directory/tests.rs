// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use ferrolb_config::ServiceName;
use ferrolb_config::api::{
    AddressMode, Layer2Owner, Speaker, SpeakerSpec, SpeakerStatus, VirtualIP, VirtualIPSpec, VirtualIPStatus,
    annotation,
};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::{Role, StateFile, StateWriter};

const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer}\n";
const DNS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: dns}\nspec: {type: LoadBalancer}\n";

/// A source folder and a state folder that a test writes to.
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

    fn write(&self, name: &str, text: &str) {
        fs::write(self.source().join(name), text).unwrap();
    }

    async fn watch(&self) -> watch::Receiver<Arc<Objects>> {
        Directory::watch(self.source(), self.state(), None).await.unwrap()
    }
}

fn service(name: &str) -> ServiceName {
    ServiceName { namespace: "default".to_owned(), name: name.to_owned() }
}

fn services(objects: &Objects) -> Vec<&str> {
    objects.services.keys().map(|name| name.name.as_str()).collect()
}

/// Waits until what is delivered fulfils `wish`; every value on the way must fulfil `always`.
async fn until(
    objects: &mut watch::Receiver<Arc<Objects>>,
    always: impl Fn(&Objects) -> bool,
    wish: impl Fn(&Objects) -> bool,
) -> Arc<Objects> {
    let waiting = async {
        loop {
            let now = Arc::clone(&objects.borrow_and_update());
            assert!(always(&now), "{now:?}");
            if wish(&now) {
                return now;
            }
            objects.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("nothing like it was delivered")
}

fn anything(_: &Objects) -> bool {
    true
}

#[tokio::test]
async fn edits_new_files_and_removed_files_are_followed() {
    let folders = Folders::new();
    folders.write("web.yaml", WEB);
    folders.write(".hidden.yaml", DNS);
    folders.write("notes.txt", DNS);
    let mut objects = folders.watch().await;
    assert_eq!(services(&objects.borrow()), ["web"]);
    folders.write("dns.yml", DNS);
    until(&mut objects, anything, |now| services(now) == ["dns", "web"]).await;
    folders.write("web.yaml", &WEB.replace("LoadBalancer", "ClusterIP"));
    let kind = |now: &Objects| now.services[&service("web")].spec.clone().unwrap().type_;
    until(&mut objects, anything, |now| kind(now).as_deref() == Some("ClusterIP")).await;
    fs::remove_file(folders.source().join("dns.yml")).unwrap();
    until(&mut objects, anything, |now| services(now) == ["web"]).await;
}

#[tokio::test]
async fn a_file_that_stops_parsing_keeps_its_last_good_form_and_says_where() {
    let folders = Folders::new();
    folders.write("both.yaml", &format!("{WEB}---\n{DNS}"));
    let mut objects = folders.watch().await;
    folders.write("both.yaml", &format!("{}---\nkind: [\n", WEB.replace("LoadBalancer", "ClusterIP")));
    let has_both = |now: &Objects| services(now) == ["dns", "web"];
    let now = until(&mut objects, has_both, |now| !now.refused.is_empty()).await;
    let location = now.refused[0].location.clone().unwrap();
    assert!(location.file.ends_with("both.yaml"));
    assert_eq!(location.line, 6);
    let kind = now.services[&service("web")].spec.clone().unwrap().type_;
    assert_eq!(kind.as_deref(), Some("ClusterIP"), "the document that can be read goes on");
    folders.write("both.yaml", WEB);
    let now = until(&mut objects, anything, |now| services(now) == ["web"]).await;
    assert_eq!(now.refused, []);
}

#[tokio::test]
async fn a_document_with_a_mistake_keeps_its_own_last_form_only() {
    let folders = Folders::new();
    folders.write("both.yaml", &format!("{WEB}---\n{DNS}"));
    let mut objects = folders.watch().await;
    // dns is taken out in the same edit; nothing says that it is still meant.
    folders.write("both.yaml", &WEB.replace("{type: LoadBalancer}", "{ports: [{port: http}]}"));
    let now = until(&mut objects, anything, |now| services(now) == ["web"]).await;
    assert_eq!(now.services[&service("web")].spec.clone().unwrap().type_.as_deref(), Some("LoadBalancer"));
    assert_eq!(now.refused[0].field.as_deref(), Some("spec.ports[0].port"));
}

#[tokio::test]
async fn no_way_of_saving_flashes_an_empty_state() {
    let folders = Folders::new();
    folders.write("web.yaml", WEB);
    let mut objects = folders.watch().await;
    let path = folders.source().join("web.yaml");
    let has_web = |now: &Objects| services(now) == ["web"];
    let labelled = |round: u32| WEB.replace("name: web", &format!("name: web, labels: {{round: r{round}}}"));
    for round in 0..6 {
        let text = labelled(round);
        let pause = Duration::from_millis(60);
        match round % 3 {
            // Truncated first, written in two parts.
            0 => {
                fs::write(&path, "").unwrap();
                tokio::time::sleep(pause).await;
                fs::write(&path, &text[..30]).unwrap();
                tokio::time::sleep(pause).await;
                fs::write(&path, &text).unwrap();
            }
            // The old file moved away, the new one written.
            1 => {
                fs::rename(&path, folders.source().join("web.yaml~")).unwrap();
                tokio::time::sleep(pause).await;
                fs::write(&path, &text).unwrap();
            }
            // Written aside and renamed.
            _ => {
                fs::write(folders.source().join(".web.yaml.swp"), &text).unwrap();
                fs::rename(folders.source().join(".web.yaml.swp"), &path).unwrap();
            }
        }
        let label = format!("r{round}");
        until(&mut objects, has_web, |now| {
            now.services[&service("web")].metadata.labels.as_ref().is_some_and(|all| all["round"] == label)
        })
        .await;
    }
}

#[tokio::test]
async fn a_source_that_vanishes_stays_in_force_and_one_that_comes_again_is_followed() {
    let folders = Folders::new();
    folders.write("web.yaml", WEB);
    let mut objects = folders.watch().await;
    let away = folders.0.path().join("away");
    fs::rename(folders.source(), &away).unwrap();
    let has_web = |now: &Objects| services(now).contains(&"web");
    let now = until(&mut objects, has_web, |now| !now.refused.is_empty()).await;
    assert_eq!(now.refused[0].reason, Reason::NotFound);
    fs::rename(&away, folders.source()).unwrap();
    until(&mut objects, has_web, |now| now.refused.is_empty()).await;
    folders.write("dns.yaml", DNS);
    until(&mut objects, has_web, |now| services(now) == ["dns", "web"]).await;
}

#[tokio::test]
async fn a_source_that_is_not_there_yet_is_waited_for() {
    let folders = Folders::new();
    fs::remove_dir(folders.source()).unwrap();
    assert!(matches!(Directory::read(&folders.source(), &folders.state()), Err(DirectoryError::Missing(_))));
    let watching = tokio::spawn(Directory::watch(folders.source(), folders.state(), None));
    tokio::time::sleep(Duration::from_millis(50)).await;
    fs::create_dir(folders.source()).unwrap();
    folders.write("web.yaml", WEB);
    let mut objects = watching.await.unwrap().unwrap();
    until(&mut objects, anything, |now| services(now) == ["web"]).await;
}

#[tokio::test]
async fn a_state_inside_the_source_is_refused() {
    let folders = Folders::new();
    let link = folders.0.path().join("link");
    std::os::unix::fs::symlink(folders.source(), &link).unwrap();
    for state in [folders.source(), folders.source().join("a/state"), link.join("state")] {
        let error = Directory::watch(folders.source(), state, None).await.unwrap_err();
        assert!(matches!(error, DirectoryError::StateInsideSource { .. }), "{error}");
    }
}

#[test]
fn an_object_given_twice_is_refused_where_it_stands_again() {
    let folders = Folders::new();
    folders.write("a.yaml", WEB);
    folders.write("b.yaml", &format!("# again\n{WEB}"));
    let objects = Directory::read(&folders.source(), &folders.state()).unwrap();
    assert_eq!(objects.refused[0].reason, Reason::DuplicateObject);
    let location = objects.refused[0].location.clone().unwrap();
    assert!(location.file.ends_with("b.yaml"));
    assert_eq!(location.line, 2);
}

#[test]
fn a_status_in_a_manifest_counts_for_nothing() {
    let folders = Folders::new();
    folders.write("a.yaml", &format!("{WEB}status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}]}}}}\n"));
    let objects = Directory::read(&folders.source(), &folders.state()).unwrap();
    assert_eq!(objects.services[&service("web")].status, None);
}

fn virtual_ip(owner: Option<(&str, u64)>) -> VirtualIP {
    let spec = VirtualIPSpec {
        address: "192.0.2.10".to_owned(),
        pool: "web".to_owned(),
        consumers: Vec::new(),
        sharing_key: None,
        group: None,
        mode: AddressMode::ReplyOnly,
        released_at: None,
    };
    let owner = owner.map(|(node, term)| Layer2Owner {
        segment: "198.51.100.0/24".to_owned(),
        interface: "eth0".to_owned(),
        node: node.to_owned(),
        term,
        since: Time(Timestamp::UNIX_EPOCH),
        cause: "silence".to_owned(),
    });
    let mut object = VirtualIP::new("192.0.2.10", spec);
    object.status = owner.map(|owner| VirtualIPStatus { layer2: vec![owner], ..VirtualIPStatus::default() });
    object
}

fn record() -> StateFile {
    StateFile::VirtualIp("192.0.2.10".to_owned())
}

fn speaker(node: &str, heartbeat: Timestamp) -> Speaker {
    let mut object = Speaker::new(node, SpeakerSpec {});
    object.status = Some(SpeakerStatus { heartbeat: Some(Time(heartbeat)), ..SpeakerStatus::default() });
    object
}

fn owners(objects: &Objects) -> Vec<(String, u64)> {
    let virtual_ip = objects.virtual_ips.get("192.0.2.10");
    let status = virtual_ip.and_then(|virtual_ip| virtual_ip.status.as_ref());
    status.iter().flat_map(|status| &status.layer2).map(|owner| (owner.node.clone(), owner.term)).collect()
}

#[tokio::test]
async fn records_and_observations_are_merged_as_they_are_written() {
    let folders = Folders::new();
    let mut objects = folders.watch().await;
    let controller = StateWriter::open(&folders.state(), &Role::Controller).unwrap();
    controller.put(&record(), &[virtual_ip(None)]).unwrap();
    until(&mut objects, anything, |now| now.virtual_ips.contains_key("192.0.2.10")).await;

    let write = |node: &str, term, heartbeat| {
        let state = StateWriter::open(&folders.state(), &Role::Speaker(node.to_owned())).unwrap();
        state.put(&StateFile::Speaker, &[speaker(node, heartbeat)]).unwrap();
        state.put(&StateFile::Owned, &[virtual_ip(Some((node, term)))]).unwrap();
    };
    let now = Timestamp::now();
    write("n1", 4, now);
    until(&mut objects, anything, |now| owners(now) == [("n1".to_owned(), 4)]).await;
    // The newer claim wins, and a dead speaker's does not count however new it was.
    write("n2", 5, now);
    write("n3", 9, now - jiff::SignedDuration::from_secs(40));
    let merged =
        until(&mut objects, anything, |now| now.speakers.len() == 3 && owners(now) == [("n2".to_owned(), 5)]);
    merged.await;

    controller.delete(&record()).unwrap();
    until(&mut objects, anything, |now| now.virtual_ips.is_empty()).await;
}

#[tokio::test]
async fn a_speaker_that_falls_silent_loses_its_claims_without_any_file_changing() {
    let folders = Folders::new();
    StateWriter::open(&folders.state(), &Role::Controller)
        .unwrap()
        .put(&record(), &[virtual_ip(None)])
        .unwrap();
    let state = StateWriter::open(&folders.state(), &Role::Speaker("n1".to_owned())).unwrap();
    let almost_dead = Timestamp::now() - jiff::SignedDuration::from_secs(25);
    state.put(&StateFile::Speaker, &[speaker("n1", almost_dead)]).unwrap();
    state.put(&StateFile::Owned, &[virtual_ip(Some(("n1", 1)))]).unwrap();
    let mut objects = folders.watch().await;
    until(&mut objects, anything, |now| owners(now) == [("n1".to_owned(), 1)]).await;
    until(&mut objects, anything, |now| owners(now).is_empty()).await;
}

#[test]
fn statuses_return_to_their_objects_and_unfinished_files_are_passed_over() {
    let folders = Folders::new();
    folders.write("web.yaml", WEB);
    let mut objects = Directory::read(&folders.source(), &folders.state()).unwrap();
    let web = Arc::make_mut(objects.services.get_mut(&service("web")).unwrap());
    let status = StateFile::Status {
        resource: "services".to_owned(),
        namespace: Some("default".to_owned()),
        name: "web".to_owned(),
    };
    web.status = Some(k8s_openapi::api::core::v1::ServiceStatus::default());
    let controller = StateWriter::open(&folders.state(), &Role::Controller).unwrap();
    controller.put(&status, &[web]).unwrap();
    controller.put(&record(), &[virtual_ip(None)]).unwrap();
    fs::write(folders.state().join("controller/virtualips/.192.0.2.9.yaml.new"), "apiVer").unwrap();
    let objects = Directory::read(&folders.source(), &folders.state()).unwrap();
    assert!(objects.services[&service("web")].status.is_some());
    assert_eq!(objects.refused, []);
    assert_eq!(objects.virtual_ips.len(), 1);
}

impl Folders {
    async fn watch_as_controller(&self) -> watch::Receiver<Arc<Objects>> {
        Directory::watch(self.source(), self.state(), Some(Role::Controller)).await.unwrap()
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.state().join("controller/manifests").join(name)
    }
}

#[tokio::test]
async fn who_starts_beside_a_broken_manifest_goes_on_with_what_it_last_held() {
    use std::os::unix::fs::PermissionsExt;

    let folders = Folders::new();
    folders.write("all.yaml", &format!("{WEB}---\n{DNS}"));
    let first = folders.watch_as_controller().await;
    assert_eq!(services(&first.borrow()), ["dns", "web"]);
    let mode = fs::metadata(folders.kept("all.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a manifest may hold secrets");
    drop(first);

    folders.write("all.yaml", &format!("{WEB}---\nkind: [\n"));
    let again = folders.watch_as_controller().await;
    assert_eq!(services(&again.borrow()), ["dns", "web"]);
    assert!(!again.borrow().refused.is_empty());
    drop(again);

    // What nobody can read does no harm either, and the text of before is kept all the while.
    fs::remove_file(folders.source().join("all.yaml")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folders.source().join("all.yaml")).unwrap();
    let again = folders.watch_as_controller().await;
    assert_eq!(services(&again.borrow()), ["dns", "web"]);
    drop(again);

    // Mended, it holds what it says and no more.
    fs::remove_file(folders.source().join("all.yaml")).unwrap();
    folders.write("all.yaml", DNS);
    let again = folders.watch_as_controller().await;
    assert_eq!(services(&again.borrow()), ["dns"]);
}

#[tokio::test]
async fn what_was_kept_of_a_manifest_goes_with_it() {
    let folders = Folders::new();
    folders.write("web.yaml", WEB);
    folders.write("dns.yaml", DNS);
    let mut objects = folders.watch_as_controller().await;
    fs::remove_file(folders.source().join("web.yaml")).unwrap();
    until(&mut objects, anything, |objects| services(objects) == ["dns"]).await;
    assert!(!folders.kept("web.yaml").exists() && folders.kept("dns.yaml").exists());
    drop(objects);

    fs::remove_file(folders.source().join("dns.yaml")).unwrap();
    folders.write("new.yaml", "kind: [\n");
    let objects = folders.watch_as_controller().await;
    assert!(services(&objects.borrow()).is_empty());
    assert!(!folders.kept("dns.yaml").exists());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_no_reason_to_follow_nothing() {
    let folders = Folders::new();
    // Where the folder should be is a file, so not even root can write there.
    fs::create_dir_all(folders.state().join("controller")).unwrap();
    fs::write(folders.state().join("controller/manifests"), "").unwrap();
    folders.write("web.yaml", WEB);
    let mut objects = folders.watch_as_controller().await;
    assert_eq!(services(&objects.borrow()), ["web"]);
    folders.write("web.yaml", DNS);
    until(&mut objects, anything, |objects| services(objects) == ["dns"]).await;
}

#[tokio::test]
async fn what_operators_ask_for_stands_on_the_objects_and_nothing_else_of_theirs_counts() {
    let folders = Folders::new();
    folders.write("n1.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n");
    folders.write(
        "vip.yaml",
        "apiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {name: 192.0.2.10}\n\
         spec: {address: 192.0.2.10, pool: lan, consumers: []}\n",
    );
    let mut objects = folders.watch().await;
    let annotations = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    let mut node = Node::default();
    node.metadata.name = Some("n1".to_owned());
    node.metadata.annotations = annotations(&[(annotation::DRAIN, "true"), ("ferrolb.io/move", "x")]);
    let mut record = objects.borrow().virtual_ips["192.0.2.10"].as_ref().clone();
    record.metadata.annotations = annotations(&[(annotation::MOVE, "please")]);
    record.spec.pool = "other".to_owned();
    let writer = StateWriter::open(&folders.state(), &Role::Operator).unwrap();
    let record_file = StateFile::VirtualIp("192.0.2.10".to_owned());
    writer.put(&record_file, &[record]).unwrap();
    writer.put(&StateFile::Node("n1".to_owned()), &[&node]).unwrap();
    let asked = |now: &Objects| {
        let drained = now.nodes["n1"].metadata.annotations.clone().unwrap_or_default();
        let moves = now.virtual_ips["192.0.2.10"].metadata.annotations.clone().unwrap_or_default();
        (drained.into_keys().collect::<Vec<_>>(), moves.into_values().collect::<Vec<_>>())
    };
    let pool_stays = |now: &Objects| now.virtual_ips["192.0.2.10"].spec.pool == "lan";
    let both = (vec![annotation::DRAIN.to_owned()], vec!["please".to_owned()]);
    until(&mut objects, pool_stays, |now| asked(now) == both).await;
    writer.delete(&StateFile::Node("n1".to_owned())).unwrap();
    writer.delete(&record_file).unwrap();
    until(&mut objects, pool_stays, |now| asked(now) == Default::default()).await;
}
