// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whole speakers, each in a namespace of its own, from a folder of manifests to frames on the wire.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferrolb_config::api::{Speaker as SpeakerObject, VirtualIP};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::datapath::Mode;
use crate::namespace::Namespace;
use crate::profile::Profile;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

const MANIFESTS: &str = "
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.100-192.0.2.110]}
---
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
spec: {addressPools: [lan]}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: [{addresses: [192.0.2.3], conditions: {ready: true}}]
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 192.0.2.100}
spec:
  address: 192.0.2.100
  pool: lan
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 203.0.113.7}
spec:
  address: 203.0.113.7
  pool: lan
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
";

struct Folders {
    source: TempDir,
    state: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self {
            source: tempfile::tempdir().expect("room on the disk"),
            state: tempfile::tempdir().expect("room on the disk"),
        };
        fs::write(folders.source.path().join("all.yaml"), MANIFESTS).expect("room on the disk");
        folders
    }

    fn read<T: serde::de::DeserializeOwned>(&self, node: &str, file: &str) -> Option<T> {
        let text = fs::read_to_string(self.state.path().join(format!("speaker-{node}")).join(file)).ok()?;
        serde_saphyr::from_str(&text).ok()
    }
}

/// A speaker on folders, which serves nobody.
pub(super) fn options(node: &str, source: &Path, state: &Path) -> Options {
    Options {
        node_name: node.to_owned(),
        cluster: "test".to_owned(),
        hello_key_file: None,
        profile: Profile::Default,
        announce_rate: Options::ANNOUNCE_RATE,
        source: Source::Directory { source: source.to_owned(), state: state.to_owned() },
        mode: Mode::NFTables,
        healthz: None,
        metrics_address: None,
        rebalance: Default::default(),
        bgp_listen: Vec::new(),
        linger: Duration::from_secs(5),
    }
}

/// A whole speaker in a namespace.
struct Running {
    shutdown: watch::Sender<bool>,
    result: mpsc::Receiver<anyhow::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(namespace: &Namespace, node: &str, folders: &Folders) -> Self {
        let options = options(node, folders.source.path(), folders.state.path());
        let (shutdown, wish) = watch::channel(false);
        let (tell, result) = mpsc::channel();
        let thread = namespace.spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            // The receiver is gone when the test has failed already.
            let _told = tell.send(runtime.block_on(run(options, wish)));
        });
        Self { shutdown, result, thread: Some(thread) }
    }

    fn stop(self) -> anyhow::Result<()> {
        self.shutdown.send_replace(true);
        self.end()
    }

    /// Waits until it ends by itself.
    fn end(mut self) -> anyhow::Result<()> {
        let result = self.result.recv_timeout(PATIENCE).expect("the speaker ends");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
        result
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "never seen: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The node that its speaker says carries the address, with the claim's term.
fn owner(folders: &Folders) -> Option<(String, u64, String)> {
    ["n1", "n2"].into_iter().find_map(|node| {
        let vip: VirtualIP = folders.read(node, "virtualips.yaml")?;
        let owner = vip.status?.layer2.into_iter().next()?;
        Some((owner.node, owner.term, owner.cause))
    })
}

#[test]
fn two_speakers_carry_an_address_from_manifests_and_hand_it_over_when_one_is_stopped() {
    let (_switch, [one, two, client]) = Namespace::switch();
    let folders = Folders::new();
    let first = Running::start(&one, "n1", &folders);
    let second = Running::start(&two, "n2", &folders);
    let (before, term, _) = until("an owner", || owner(&folders));
    let answered = |namespace: &Namespace| {
        namespace.run(|| {
            let output =
                std::process::Command::new("ip").args(["neighbour", "flush", "dev", "wire0"]).status();
            assert!(output.expect("iproute2").success());
            let socket = std::net::UdpSocket::bind("192.0.2.3:0").expect("own address");
            socket.send_to(b"", "192.0.2.100:9").expect("a route");
            thread::sleep(Duration::from_millis(200));
            let table = std::process::Command::new("ip").args(["neighbour", "show", "192.0.2.100"]).output();
            String::from_utf8(table.expect("iproute2").stdout).expect("text")
        })
    };
    let mac = if before == "n1" { "02:00:00:00:00:01" } else { "02:00:00:00:00:02" };
    assert!(answered(&client).contains(mac), "{}", answered(&client));
    let (leaver, _stayer) = if before == "n1" { (first, second) } else { (second, first) };
    leaver.stop().expect("an orderly end");
    let (after, next, cause) = until("the heir", || owner(&folders).filter(|(node, ..)| *node != before));
    assert_eq!(next, term + 1);
    assert_eq!(cause, format!("handed over with {before}"));
    assert!(!answered(&client).contains(mac));
    let left: SpeakerObject = folders.read(&before, "speaker.yaml").expect("its last words");
    let ready = left.status.expect("a status").conditions.into_iter().find(|it| it.type_ == "Ready");
    assert_eq!(ready.expect("always there").reason, "Stopping");
    assert_ne!(after, before);
}

#[test]
fn what_a_node_cannot_carry_stands_in_its_status_with_the_reason() {
    let (_switch, [one]) = Namespace::switch();
    let folders = Folders::new();
    let _running = Running::start(&one, "n1", &folders);
    let why = until("the refusal", || {
        let speaker: SpeakerObject = folders.read("n1", "speaker.yaml")?;
        let status = speaker.status?;
        assert_eq!(status.interfaces.first().map(|it| it.name.as_str()), Some("wire0"));
        status.refusals.get("203.0.113.7").filter(|why| why.starts_with("NoMatchingInterface")).cloned()
    });
    assert!(why.contains("203.0.113.7"), "{why}");
}

#[test]
fn a_second_speaker_of_the_same_node_is_refused() {
    let namespace = Namespace::new();
    let folders = Folders::new();
    let _first = Running::start(&namespace, "n1", &folders);
    until("the first", || folders.read::<SpeakerObject>("n1", "speaker.yaml"));
    let error = Running::start(&namespace, "n1", &folders).end().expect_err("the folder is in use");
    assert!(format!("{error:#}").contains("in use"), "{error:#}");
}

#[test]
fn a_missing_source_does_not_keep_the_speaker_from_ending() {
    let namespace = Namespace::new();
    let folders = Folders::new();
    fs::remove_dir_all(folders.source.path()).expect("it was there");
    let running = Running::start(&namespace, "n1", &folders);
    thread::sleep(Duration::from_millis(200));
    running.stop().expect("nothing was begun");
}
