// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a Service's first address to its last.

use std::time::Duration;

use ferrolb_control_plane::Request;
use serde_json::json;

use crate::stage::stage;

/// What a controller may write.
const OURS: [&str; 6] = ["services", "virtualips", "addresspools", "l2advertisements", "speakers", "events"];

#[tokio::test(flavor = "multi_thread")]
async fn services_get_addresses_move_and_give_them_back() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/30"]).await;
    stage.service("web", json!({})).await;
    stage.shows("web", &["192.0.2.0"]).await;
    stage.service("db", json!({"ferrolb.io/addresses": "192.0.2.3"})).await;
    stage.shows("db", &["192.0.2.3"]).await;
    stage.recorded(&[("192.0.2.0", &["web"]), ("192.0.2.3", &["db"])]).await;

    stage.edit("db", json!({"metadata": {"annotations": {"ferrolb.io/addresses": "192.0.2.2"}}})).await;
    stage.shows("db", &["192.0.2.2"]).await;
    stage.recorded(&[("192.0.2.0", &["web"]), ("192.0.2.2", &["db"])]).await;

    stage.edit("web", json!({"spec": {"type": "ClusterIP"}})).await;
    stage.recorded(&[("192.0.2.2", &["db"])]).await;
    stage
        .until("nothing of ours is left", async || {
            let web = stage.services().get("web").await.unwrap();
            web.status.is_none_or(|status| status.conditions.is_none_or(|conditions| conditions.is_empty()))
        })
        .await;
    stage.delete("db").await;
    stage.recorded(&[]).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_and_across_a_restart_nothing_is_written_but_the_lease() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("p", &["192.0.2.0/24", "2001:db8::/120"]).await;
    for number in 0..20 {
        stage.service(&format!("s{number}"), json!({})).await;
    }
    stage.until("all have addresses", async || stage.records().await.len() == 20).await;
    stage.until("the last status is written", async || !stage.addresses("s19").await.is_empty()).await;
    let used = async || {
        let pool = stage.pools().get("p").await.unwrap();
        pool.status.and_then(|status| status.ipv4).map(|usage| usage.assigned)
    };
    stage.until("the use of the pool is told", async || used().await.as_deref() == Some("20")).await;
    let writes = |request: &Request| request.writes() && OURS.contains(&request.resource.as_str());
    stage
        .until("the last event is told", async || {
            let before = stage.requests().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            stage.requests().await.since(&before).count(writes) == 0
        })
        .await;
    let before = stage.requests().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let since = stage.requests().await.since(&before);
    assert_eq!(since.count(writes), 0, "at rest: {since}");

    controller.stop().await;
    let controller = stage.controller("b");
    stage.service("one-more", json!({})).await;
    stage.until("the next one leads", async || !stage.addresses("one-more").await.is_empty()).await;
    let since = stage.requests().await.since(&before);
    let services = since
        .count(|request| request.writes() && ["services", "virtualips"].contains(&request.resource.as_str()));
    assert_eq!(services, 3, "create, record, status: {since}");
    // It may not have come yet to the use of the pool and the event.
    assert!(since.count(writes) <= 5, "{since}");
    controller.stop().await;
}
