// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The controller dies after every single write, before it hears that it was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::proxy::{Fate, Proxy};
use crate::stage::{Controller, Stage, stage};

/// A leader that writes nothing for so long has nothing left to write.
const QUIET: Duration = Duration::from_secs(3);

/// Lets controllers live for one write each, until one has nothing to write. Returns how many died.
async fn one_write_a_life(stage: &Stage) -> usize {
    for lives in 0..100 {
        let (stands, has_written) = (Arc::new(Notify::new()), AtomicBool::new(false));
        let candidate = Arc::clone(&stands);
        let proxy = Proxy::start(stage.client.clone(), move |asked| {
            if asked.is_for_the_lease() && asked.method != Method::GET {
                candidate.notify_one();
            }
            if !asked.writes() {
                return Fate::Passed;
            }
            if has_written.swap(true, Ordering::SeqCst) { Fate::Lost } else { Fate::Unanswered }
        })
        .await;
        let controller = Controller::start(&proxy.kubeconfig(), &format!("life-{lives}"));
        stands.notified().await;
        if timeout(QUIET, proxy.left_unanswered()).await.is_err() {
            controller.stop().await;
            return lives;
        }
        controller.kill().await;
        stage.forget_lease().await;
        stage.check_shown_is_recorded().await;
    }
    panic!("it does not come to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_given_twice_when_the_controller_dies_after_every_write() {
    let stage = stage().await;
    stage.pool("p", &["192.0.2.0/29"]).await;
    stage.pool("q", &["198.51.100.0/30"]).await;
    let on_request =
        |retention| json!({"addresses": ["203.0.113.0/30"], "autoAssign": false, "retention": retention});
    stage.pool_of("keeps", on_request("1h")).await;
    stage.service_on("web", 80, json!({"ferrolb.io/sharing-key": "k"})).await;
    stage.service_on("mail", 25, json!({"ferrolb.io/sharing-key": "k"})).await;
    stage.service("db", json!({"ferrolb.io/address-pool": "q"})).await;
    stage.service("moving", json!({"ferrolb.io/addresses": "192.0.2.5"})).await;
    stage.service("kept", json!({"ferrolb.io/address-pool": "keeps"})).await;
    stage.service_with_external_ips("external", "q").await;
    let deaths = one_write_a_life(&stage).await;
    assert!(deaths >= 11, "5 records, 5 statuses, and a list at least: {deaths}");
    let shared = stage.addresses("web").await;
    assert_eq!(stage.addresses("mail").await, shared);
    assert_eq!(stage.addresses("moving").await, ["192.0.2.5"]);
    assert_eq!(stage.addresses("kept").await, ["203.0.113.0"]);
    let (db, external) = (stage.addresses("db").await, stage.external_ips("external").await);
    assert_eq!((db.len(), external.len()), (1, 1));

    // One moves to what another one gives up, one leaves its sharer, one its list, one comes, one hopes to come back.
    stage.edit("db", json!({"spec": {"type": "ClusterIP"}})).await;
    stage.edit("moving", json!({"metadata": {"annotations": {"ferrolb.io/addresses": db[0]}}})).await;
    stage.delete("mail").await;
    let not_external = json!({"metadata": {"annotations": {"ferrolb.io/external-ips-from": null}}});
    stage.edit("external", not_external).await;
    stage.delete("kept").await;
    stage.service("new", json!({})).await;
    let deaths = one_write_a_life(&stage).await;
    assert!(deaths >= 7, "{deaths}");
    assert_eq!(stage.addresses("web").await, shared);
    assert_eq!(stage.addresses("moving").await, db);
    assert_eq!(stage.addresses("new").await.len(), 1);
    assert_eq!(stage.external_ips("external").await, [""; 0]);
    assert_eq!(stage.records().await.len(), 4);

    // What is kept is for who had it.
    stage.service("other", json!({"ferrolb.io/address-pool": "keeps"})).await;
    stage.service("kept", json!({"ferrolb.io/address-pool": "keeps"})).await;
    one_write_a_life(&stage).await;
    assert_eq!(stage.addresses("other").await, ["203.0.113.1"]);
    assert_eq!(stage.addresses("kept").await, ["203.0.113.0"]);

    for name in ["web", "moving", "new", "other", "kept"] {
        stage.delete(name).await;
    }
    one_write_a_life(&stage).await;
    let left: Vec<_> = stage.records().await.into_iter().map(|(address, _)| address).collect();
    assert_eq!(left, ["203.0.113.0", "203.0.113.1"]);
    stage.pool_of("keeps", on_request("0s")).await;
    one_write_a_life(&stage).await;
    assert_eq!(stage.records().await, []);
}
