// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A whole speaker, from a folder of manifests to the table of a router.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::router::{Daemon, Neighbour, Router, Wire};
use ferrolb_lab::{Namespace, rights};
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::{Options, Profile, Rebalance, Source, run};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::stage::SOON;

pub const GROUND: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [198.51.100.0/24]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: lan}, spec: {addressPools: [lan], communities: ['65001:7']}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web, labels: {kubernetes.io/service-name: web}},
 addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [192.0.2.1], nodeName: n1, conditions: {ready: true}}]}
";
pub const PEER: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: router},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s}}
";
pub const ADDRESS: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 198.51.100.1},
 spec: {address: 198.51.100.1, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}}
";
pub const ROUTE: &str = "198.51.100.1/32";
/// Where metrics are served, in the namespace of the node.
pub const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7473);

/// How a speaker is started.
pub struct Manner<'a> {
    /// The node that it speaks for.
    pub node: &'a str,
    /// Where routers may connect to it.
    pub bgp_listen: Vec<SocketAddr>,
    /// How long the node serves on when it has ended.
    pub linger: Duration,
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Self { node: "n1", bgp_listen: Vec::new(), linger: Duration::from_secs(1) }
    }
}

/// A speaker, of the node `n1` if nothing else is said.
pub struct Whole {
    source: TempDir,
    state: TempDir,
    shutdown: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Whole {
    pub fn start(node: &Namespace) -> Result<Self> {
        Self::start_with(node, &[])
    }

    /// Starts one that finds these files.
    pub fn start_with(node: &Namespace, files: &[(&str, &str)]) -> Result<Self> {
        Self::start_as(node, Manner::default(), files)
    }

    /// The same as another node, or with other settings.
    pub fn start_as(namespace: &Namespace, manner: Manner<'_>, files: &[(&str, &str)]) -> Result<Self> {
        let (source, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
        for (name, text) in [("ground.yaml", GROUND)].iter().chain(files) {
            fs::write(source.path().join(name), text)?;
        }
        let options = Options {
            node_name: manner.node.to_owned(),
            cluster: "test".to_owned(),
            hello_key_file: None,
            profile: Profile::Default,
            announce_rate: Options::ANNOUNCE_RATE,
            source: Source::Directory { source: source.path().to_owned(), state: state.path().to_owned() },
            mode: Mode::NFTables,
            healthz: None,
            metrics_address: Some(METRICS),
            rebalance: Rebalance::Off,
            bgp_listen: manner.bgp_listen,
            linger: manner.linger,
        };
        let (shutdown, told) = watch::channel(false);
        let (end, ended) = mpsc::channel();
        let thread = namespace.start("speaker", move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let result = runtime.block_on(run(options, told));
            // Nobody waits any more if the test has failed.
            let _waited = end.send(());
            result
        })?;
        Ok(Self { source, state, shutdown, ended, thread: Some(thread) })
    }

    /// Its folders of manifests and of what it observes.
    pub fn folders(&self) -> (&Path, &Path) {
        (self.source.path(), self.state.path())
    }

    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.source.path().join(file), text)?)
    }

    pub fn remove(&self, file: &str) -> Result<()> {
        Ok(fs::remove_file(self.source.path().join(file))?)
    }

    /// Waits until it tells of its routers what `expected` wants to read.
    pub fn tells(&self, what: &str, expected: impl Fn(&str) -> bool) -> Result<String> {
        let (begun, file) = (Instant::now(), self.state.path().join("speaker-n1/speaker.yaml"));
        loop {
            let told = fs::read_to_string(&file).unwrap_or_default();
            if expected(&told) {
                return Ok(told);
            }
            ensure!(begun.elapsed() < SOON, "it does not tell {what}, but {told}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to end, and does not wait.
    pub fn ask_to_stop(&self) {
        self.shutdown.send_replace(true);
    }

    pub fn stop(&mut self) -> Result<()> {
        self.ask_to_stop();
        self.ended.recv_timeout(SOON).context("the speaker does not end")?;
        let thread = self.thread.take().context("it was stopped before")?;
        thread.join().map_err(|_| anyhow::anyhow!("the speaker panicked"))?
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.shutdown.send_replace(true);
    }
}

/// Waits until the router has [`ROUTE`], or has it no more.
pub fn shows(router: &dyn Router, there: bool) -> Result<()> {
    has(router, ROUTE, there)
}

/// The same of any route.
pub fn has(router: &dyn Router, route: &str, there: bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let table = router.routes();
        if table.as_ref().is_ok_and(|table| table.contains_key(route) == there) {
            return Ok(());
        }
        ensure!(begun.elapsed() < SOON, "{route} is there: {}, {table:?}\n{}", !there, router.story());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_folder_says_is_what_a_router_knows() {
    rights::within(|| {
        let wire = Wire::build()?;
        let router = Daemon::Bird.start(&wire, &Neighbour::default())?;
        let mut speaker = Whole::start(&wire.node)?;
        speaker.write("address.yaml", ADDRESS)?;
        speaker.write("peer.yaml", PEER)?;
        shows(&*router, true)?;
        let table = router.routes()?;
        let route = table.get(ROUTE).context("the route")?;
        ensure!(route.communities == ["65001:7".to_owned()].into(), "{route:?}");

        speaker.remove("address.yaml")?;
        shows(&*router, false)?;
        ensure!(router.story().contains("Established"), "the session goes on: {}", router.story());

        speaker.write("address.yaml", ADDRESS)?;
        shows(&*router, true)?;
        speaker.remove("peer.yaml")?;
        shows(&*router, false)?;

        speaker.write("peer.yaml", PEER)?;
        shows(&*router, true)?;
        speaker.stop()?;
        shows(&*router, false)?;
        let story = router.story();
        ensure!(story.contains("Administrative shutdown"), "the router is told why: {story}");
        Ok(())
    });
}
