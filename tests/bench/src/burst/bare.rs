// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The same writes by a client that decides nothing: what the API server alone takes.

use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_config::api::VirtualIP;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::cluster::Cluster;

/// As many writes are under way as the controller has at most.
const WRITERS: usize = 16;

/// Creates `count` Services, and a record and a status for each; how long until the last one shows.
pub(super) async fn run(cluster: &Cluster, count: usize) -> Result<Duration> {
    let mut seen = cluster.watch().await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Arc::new(Mutex::new((0usize, receiver)));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (receiver, client) = (std::sync::Arc::clone(&receiver), cluster.controllers.clone());
        writers.spawn(async move {
            loop {
                let (number, service) = {
                    let mut next = receiver.lock().await;
                    let Some(service) = next.1.recv().await else { return anyhow::Ok(()) };
                    next.0 += 1;
                    (next.0, service)
                };
                write(&client, number, &service).await?;
            }
        });
    }
    let (start, last) = tokio::try_join!(cluster.create(count, Some(sender)), seen.all(count))?;
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(last.duration_since(start))
}

/// Creates one Service more, the `number`th, and returns how long it takes until it shows the address that it is given at once.
pub(super) async fn one_more(cluster: &Cluster, number: usize) -> Result<Duration> {
    let mut seen = cluster.watch().await?;
    let (start, service) = cluster.create_one(&format!("single-{number}")).await?;
    write(&cluster.controllers, number, &service).await?;
    Ok(seen.all(1).await?.duration_since(start))
}

async fn write(client: &Client, number: usize, service: &Service) -> Result<()> {
    let address = format!("10.100.{}.{}", number / 256, number % 256);
    let name = service.metadata.name.as_deref().context("a Service without a name")?;
    let record: VirtualIP = serde_json::from_value(json!({
        "apiVersion": "ferrolb.io/v1beta1",
        "kind": "VirtualIP",
        "metadata": {"name": address, "finalizers": ["ferrolb.io/in-use"]},
        "spec": {"address": address, "pool": "all", "consumers": [{
            "kind": "Service", "namespace": "default", "name": name, "uid": service.metadata.uid,
            "ports": [{"protocol": "TCP", "port": 80}],
        }]},
    }))?;
    Api::all(client.clone()).create(&PostParams::default(), &record).await?;
    let status = json!({
        "metadata": {"resourceVersion": service.metadata.resource_version},
        "status": {
            "loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]},
            "conditions": [{
                "type": "ferrolb.io/AddressesAssigned", "status": "True", "reason": "Assigned", "message": address,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    });
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    services.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}
