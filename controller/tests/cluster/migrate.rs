// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From `spec.externalIPs` to type LoadBalancer.

use ferrolb_config::ServiceName;
use ferrolb_config::snapshot::Scope;
use ferrolb_controller::migrate::{Migration, Progress};
use ferrolb_source::kube::{Cluster, Interest, KubeOptions};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::json;

use crate::stage::{Stage, shown, stage};

fn options(stage: &Stage) -> KubeOptions {
    KubeOptions { kubeconfig: Some(stage.kubeconfig.clone()), ..KubeOptions::default() }
}

fn name(name: &str) -> ServiceName {
    ServiceName { namespace: "default".to_owned(), name: name.to_owned() }
}

/// What a Service is, in the order in which a client could notice: its type, its list, and what its status shows.
fn state(service: &Service) -> (String, Vec<String>, Vec<String>) {
    let spec = service.spec.clone().unwrap_or_default();
    (spec.type_.unwrap_or_default(), spec.external_ips.unwrap_or_default(), shown(service))
}

async fn with_external_ips(stage: &Stage, name: &str, list: &[&str]) {
    stage.service(name, json!({})).await;
    stage.edit(name, json!({"spec": {"type": "ClusterIP", "externalIPs": list}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_moves_from_external_ips_with_its_address_reachable_all_the_time() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/24"]).await;
    with_external_ips(&stage, "web", &["192.0.2.7"]).await;

    // Every form that the API server delivers, in order.
    let cluster = Cluster::connect(options(&stage)).await.unwrap();
    let mut view = cluster.watch(Interest::Controller).await.unwrap();
    let watching = tokio::spawn(async move {
        let mut states = Vec::new();
        loop {
            let current = view.borrow_and_update().services.get(&name("web")).map(|service| state(service));
            let is_done = current.as_ref().is_some_and(|(_, list, _)| list.is_empty());
            if states.last() != current.as_ref() {
                states.extend(current);
            }
            if is_done || view.changed().await.is_err() {
                return states;
            }
        }
    });
    let migration = Migration::prepare(options(&stage), &name("web"), &Scope::default()).await.unwrap();
    let mut progress = Vec::new();
    migration.carry_out(|step| progress.push(step)).await.unwrap();
    assert_eq!(progress, [Progress::Asked, Progress::Shown, Progress::Done]);
    let states = watching.await.unwrap();
    for (type_, list, shown) in &states {
        assert!(!list.is_empty() || !shown.is_empty(), "dark for a moment: {states:?}");
        assert!(shown.is_empty() || type_ == "LoadBalancer", "{states:?}");
    }
    let address = || vec!["192.0.2.7".to_owned()];
    assert_eq!(states.last(), Some(&("LoadBalancer".to_owned(), Vec::new(), address())));
    stage.recorded(&[("192.0.2.7", &["web"])]).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_an_entry_is_not_ours_to_move() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/24"]).await;
    with_external_ips(&stage, "web", &["192.0.2.7", "203.0.113.9"]).await;
    let before = stage.services().get("web").await.unwrap().resource_version();
    let refused = Migration::prepare(options(&stage), &name("web"), &Scope::default()).await.unwrap_err();
    assert!(refused.to_string().contains("203.0.113.9 is in no pool"), "{refused}");
    assert!(refused.to_string().ends_with("(ExternalIPsNotOurs)"), "{refused}");
    assert_eq!(stage.services().get("web").await.unwrap().resource_version(), before);
}
