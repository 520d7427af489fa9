// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The controller dies after every single write, before it hears that it was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::proxy::{Fate, Proxy};
use crate::stage::{Controller, Stage, stage};

/// A life in which nothing is written for so long has nothing left to write.
const QUIET: Duration = Duration::from_secs(4);

/// Lets controllers live for one write each, until one has nothing to write. Returns how many died.
async fn one_write_a_life(stage: &Stage) -> usize {
    for lives in 0..100 {
        let (died, has_died) = (Arc::new(Notify::new()), AtomicBool::new(false));
        let death = Arc::clone(&died);
        let proxy = Proxy::start(stage.client.clone(), move |asked| {
            if !asked.writes() {
                return Fate::Passed;
            }
            if has_died.swap(true, Ordering::SeqCst) {
                return Fate::Lost;
            }
            death.notify_one();
            Fate::Unanswered
        })
        .await;
        let controller = Controller::start(&proxy.kubeconfig(), &format!("life-{lives}"));
        if timeout(QUIET, died.notified()).await.is_err() {
            controller.stop().await;
            return lives;
        }
        // The write is on its way; it is carried out before the next one looks.
        tokio::time::sleep(Duration::from_millis(100)).await;
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
    for (name, key) in [("web", "k"), ("mail", "k")] {
        stage
            .service_on(name, if name == "web" { 80 } else { 25 }, json!({"ferrolb.io/sharing-key": key}))
            .await;
    }
    stage.service("db", json!({"ferrolb.io/address-pool": "q"})).await;
    stage.service("moving", json!({"ferrolb.io/addresses": "192.0.2.5"})).await;
    let deaths = one_write_a_life(&stage).await;
    assert!(deaths >= 7, "3 records and 4 statuses at least, {deaths}");
    let shared = stage.addresses("web").await;
    assert_eq!(stage.addresses("mail").await, shared);
    assert_eq!(stage.addresses("db").await, ["198.51.100.0"]);
    assert_eq!(stage.addresses("moving").await, ["192.0.2.5"]);

    // One moves to what another one gives up, one leaves its sharer, one comes.
    stage.edit("db", json!({"spec": {"type": "ClusterIP"}})).await;
    stage
        .edit("moving", json!({"metadata": {"annotations": {"ferrolb.io/addresses": "198.51.100.0"}}}))
        .await;
    stage.delete("mail").await;
    stage.service("new", json!({})).await;
    let deaths = one_write_a_life(&stage).await;
    assert!(deaths >= 5, "{deaths}");
    assert_eq!(stage.addresses("web").await, shared);
    assert_eq!(stage.addresses("moving").await, ["198.51.100.0"]);
    assert_eq!(stage.addresses("new").await.len(), 1);
    assert_eq!(stage.records().await.len(), 3);
    for name in ["web", "moving", "new"] {
        stage.delete(name).await;
    }
    one_write_a_life(&stage).await;
    assert_eq!(stage.records().await, []);
}
