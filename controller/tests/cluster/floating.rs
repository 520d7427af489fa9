// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs from their first address to their last.

use ferrolb_config::api::{AddressMode, FloatingIP};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::stage::{Stage, stage};

fn floating_ips(stage: &Stage) -> Api<FloatingIP> {
    Api::namespaced(stage.client.clone(), "default")
}

async fn create(stage: &Stage, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "ferrolb.io/v1beta1", "kind": "FloatingIP", "metadata": {"name": name}, "spec": spec,
    });
    let object: FloatingIP = serde_json::from_value(object).unwrap();
    floating_ips(stage).create(&PostParams::default(), &object).await.unwrap();
}

/// Waits until a FloatingIP shows these addresses and says this in its condition.
async fn shows(stage: &Stage, name: &str, addresses: &[&str], reason: &str) {
    stage
        .until(&format!("{name} shows {addresses:?} and {reason}"), async || {
            let object = floating_ips(stage).get(name).await.unwrap();
            let status = object.status.unwrap_or_default();
            let said = status.conditions.iter().any(|condition| condition.reason == reason);
            said && status.addresses == addresses && status.observed_generation == object.metadata.generation
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floating_ip_gets_an_address_is_refused_what_its_pool_forbids_and_gives_the_address_back() {
    let stage = stage().await;
    floating_ips(&stage).delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/30"]).await;
    create(&stage, "web", json!({"target": {"ports": [{"port": 80}]}})).await;
    shows(&stage, "web", &["192.0.2.0"], "Assigned").await;
    stage.recorded(&[("192.0.2.0", &["web"])]).await;

    create(&stage, "api", json!({"mode": "Bound"})).await;
    shows(&stage, "api", &[], "BoundNotAllowed").await;
    let bound = json!({"spec": {"mode": "Bound", "target": null}});
    floating_ips(&stage).patch("web", &PatchParams::default(), &Patch::Merge(bound)).await.unwrap();
    shows(&stage, "web", &["192.0.2.0"], "BoundNotAllowed").await;
    let accepted = floating_ips(&stage).get("web").await.unwrap().status.unwrap().accepted.unwrap();
    assert_eq!(accepted.mode, AddressMode::ReplyOnly);

    stage.pool_of("p", json!({"addresses": ["192.0.2.0/30"], "allowBound": true})).await;
    shows(&stage, "web", &["192.0.2.0"], "Assigned").await;
    shows(&stage, "api", &["192.0.2.1"], "Assigned").await;
    let record = stage.records_api().get("192.0.2.1").await.unwrap();
    assert_eq!(record.spec.mode, AddressMode::Bound);

    for (name, left) in [("web", &[("192.0.2.1", &["api"][..])][..]), ("api", &[])] {
        floating_ips(&stage).delete(name, &DeleteParams::default()).await.unwrap();
        stage.recorded(left).await;
    }
    controller.stop().await;
}
