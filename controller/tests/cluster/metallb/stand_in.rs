// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's objects at the API server, and somebody who hands addresses out as its controller does: what a Service
//! shows is the only record.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_config::address::Range;
use ferrolb_config::compat::metallb::{IPAddressPool, L2Advertisement};
use ferrolb_control_plane::{METALLB_NAMESPACE, metallb_definitions};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::stage::{Stage, shown};

/// MetalLB's objects.
pub struct Installed {
    pools: Api<IPAddressPool>,
    advertisements: Api<L2Advertisement>,
    definitions: Api<CustomResourceDefinition>,
}

/// Defines MetalLB's kinds, without their schemas.
pub async fn install(stage: &Stage) -> Installed {
    // It spawns a process, and waits for it.
    tokio::task::block_in_place(|| stage.plane().kubectl().apply(&metallb_definitions()).unwrap());
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    let pools = Api::namespaced(stage.client.clone(), METALLB_NAMESPACE);
    let installed = Installed {
        pools,
        advertisements: Api::namespaced(stage.client.clone(), METALLB_NAMESPACE),
        definitions,
    };
    let all = ListParams::default();
    let served = async || {
        installed.pools.list(&all).await.is_ok() && installed.advertisements.list(&all).await.is_ok()
    };
    stage.until("MetalLB's kinds are served", served).await;
    installed
}

impl Installed {
    /// The version of every object, which a write would change.
    pub async fn versions(&self) -> Vec<Option<String>> {
        let all = ListParams::default();
        let pools = self.pools.list(&all).await.unwrap();
        let advertisements = self.advertisements.list(&all).await.unwrap();
        let pools = pools.iter().map(ResourceExt::resource_version);
        pools.chain(advertisements.iter().map(ResourceExt::resource_version)).collect()
    }

    /// Removes the definitions, and the objects with them.
    pub async fn remove(self) {
        for name in ["ipaddresspools.metallb.io", "l2advertisements.metallb.io"] {
            self.definitions.delete(name, &DeleteParams::default()).await.unwrap();
        }
        let gone = async || self.definitions.get_opt("ipaddresspools.metallb.io").await.unwrap().is_none();
        while !gone().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Creates an IPAddressPool.
pub async fn pool(stage: &Stage, name: &str, spec: Value) {
    let api: Api<IPAddressPool> = Api::namespaced(stage.client.clone(), METALLB_NAMESPACE);
    let pool = IPAddressPool::new(name, serde_json::from_value(spec).unwrap());
    api.create(&PostParams::default(), &pool).await.unwrap();
}

/// Creates an L2Advertisement.
pub async fn l2_advertisement(stage: &Stage, name: &str, spec: Value) {
    let api: Api<L2Advertisement> = Api::namespaced(stage.client.clone(), METALLB_NAMESPACE);
    let advertisement = L2Advertisement::new(name, serde_json::from_value(spec).unwrap());
    api.create(&PostParams::default(), &advertisement).await.unwrap();
}

/// Hands addresses out until it is stopped.
pub struct MetalLB {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl MetalLB {
    pub fn start(stage: &Stage) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let client = stage.client.clone();
        let task = tokio::spawn(async move {
            while !*stopped.borrow_and_update() {
                pass(&client).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { stop, task }
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

/// Gives an address to every Service that shows none.
async fn pass(client: &Client) {
    let pools: Api<IPAddressPool> = Api::namespaced(client.clone(), METALLB_NAMESPACE);
    let pools: BTreeMap<String, IPAddressPool> = pools
        .list(&ListParams::default())
        .await
        .unwrap()
        .into_iter()
        .map(|pool| (pool.name_any(), pool))
        .collect();
    let api: Api<Service> = Api::namespaced(client.clone(), "default");
    let services = api.list(&ListParams::default().labels("test")).await.unwrap().items;
    let mut taken: BTreeSet<String> = services.iter().flat_map(shown).collect();
    for service in services.iter().filter(|service| shown(service).is_empty()) {
        let annotations = service.annotations();
        let address = match annotations.get("metallb.io/loadBalancerIPs") {
            Some(asked) => asked.clone(),
            None => {
                let wanted = annotations.get("metallb.io/address-pool");
                let serves = |pool: &&IPAddressPool| match wanted {
                    Some(name) => pool.name_any() == *name,
                    None => pool.spec.auto_assign.unwrap_or(true),
                };
                let mut free =
                    pools.values().filter(serves).flat_map(addresses).map(|address| address.to_string());
                let Some(free) = free.find(|address| !taken.contains(address)) else { continue };
                free
            }
        };
        // As MetalLB writes it: without ipMode, by its own name.
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
        let by = PatchParams { field_manager: Some("controller".to_owned()), ..PatchParams::default() };
        let written = api.patch_status(&service.name_any(), &by, &Patch::Merge(status)).await;
        // It may have been deleted since.
        if written.is_ok() {
            taken.insert(address);
        }
    }
}

/// The IPv4 addresses that a small pool may give.
fn addresses(pool: &IPAddressPool) -> Vec<IpAddr> {
    let ranges = pool.spec.addresses.iter().map(|text| Range::parse(text).unwrap().range);
    let each = |range: Range| match (range.first(), range.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => u32::from(first)..=u32::from(last),
        _ => panic!("the stand-in knows IPv4 only"),
    };
    let buggy = pool.spec.avoid_buggy_ips;
    ranges
        .flat_map(each)
        .filter(|address| !buggy || !matches!(address & 0xff, 0 | 255))
        .map(|address| IpAddr::V4(address.into()))
        .collect()
}
