// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A cluster with nothing in it but FerroLB's kinds, and what tests do in it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use ferrolb_config::api::{AddressPool, VirtualIP, crds};
use ferrolb_config::snapshot::Scope;
use ferrolb_control_plane::{Account, ControlPlane, Options, Requests};
use ferrolb_controller::{ClusterOptions, in_cluster};
use ferrolb_source::kube::KubeOptions;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked.
const STEP: Duration = Duration::from_millis(20);

/// A cluster, for one test at a time.
pub struct Stage {
    pub client: Client,
    pub kubeconfig: PathBuf,
    plane: Plane,
}

enum Plane {
    /// Shared with the other tests of this program, one after the other.
    Shared(&'static ControlPlane, #[expect(dead_code, reason = "held")] MutexGuard<'static, ()>),
    /// Of this test alone, which may stop it.
    Own(Box<ControlPlane>),
}

/// The shared cluster, emptied.
pub async fn stage() -> Stage {
    static TURN: OnceLock<Mutex<()>> = OnceLock::new();
    let turn = TURN.get_or_init(Mutex::default).lock().await;
    let plane = tokio::task::spawn_blocking(|| ferrolb_control_plane::shared().unwrap()).await.unwrap();
    let stage = Stage::on(Plane::Shared(plane, turn)).await;
    stage.empty().await;
    stage
}

/// A cluster of one's own.
pub async fn own_stage() -> Stage {
    let options = Options { node_ports: 20_000..=60_000, ..Options::default() };
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(options).unwrap()).await.unwrap();
    Stage::on(Plane::Own(Box::new(plane))).await
}

impl Stage {
    async fn on(plane: Plane) -> Self {
        let kubeconfig = plane.control().kubeconfig(&Account::admin()).unwrap();
        let client = client(&kubeconfig).await;
        let stage = Self { client, kubeconfig, plane };
        stage.install().await;
        stage
    }

    pub fn plane(&self) -> &ControlPlane {
        self.plane.control()
    }

    /// The control plane, to be stopped and started.
    pub fn own_plane(&mut self) -> &mut ControlPlane {
        match &mut self.plane {
            Plane::Own(plane) => plane,
            Plane::Shared(..) => panic!("others use it"),
        }
    }

    /// Defines FerroLB's kinds.
    pub async fn install(&self) {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for definition in crds() {
            let apply = PatchParams::apply("test").force();
            definitions.patch(&definition.name_any(), &apply, &Patch::Apply(&definition)).await.unwrap();
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ferrolb-system"}});
        namespaces.patch("ferrolb-system", &PatchParams::apply("test"), &Patch::Apply(own)).await.unwrap();
        // A kind is served a moment after it was defined.
        self.until("the kinds are served", async || {
            self.records_api().list(&ListParams::default()).await.is_ok()
        })
        .await;
        self.until("pools are served", async || self.pools().list(&ListParams::default()).await.is_ok())
            .await;
    }

    /// Removes what other tests left.
    async fn empty(&self) {
        self.services()
            .delete_collection(&DeleteParams::default(), &ListParams::default().labels("test"))
            .await
            .unwrap();
        self.pools().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
        self.lose_records().await;
        self.forget_lease().await;
    }

    /// Removes all records, whoever guards them.
    pub async fn lose_records(&self) {
        for record in self.records_api().list(&ListParams::default()).await.unwrap() {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            self.records_api().patch(&record.name_any(), &PatchParams::default(), &patch).await.unwrap();
        }
        self.records_api().delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    }

    /// Takes the Lease from whoever has it, dead or alive.
    pub async fn forget_lease(&self) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "ferrolb-system");
        leases.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    }

    /// Fails if a Service shows an address that is not recorded for it.
    pub async fn check_shown_is_recorded(&self) {
        // Read in this order: a Service shows an address only after it was recorded.
        let services = self.services().list(&ListParams::default()).await.unwrap();
        let records = self.records().await;
        for service in services {
            let name = service.name_any();
            for address in shown(&service).into_iter().chain(listed(&service)) {
                let is_recorded = records.iter().any(|(record, of)| *record == address && of.contains(&name));
                assert!(is_recorded, "{name} shows {address}; recorded: {records:?}");
            }
        }
    }

    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub fn pools(&self) -> Api<AddressPool> {
        Api::all(self.client.clone())
    }

    pub fn records_api(&self) -> Api<VirtualIP> {
        Api::all(self.client.clone())
    }

    pub async fn pool(&self, name: &str, ranges: &[&str]) {
        self.pool_of(name, json!({"addresses": ranges})).await;
    }

    /// Creates or replaces a pool.
    pub async fn pool_of(&self, name: &str, spec: Value) {
        let pool = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "AddressPool",
            "metadata": {"name": name}, "spec": spec,
        });
        let apply = PatchParams::apply("test").force();
        self.pools().patch(name, &apply, &Patch::Apply(pool)).await.unwrap();
    }

    /// Creates a Service of type LoadBalancer, with these annotations.
    pub async fn service(&self, name: &str, annotations: Value) {
        self.service_on(name, 80, annotations).await;
    }

    /// The same with another port.
    pub async fn service_on(&self, name: &str, port: u16, annotations: Value) {
        let spec = json!({"type": "LoadBalancer", "ports": [{"port": port}], "selector": {"app": name}});
        self.create(name, annotations, spec).await;
    }

    /// Creates a Service of type ClusterIP that asks for external addresses from `pool`.
    pub async fn service_with_external_ips(&self, name: &str, pool: &str) {
        let spec = json!({"type": "ClusterIP", "ports": [{"port": 80}], "selector": {"app": name}});
        self.create(name, json!({"ferrolb.io/external-ips-from": pool}), spec).await;
    }

    async fn create(&self, name: &str, annotations: Value, spec: Value) {
        let metadata = json!({"name": name, "labels": {"test": ""}, "annotations": annotations});
        let service: Service = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        self.services().create(&PostParams::default(), &service).await.unwrap();
    }

    /// Merges a change into a Service.
    pub async fn edit(&self, name: &str, patch: Value) {
        self.services().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.services().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The addresses that a Service shows.
    pub async fn addresses(&self, name: &str) -> Vec<String> {
        self.services().get_opt(name).await.unwrap().map(|service| shown(&service)).unwrap_or_default()
    }

    /// The external addresses that a Service lists.
    pub async fn external_ips(&self, name: &str) -> Vec<String> {
        listed(&self.services().get(name).await.unwrap())
    }

    /// Waits until a Service shows just these addresses.
    pub async fn shows(&self, name: &str, addresses: &[&str]) {
        self.until(&format!("{name} shows {addresses:?}"), async || self.addresses(name).await == addresses)
            .await;
    }

    /// The records by name, with the names of the Services that they are for.
    pub async fn records(&self) -> Vec<(String, Vec<String>)> {
        let consumers =
            |record: &VirtualIP| record.spec.consumers.iter().map(|consumer| consumer.name.clone()).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A kind that was just defined is served now and not then for a moment.
            match self.records_api().list(&ListParams::default()).await {
                Ok(records) => {
                    return records.iter().map(|record| (record.name_any(), consumers(record))).collect();
                }
                Err(error) => assert!(Instant::now() < deadline, "records cannot be listed: {error}"),
            }
            sleep(STEP).await;
        }
    }

    /// Waits until there are just these records.
    pub async fn recorded(&self, expected: &[(&str, &[&str])]) {
        let expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(name, of)| ((*name).to_owned(), of.iter().map(|&name| name.to_owned()).collect()))
            .collect();
        self.until(&format!("the records are {expected:?}"), async || self.records().await == expected).await;
    }

    /// Waits until `holds`.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}; records: {:?}",
                self.records().await
            );
            sleep(STEP).await;
        }
    }

    /// Requests counted at the API server.
    pub async fn requests(&self) -> Requests {
        // It spawns a process, and waits for it.
        tokio::task::block_in_place(|| self.plane().requests().unwrap())
    }

    /// Starts a controller in this process.
    pub fn controller(&self, identity: &str) -> Controller {
        Controller::start(&self.kubeconfig, identity)
    }

    /// Starts a controller in this process that reads MetalLB's objects as well.
    pub fn controller_that_reads_metallb(&self, identity: &str) -> Controller {
        let metallb_namespace = Some("metallb-system".to_owned());
        let kubeconfig = Some(self.kubeconfig.clone());
        let kube = KubeOptions { kubeconfig, metallb_namespace, ..KubeOptions::default() };
        Controller::start_with(kube, identity)
    }
}

impl Plane {
    fn control(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane, _) => plane,
            Self::Own(plane) => plane,
        }
    }
}

/// A controller in this process.
pub struct Controller {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Controller {
    pub fn start(kubeconfig: &std::path::Path, identity: &str) -> Self {
        let kube = KubeOptions { kubeconfig: Some(kubeconfig.to_owned()), ..KubeOptions::default() };
        Self::start_with(kube, identity)
    }

    fn start_with(kube: KubeOptions, identity: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let options = ClusterOptions {
            kube,
            identity: identity.to_owned(),
            scope: Scope::default(),
            metrics_address: None,
        };
        Self { stop, task: tokio::spawn(in_cluster(options, stopped)) }
    }

    /// Ends it at once: no further request is sent.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled(), "it had ended by itself");
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }
}

/// A client with the rights of a kubeconfig.
pub async fn client(kubeconfig: &std::path::Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The addresses that a Service shows.
pub fn shown(service: &Service) -> Vec<String> {
    let status = service.status.as_ref();
    let ingress = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.clone()).collect()
}

/// The external addresses that a Service lists.
fn listed(service: &Service) -> Vec<String> {
    service.spec.as_ref().and_then(|spec| spec.external_ips.clone()).unwrap_or_default()
}
