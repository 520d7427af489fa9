// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A control plane with our kinds and one Service, and speakers on the nodes.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use ferrolb_config::api::{Layer2Owner, Speaker as SpeakerObject, VirtualIP, crds};
use ferrolb_control_plane::{Account, Cluster, ProxyMode};
use ferrolb_lab::Node;
use ferrolb_lab::addresses::{POD_TCP, pod_v4};
use ferrolb_source::kube::KubeOptions;
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::{Options, Source};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tempfile::TempDir;
use tokio::sync::watch;

/// How long a loaded machine may take for what takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a program's first thread has.
const STACK: usize = 8 * 1024 * 1024;
/// The address that the Service has.
pub const VIP: &str = "198.51.100.100";
/// The segment that the lab's nodes are on.
pub const SEGMENT: &str = "198.51.100.0/24";

const OBJECTS: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [198.51.100.100-198.51.100.110]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: lan}, spec: {addressPools: [lan]}}
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
ports: [{name: '', port: PORT, protocol: TCP}]
endpoints: [{addresses: [POD], nodeName: n1, conditions: {ready: true}}]
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100}
spec:
  address: 198.51.100.100
  pool: lan
  consumers: [{kind: Service, namespace: default, name: web, ports: [{protocol: TCP, port: 80}]}]
";

/// Everything but the speakers.
pub struct Stage {
    pub cluster: Cluster,
    state: TempDir,
}

impl Stage {
    pub fn build() -> Result<Self> {
        let cluster = Cluster::build(2, ProxyMode::NFTables)?;
        let kubectl = cluster.plane().kubectl();
        let definitions: Vec<String> = crds().iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        kubectl.apply(&definitions.join("\n---\n"))?;
        kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        let objects = OBJECTS.replace("PORT", &POD_TCP.to_string()).replace("POD", &pod_v4(1).to_string());
        kubectl.apply(&objects)?;
        let status = format!("{{\"status\":{{\"loadBalancer\":{{\"ingress\":[{{\"ip\":\"{VIP}\"}}]}}}}}}");
        kubectl.run(&["patch", "service", "web", "--subresource=status", "--type=merge", "-p", &status])?;
        Ok(Self { cluster, state: tempfile::tempdir()? })
    }

    pub fn node(&self, index: usize) -> Result<&Node> {
        self.cluster.lab().nodes.get(index).context("the lab has two nodes")
    }

    /// Starts the speaker of a node.
    pub fn start(&self, node: &Node) -> Result<Running> {
        let kubeconfig = self.cluster.plane().kubeconfig(&Account::admin())?;
        Running::start(node, kubeconfig, &self.state.path().join(&node.name))
    }

    /// The owners that the cluster shows.
    pub fn owners(&self) -> Result<Vec<Layer2Owner>> {
        let shown: VirtualIP = self.cluster.plane().kubectl().get(&["virtualip", VIP])?;
        Ok(shown.status.unwrap_or_default().layer2)
    }

    /// Waits until another node has been answered by the owner, and the cluster shows that.
    pub fn witnessed(&self) -> Result<Condition> {
        until("what another node saw", || {
            let shown: VirtualIP = self.cluster.plane().kubectl().get(&["virtualip", VIP])?;
            let conditions = shown.status.unwrap_or_default().conditions;
            Ok(conditions.into_iter().find(|condition| condition.type_ == "Reachable"))
        })
    }

    /// Waits until the cluster shows the address with one owner, other than `not`.
    pub fn owner_other_than(&self, not: &str) -> Result<Layer2Owner> {
        until("an owner", || {
            let owners = self.owners()?;
            ensure!(owners.len() <= 1, "one segment has one owner: {owners:?}");
            Ok(owners.into_iter().find(|owner| owner.node != not))
        })
    }

    /// The Speaker object of a node, if there is one.
    pub fn speaker(&self, node: &str) -> Result<Option<SpeakerObject>> {
        Ok(self.cluster.plane().kubectl().get(&["speaker", node, "--ignore-not-found"]).ok())
    }
}

/// Looks again and again until there is something to see.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        ensure!(Instant::now() < end, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A speaker at work.
pub struct Running {
    shutdown: watch::Sender<bool>,
    thread: JoinHandle<Result<()>>,
}

impl Running {
    fn start(node: &Node, kubeconfig: PathBuf, state: &Path) -> Result<Self> {
        std::fs::create_dir_all(state)?;
        let options = Options {
            node_name: node.name.clone(),
            cluster: "test".to_owned(),
            hello_key_file: None,
            profile: ferrolb_speaker::Profile::Default,
            announce_rate: Options::ANNOUNCE_RATE,
            source: Source::Cluster(KubeOptions {
                kubeconfig: Some(kubeconfig),
                state: Some(state.to_owned()),
                ..KubeOptions::default()
            }),
            mode: Mode::KubeProxy,
            healthz: Some("127.0.0.1:10256/healthz".parse()?),
            metrics_address: None,
            rebalance: Default::default(),
            bgp_listen: Vec::new(),
            linger: Duration::from_secs(5),
        };
        let (shutdown, wish) = watch::channel(false);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(ferrolb_speaker::run(options, wish))
        };
        // The lab's threads are small. One that such a thread starts is in the same namespace.
        let thread = node.namespace.start("speaker", move || {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn(run)?;
            thread.join().map_err(|_| anyhow!("the speaker panicked"))?
        })?;
        Ok(Self { shutdown, thread })
    }

    /// Ends it in good order.
    pub fn stop(self) -> Result<()> {
        self.shutdown.send_replace(true);
        self.thread.join().map_err(|_| anyhow!("the speaker panicked"))?
    }
}
