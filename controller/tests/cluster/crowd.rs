// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many Services, while pools come and go.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::stage::{Stage, shown, stage};

const MANY: usize = 400;

/// The address of each of the many; none is shown twice.
async fn all_shown(stage: &Stage) -> BTreeSet<String> {
    let services = stage.services().list(&ListParams::default().labels("test")).await.unwrap();
    let addresses: Vec<_> = services.iter().flat_map(shown).collect();
    let distinct: BTreeSet<_> = addresses.iter().cloned().collect();
    assert_eq!(distinct.len(), addresses.len(), "an address is shown twice");
    distinct
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_services_survive_that_pools_are_deleted_meanwhile() {
    let stage = stage().await;
    stage.pool("gone-soon", &["10.1.0.0/22"]).await;
    stage.pool("gone-later", &["10.2.0.0/22"]).await;
    let names: Vec<_> = (0..MANY).map(|number| format!("s{number:04}")).collect();
    stream::iter(&names)
        .for_each_concurrent(8, |name| {
            let stage = &stage;
            async move { stage.service(name, json!({})).await }
        })
        .await;
    let controller = stage.controller("a");
    let given = async |least: usize| all_shown(&stage).await.len() >= least;
    stage.until("some have addresses", async || given(MANY / 10).await).await;
    stage.pools().delete("gone-later", &DeleteParams::default()).await.unwrap();
    stage.until("more have addresses", async || given(MANY / 2).await).await;
    stage.pools().delete("gone-soon", &DeleteParams::default()).await.unwrap();
    stage.pool("stays", &["10.3.0.0/22"]).await;
    let from_what_stays = async || {
        let addresses = all_shown(&stage).await;
        addresses.len() == MANY && addresses.iter().all(|address| address.starts_with("10.3."))
    };
    stage.until("all have an address of the pool that stays", from_what_stays).await;
    let records = async || stage.records().await.into_iter().map(|(address, _)| address).collect();
    stage
        .until("what was given up is recorded no more", async || all_shown(&stage).await == records().await)
        .await;
    stage.check_shown_is_recorded().await;
    controller.stop().await;
}
