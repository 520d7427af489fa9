// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The API server goes away and comes back with other certificates.

use serde_json::json;

use crate::stage::{client, own_stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_goes_on_when_all_certificates_are_replaced_while_it_runs() {
    let mut stage = own_stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/30"]).await;
    stage.service("web", json!({})).await;
    stage.shows("web", &["192.0.2.0"]).await;

    tokio::task::block_in_place(|| stage.own_plane().rotate_certificates().unwrap());
    stage.client = client(&stage.kubeconfig).await;
    stage.service("after-a-rotation", json!({})).await;
    stage.shows("after-a-rotation", &["192.0.2.1"]).await;
    assert_eq!(stage.addresses("web").await, ["192.0.2.0"]);
    controller.stop().await;
}
