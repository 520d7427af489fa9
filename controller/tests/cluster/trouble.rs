// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! An API server that objects, and others who write to the same objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::proxy::{Fate, Proxy};
use crate::stage::{Controller, Stage, stage};

/// Serves five Services while every write to the status of `bad` meets `fate`; how often that was tried meanwhile.
async fn tries_while_others_are_served(stage: &Stage, fate: Fate) -> usize {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let proxy = Proxy::start(stage.client.clone(), move |asked| {
        if asked.writes() && asked.path.contains("/services/bad/") {
            counted.fetch_add(1, Ordering::SeqCst);
            return fate;
        }
        Fate::Passed
    })
    .await;
    stage.service("bad", json!({})).await;
    let controller = Controller::start(&proxy.kubeconfig(), "a");
    stage.until("the bad one is tried", async || tries.load(Ordering::SeqCst) > 0).await;
    for number in 0..5 {
        let name = format!("good-{number}");
        stage.service(&name, json!({})).await;
        stage.until("a good one is served", async || !stage.addresses(&name).await.is_empty()).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    controller.kill().await;
    stage.forget_lease().await;
    for name in ["bad", "good-0", "good-1", "good-2", "good-3", "good-4"] {
        stage.delete(name).await;
    }
    tries.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_the_api_refuses_or_never_answers_for_holds_up_nobody_else() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/24"]).await;
    for fate in [Fate::Answered(409), Fate::Answered(422), Fate::Answered(500), Fate::Lost] {
        let tries = tries_while_others_are_served(&stage, fate).await;
        // 100 ms, doubled each time: in 30 s it comes to ten, and to some more where every new form is tried at once.
        assert!(tries <= 20, "{fate:?}: tried {tries} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_api_server_is_left_alone_and_then_everything_is_done() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/24"]).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let proxy = Proxy::start(stage.client.clone(), move |asked| {
        if asked.writes() && counted.fetch_add(1, Ordering::SeqCst) < 3 {
            Fate::Answered(429)
        } else {
            Fate::Passed
        }
    })
    .await;
    stage.service("web", json!({})).await;
    let controller = Controller::start(&proxy.kubeconfig(), "a");
    stage.shows("web", &["192.0.2.0"]).await;
    controller.stop().await;
    let tries = tries.load(Ordering::SeqCst);
    assert!(tries <= 12, "{tries} writes, three of them answered with 429");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_somebody_else_changes_back_each_time_is_written_less_and_less_often() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/24"]).await;
    let controller = stage.controller("a");
    stage.service("web", json!({})).await;
    stage.shows("web", &["192.0.2.0"]).await;
    let (services, rival) =
        (stage.services(), json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}));
    let mut changed_back = 0;
    for _ in 0..200 {
        if stage.addresses("web").await == ["192.0.2.0"] {
            services.patch_status("web", &PatchParams::default(), &Patch::Merge(&rival)).await.unwrap();
            changed_back += 1;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!((2..=9).contains(&changed_back), "changed back {changed_back} times in 5 s");
    stage.service("db", json!({})).await;
    stage.shows("db", &["192.0.2.1"]).await;
    let events: Api<Event> = Api::namespaced(stage.client.clone(), "default");
    stage
        .until("it is told", async || {
            let events = events.list(&ListParams::default()).await.unwrap();
            events.iter().any(|event| event.reason.as_deref() == Some("Contended"))
        })
        .await;
    controller.stop().await;
}
