// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Records that users, tools and accidents delete.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::stage::stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_user_deletes_stays_in_force_until_the_service_is_gone() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/30"]).await;
    stage.service("web", json!({})).await;
    stage.shows("web", &["192.0.2.0"]).await;
    stage.records_api().delete("192.0.2.0", &DeleteParams::default()).await.unwrap();
    stage.service("db", json!({})).await;
    stage.shows("db", &["192.0.2.1"]).await;
    stage.recorded(&[("192.0.2.0", &["web"]), ("192.0.2.1", &["db"])]).await;
    stage.delete("web").await;
    stage.recorded(&[("192.0.2.1", &["db"])]).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_prunes_finds_no_record_by_its_labels_and_takes_none_from_a_service_that_is_there() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/29"]).await;
    for name in ["web", "db"] {
        stage.service(name, json!({})).await;
        stage.until("it is served", async || !stage.addresses(name).await.is_empty()).await;
    }
    let labels = json!({"app.kubernetes.io/instance": "shop", "applyset.kubernetes.io/part-of": "x"});
    stage.edit("web", json!({"metadata": {"labels": labels}})).await;
    stage.service("last", json!({})).await;
    stage.shows("last", &["192.0.2.2"]).await;
    for record in stage.records_api().list(&ListParams::default()).await.unwrap() {
        assert!(record.labels().is_empty() && record.owner_references().is_empty(), "{record:?}");
    }

    // One that removes whatever it does not know.
    let records = stage.records_api();
    records.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    stage.service("later", json!({})).await;
    stage.shows("later", &["192.0.2.3"]).await;
    for (name, address) in [("web", "192.0.2.0"), ("db", "192.0.2.1"), ("last", "192.0.2.2")] {
        assert_eq!(stage.addresses(name).await, [address]);
    }
    stage.check_shown_is_recorded().await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_keep_their_addresses_when_all_records_are_lost_and_when_they_come_back_with_other_uids() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/29"]).await;
    let controller = stage.controller("a");
    for name in ["a", "b", "c"] {
        stage.service(name, json!({})).await;
        stage.until("it is served", async || !stage.addresses(name).await.is_empty()).await;
    }
    stage.delete("a").await;
    stage.recorded(&[("192.0.2.1", &["b"]), ("192.0.2.2", &["c"])]).await;
    controller.stop().await;

    // A prune takes the records, whoever guards them; meanwhile somebody new comes.
    stage.lose_records().await;
    stage.service("new", json!({})).await;
    let controller = stage.controller("b");
    stage.recorded(&[("192.0.2.0", &["new"]), ("192.0.2.1", &["b"]), ("192.0.2.2", &["c"])]).await;
    stage.shows("b", &["192.0.2.1"]).await;
    controller.stop().await;

    // A restore brings the Services back under their names.
    stage.delete("b").await;
    stage.service("b", json!({})).await;
    stage.service("newer", json!({})).await;
    let controller = stage.controller("c");
    stage.shows("b", &["192.0.2.1"]).await;
    stage.shows("newer", &["192.0.2.3"]).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_written_anew_when_their_definition_was_deleted_and_is_back() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/29"]).await;
    let controller = stage.controller("a");
    for name in ["a", "b"] {
        stage.service(name, json!({})).await;
        stage.until("it is served", async || !stage.addresses(name).await.is_empty()).await;
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    definitions.delete("virtualips.ferrolb.io", &DeleteParams::default()).await.unwrap();
    stage
        .until("the definition is gone", async || {
            // The finalizers hold it; an administrator who means it clears them, also those that the controller puts back
            // before the records are marked as deleted.
            for record in stage.records_api().list(&ListParams::default()).await.into_iter().flatten() {
                let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                let (name, how) = (record.name_any(), PatchParams::default());
                if let Err(error) = stage.records_api().patch(&name, &how, &patch).await {
                    assert!(matches!(error, kube::Error::Api(_)), "it may be gone, or changed: {error}");
                }
            }
            definitions.get_opt("virtualips.ferrolb.io").await.unwrap().is_none()
        })
        .await;
    assert_eq!(stage.addresses("a").await, ["192.0.2.0"]);
    stage.install().await;
    stage.recorded(&[("192.0.2.0", &["a"]), ("192.0.2.1", &["b"])]).await;
    assert_eq!(stage.addresses("b").await, ["192.0.2.1"]);
    stage.service("c", json!({})).await;
    stage.shows("c", &["192.0.2.2"]).await;
    controller.stop().await;
}
