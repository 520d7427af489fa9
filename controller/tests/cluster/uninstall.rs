// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Letting go of everything, and removing it.

use ferrolb_control_plane::{Account, DEPLOYMENT, install};
use ferrolb_controller::let_go;
use ferrolb_source::kube::KubeOptions;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::block_in_place;

use crate::stage::{Controller, Stage, own_stage};

/// As the administrator.
fn options(stage: &Stage) -> KubeOptions {
    KubeOptions { kubeconfig: Some(stage.kubeconfig.clone()), ..KubeOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uninstalled_is_removed_by_kubectl_and_services_keep_what_they_show() {
    let mut stage = own_stage().await;
    block_in_place(|| {
        stage.own_plane().start_controllers().unwrap();
        install(stage.plane().kubectl()).unwrap();
    });
    let kubeconfig = stage.plane().kubeconfig(&Account::controller()).unwrap();
    let controller = Controller::start(&kubeconfig, "a");
    stage.pool("p", &["192.0.2.0/24"]).await;
    stage.service("web", json!({})).await;
    stage.shows("web", &["192.0.2.0"]).await;

    // A controller that still runs would take the addresses away with the pools.
    let outcome = let_go(options(&stage)).await.unwrap();
    assert!(outcome.held["192.0.2.0"].contains("Deployment"), "{outcome:?}");

    controller.stop().await;
    let outcome = let_go(options(&stage)).await.unwrap();
    assert_eq!((outcome.records, outcome.cleared, outcome.held.len()), (1, 1, 0));
    let records = stage.records_api().list(&ListParams::default()).await.unwrap();
    assert!(records.iter().all(|record| record.finalizers().is_empty()));
    block_in_place(|| {
        let kubectl = stage.plane().kubectl();
        kubectl.run(&["delete", "-k", DEPLOYMENT, "--timeout=120s"]).unwrap();
        let definitions = kubectl.run(&["get", "crd", "-o", "name"]).unwrap();
        assert!(!definitions.contains("ferrolb.io"), "{definitions}");
        kubectl.refused(&["get", "namespace", "ferrolb-system"], "").unwrap();
    });
    assert_eq!(stage.addresses("web").await, ["192.0.2.0"]);
}
