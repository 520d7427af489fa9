// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A cluster to be filled with Services, and how to see them get their addresses.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_control_plane::{Account, Installation, Options, Requests, install};
use ferrolb_lab::Process;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

use super::metallb::MetalLB;

/// Every node has a speaker.
const NODES: u8 = 3;
/// How the controller is called.
const CONTROLLER: &str = "controller";
/// How many clients create Services at once.
const CREATORS: usize = 4;
/// A Service more than this behind is a Service without an address.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a controller may take to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// What Services get their addresses from.
pub(super) const ADDRESSES: &str = "10.100.0.0/16";

/// Whose speakers run, and whose controller will.
#[derive(Clone, Copy)]
pub(super) enum Side<'a> {
    FerroLB,
    /// From this folder.
    MetalLB(&'a Path),
}

/// An API server, three speakers, and a pool of 65,536 addresses. No kube-proxy, no controller yet.
pub(super) struct Cluster {
    /// Who is there instead of FerroLB. Before the namespaces that its processes live in, as fields drop in this order.
    metallb: Option<MetalLB>,
    pub(super) installation: Installation,
    /// An administrator.
    pub(super) client: Client,
    /// With the rights of the controller.
    pub(super) controllers: Client,
}

impl Cluster {
    /// Builds one and does `work` where its API server can be reached.
    pub(super) fn with<T: Send>(
        binary: &Path,
        side: Side<'_>,
        work: impl AsyncFnOnce(&mut Self) -> Result<T> + Send,
    ) -> Result<T> {
        // A Service of type LoadBalancer takes a node port, and the default range holds 2,768.
        let options = Options { node_ports: 20_000..=60_000, ..Options::default() };
        let cluster = ferrolb_control_plane::Cluster::without_proxies(NODES, options)?;
        let mut installation = Installation::prepare(cluster, binary)?;
        let metallb = match side {
            Side::FerroLB => {
                install(installation.kubectl())?;
                let pool = json!({
                    "apiVersion": "ferrolb.io/v1beta1", "kind": "AddressPool",
                    "metadata": {"name": "all"}, "spec": {"addresses": [ADDRESSES]},
                });
                installation.kubectl().apply(&pool.to_string())?;
                installation.start_speakers()?;
                None
            }
            Side::MetalLB(folder) => Some(MetalLB::install(installation.cluster(), folder)?),
        };
        let plane = installation.cluster().plane();
        let accounts = [Account::admin(), Account::controller()];
        let [admin, controller] = accounts.map(|account| plane.kubeconfig(&account));
        let (admin, controller) = (admin?, controller?);
        let namespace = plane.namespace().context("the API server has a namespace")?.clone();
        // The threads of the runtime are in the namespace, since the thread that starts them is.
        namespace.run(move || {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
                let (client, controllers) = (client(admin).await?, client(controller).await?);
                work(&mut Self { metallb, installation, client, controllers }).await
            })
        })
    }

    /// Starts a controller.
    pub(super) fn start_controller(&mut self) -> Result<()> {
        block_in_place(|| match &mut self.metallb {
            Some(metallb) => metallb.start_controller(self.installation.cluster()),
            None => self.installation.start_controller(CONTROLLER),
        })
    }

    fn controller(&mut self) -> Result<&mut Process> {
        match &mut self.metallb {
            Some(metallb) => metallb.controller(),
            None => self.installation.controller(CONTROLLER),
        }
    }

    /// Ends it.
    pub(super) fn stop_controller(&mut self) -> Result<()> {
        block_in_place(|| self.controller()?.terminate(FAREWELL)).map(drop)
    }

    /// What it has used of a processor, and what it has of the memory, in MiB.
    pub(super) fn controllers_use(&mut self) -> Result<Use> {
        Use::of(self.controller()?)
    }

    /// The same of the speakers: the most that one has.
    pub(super) fn speakers_use(&mut self) -> Result<Use> {
        let speakers: Vec<&mut Process> = match &mut self.metallb {
            Some(metallb) => metallb.speakers().collect(),
            None => self.installation.speakers().collect(),
        };
        speakers.into_iter().try_fold(Use::default(), |most, speaker| Ok(most.max(Use::of(speaker)?)))
    }

    /// Requests counted at the API server.
    pub(super) fn requests(&self) -> Result<Requests> {
        block_in_place(|| self.installation.cluster().plane().requests())
    }

    pub(super) fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Creates `count` Services with several clients at once, tells each to `created`, and returns when the first one
    /// was begun.
    pub(super) async fn create(
        &self,
        count: usize,
        created: Option<mpsc::UnboundedSender<Service>>,
    ) -> Result<Instant> {
        let start = Instant::now();
        let mut creators = JoinSet::new();
        for creator in 0..CREATORS {
            let (services, created) = (self.services(), created.clone());
            creators.spawn(async move {
                for number in (creator..count).step_by(CREATORS) {
                    let service = services.create(&PostParams::default(), &service(&name(number))?).await?;
                    if let Some(created) = &created {
                        created.send(service).ok().context("nobody waits for Services")?;
                    }
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = creators.join_next().await {
            ended??;
        }
        Ok(start)
    }

    /// Creates one Service and returns how long it takes until it has an address.
    pub(super) async fn one_more(&self, name: &str) -> Result<Duration> {
        let mut seen = self.watch().await?;
        let (start, _) = self.create_one(name).await?;
        let (_, at) = seen.next_of(|seen| seen == name).await?;
        Ok(at.duration_since(start))
    }

    /// Creates one Service; with the time at which that was begun.
    pub(super) async fn create_one(&self, name: &str) -> Result<(Instant, Service)> {
        let start = Instant::now();
        Ok((start, self.services().create(&PostParams::default(), &service(name)?).await?))
    }

    /// Sees Services get their addresses, from now on.
    pub(super) async fn watch(&self) -> Result<Sightings> {
        Sightings::of(self.services()).await
    }
}

/// Services seen with an address, with the time.
pub(crate) struct Sightings {
    receiver: mpsc::UnboundedReceiver<(String, Instant)>,
    watch: JoinSet<Result<()>>,
}

impl Sightings {
    /// From now on.
    pub(crate) async fn of(services: Api<Service>) -> Result<Self> {
        let list = services.list_metadata(&kube::api::ListParams::default().limit(1)).await?;
        let mut version = list.metadata.resource_version.context("a list without a resourceVersion")?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            loop {
                let mut events = services.watch(&WatchParams::default(), &version).await?.boxed();
                while let Some(event) = events.try_next().await? {
                    let (WatchEvent::Added(service) | WatchEvent::Modified(service)) = event else {
                        continue;
                    };
                    version = service.metadata.resource_version.clone().unwrap_or_default();
                    if has_address(&service) {
                        let name = service.metadata.name.unwrap_or_default();
                        sender.send((name, Instant::now())).ok().context("nobody looks any more")?;
                    }
                }
            }
        });
        Ok(Self { receiver, watch })
    }

    /// Waits until `count` different Services have addresses; when the last of them was seen.
    pub(super) async fn all(&mut self, count: usize) -> Result<Instant> {
        let mut names = std::collections::HashSet::new();
        let mut last = Instant::now();
        while names.len() < count {
            let (name, at) = self
                .next_of(|_| true)
                .await
                .with_context(|| format!("{} of {count} Services have an address", names.len()))?;
            names.insert(name);
            last = at;
        }
        Ok(last)
    }

    /// Waits for the next one whose name is wanted.
    pub(crate) async fn next_of(&mut self, is_wanted: impl Fn(&str) -> bool) -> Result<(String, Instant)> {
        loop {
            let seen = tokio::select! {
                seen = timeout(PATIENCE, self.receiver.recv()) => seen.context("waited too long")?,
                Some(ended) = self.watch.join_next() => {
                    ended??;
                    None
                }
            };
            let (name, at) = seen.context("the watch ended")?;
            if is_wanted(&name) {
                return Ok((name, at));
            }
        }
    }
}

/// What a process has used of a processor since it began, and what it has of the memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    pub(super) processor: Duration,
    pub(super) mebibytes: f64,
}

impl Use {
    fn of(process: &mut Process) -> Result<Self> {
        let mebibytes = process.resident_bytes()? as f64 / f64::from(1 << 20);
        Ok(Self { processor: process.processor_time()?, mebibytes })
    }

    fn max(self, other: Self) -> Self {
        let processor = self.processor.max(other.processor);
        Self { processor, mebibytes: self.mebibytes.max(other.mebibytes) }
    }
}

/// A client with the rights of `kubeconfig`.
pub(crate) async fn client(kubeconfig: PathBuf) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(&kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn name(number: usize) -> String {
    format!("s{number:05}")
}

fn service(name: &str) -> Result<Service> {
    let service = json!({
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": name}},
    });
    Ok(serde_json::from_value(service)?)
}

fn has_address(service: &Service) -> bool {
    let status = service.status.as_ref();
    let ingress = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.is_some_and(|ingress| !ingress.is_empty())
}

/// Waits until the API server has seen no write but those of leases for a second.
pub(super) async fn quiet(cluster: &Cluster) -> Result<()> {
    // Events may come long after what they tell of.
    for _ in 0..240 {
        let before = cluster.requests()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if cluster.requests()?.since(&before).writes() == 0 {
            return Ok(());
        }
    }
    ensure!(false, "there is no end of writing");
    Ok(())
}
