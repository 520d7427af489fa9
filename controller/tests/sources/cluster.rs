// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A real API server, shared by the scenarios one after the other, and controllers for it.

use std::path::PathBuf;
use std::sync::OnceLock;

use ferrolb_config::api::{AddressPool, VirtualIP};
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, ServiceName};
use ferrolb_control_plane::{Account, install, shared};
use ferrolb_controller::{ClusterOptions, in_cluster};
use ferrolb_source::kube::{Cluster as Source, Interest, KubeOptions};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;

use crate::running::Running;

/// The cluster, for one scenario at a time.
pub struct Cluster {
    client: Client,
    /// With the rights that are installed for a controller, as a policy lets nobody else change records.
    kubeconfig: PathBuf,
    source: Source,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    pub async fn open() -> Self {
        static TURN: OnceLock<Mutex<()>> = OnceLock::new();
        static INSTALLED: OnceLock<[PathBuf; 2]> = OnceLock::new();
        let turn = TURN.get_or_init(Mutex::default).lock().await;
        let prepare = || {
            let plane = shared().unwrap();
            install(plane.kubectl()).unwrap();
            [Account::admin(), Account::controller()].map(|account| plane.kubeconfig(&account).unwrap())
        };
        let [admin, kubeconfig] =
            spawn_blocking(move || INSTALLED.get_or_init(prepare).clone()).await.unwrap();
        let config = Kubeconfig::read_from(&admin).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let source = Source::connect(options(&admin)).await.unwrap();
        let cluster = Self { client, kubeconfig, source, _turn: turn };
        cluster.empty().await;
        cluster
    }

    /// Removes what the last scenario left.
    async fn empty(&self) {
        let all = ListParams::default();
        let services: Api<Service> = Api::all(self.client.clone());
        for service in services.list(&all).await.unwrap() {
            let name =
                ServiceName { namespace: service.namespace().unwrap_or_default(), name: service.name_any() };
            if name.name != "kubernetes" {
                self.delete_service(&name).await;
            }
        }
        self.pools().delete_collection(&DeleteParams::default(), &all).await.unwrap();
        let records: Api<VirtualIP> = Api::all(self.client.clone());
        for record in records.list(&all).await.unwrap() {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            records.patch(&record.name_any(), &PatchParams::default(), &patch).await.unwrap();
        }
        records.delete_collection(&DeleteParams::default(), &all).await.unwrap();
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "ferrolb-system");
        leases.delete_collection(&DeleteParams::default(), &all).await.unwrap();
    }

    pub fn controller(&self) -> Running {
        let options = ClusterOptions {
            kube: options(&self.kubeconfig),
            identity: "scenario".to_owned(),
            scope: Scope::default(),
            metrics_address: None,
        };
        Running::start(|stopped| in_cluster(options, stopped))
    }

    pub async fn apply(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let (user, apply) = (PatchParams::apply("user").force(), Patch::Apply(object));
        match object["kind"].as_str() {
            Some("Service") => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
                services.patch(name, &user, &apply).await.unwrap();
            }
            Some("AddressPool") => {
                self.pools().patch(name, &user, &apply).await.unwrap();
            }
            Some("Namespace") => {
                let namespaces: Api<Namespace> = Api::all(self.client.clone());
                namespaces.patch(name, &user, &apply).await.unwrap();
            }
            other => panic!("no scenario applies {other:?}"),
        }
    }

    pub async fn delete_service(&self, name: &ServiceName) {
        let services: Api<Service> = Api::namespaced(self.client.clone(), &name.namespace);
        services.delete(&name.name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn delete_pool(&self, name: &str) {
        self.pools().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn look(&self) -> Objects {
        self.source.read(&Interest::Onlooker).await.unwrap()
    }

    fn pools(&self) -> Api<AddressPool> {
        Api::all(self.client.clone())
    }
}

fn options(kubeconfig: &std::path::Path) -> KubeOptions {
    KubeOptions { kubeconfig: Some(kubeconfig.to_owned()), ..KubeOptions::default() }
}
