// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users are told: each change once, each refusal by name, and nothing anew after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, stage};

fn events(stage: &Stage) -> Api<Event> {
    Api::namespaced(stage.client.clone(), "default")
}

/// How often each reason was told about objects of these tests, by the names of the object and the reason.
async fn told(stage: &Stage) -> BTreeMap<(String, String), i32> {
    let mut told = BTreeMap::new();
    for event in events(stage).list(&ListParams::default()).await.unwrap() {
        let times = event.series.map_or(1, |series| series.count);
        let about = event.regarding.and_then(|ObjectReference { name, .. }| name).unwrap_or_default();
        *told.entry((about, event.reason.unwrap_or_default())).or_default() += times;
    }
    told
}

async fn told_are(stage: &Stage, expected: &[(&str, &str)]) {
    let pair = |(about, reason): &(&str, &str)| (((*about).to_owned(), (*reason).to_owned()), 1);
    let expected: BTreeMap<_, _> = expected.iter().map(pair).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let told = told(stage).await;
        if told == expected {
            return;
        }
        assert!(Instant::now() < deadline, "told are {told:?}, not {expected:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn nothing_told_before(stage: &Stage) {
    events(stage).delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_told_once_and_a_restart_tells_nothing() {
    let stage = stage().await;
    nothing_told_before(&stage).await;
    stage.pool("p", &["192.0.2.0/31"]).await;
    let controller = stage.controller("a");
    for (name, address) in [("one", "192.0.2.0"), ("two", "192.0.2.1")] {
        stage.service(name, json!({})).await;
        stage.shows(name, &[address]).await;
    }
    stage.service("late", json!({})).await;
    let mut expected = vec![("one", "Assigned"), ("two", "Assigned"), ("late", "PoolExhausted")];
    told_are(&stage, &expected).await;

    stage.pool("p", &["192.0.2.0/30"]).await;
    stage.shows("late", &["192.0.2.2"]).await;
    stage.edit("one", json!({"metadata": {"annotations": {"ferrolb.io/addresses": "192.0.2.3"}}})).await;
    stage.edit("two", json!({"spec": {"type": "ClusterIP"}})).await;
    expected.extend([("late", "Assigned"), ("one", "Moved"), ("two", "Released")]);
    told_are(&stage, &expected).await;
    controller.stop().await;

    let controller = stage.controller("b");
    stage.service("after", json!({})).await;
    expected.push(("after", "Assigned"));
    told_are(&stage, &expected).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_make_no_sense_together_are_refused_by_name_and_harm_nobody() {
    let stage = stage().await;
    let controller = stage.controller("a");
    stage.pool("a", &["192.0.2.0/28"]).await;
    stage.service("sound", json!({})).await;
    stage.shows("sound", &["192.0.2.0"]).await;
    stage.pool("b", &["192.0.2.8/29"]).await;
    let odd = [
        ("elsewhere", json!({"ferrolb.io/addresses": "203.0.113.1"}), "AddressNotInPool"),
        ("taken", json!({"ferrolb.io/addresses": "192.0.2.0"}), "AddressInUse"),
        ("nowhere", json!({"ferrolb.io/address-pool": "no-such"}), "NotFound"),
        ("garbage", json!({"ferrolb.io/addresses": "many"}), "InvalidValue"),
        (
            "torn",
            json!({"ferrolb.io/addresses": "192.0.2.2", "metallb.io/loadBalancerIPs": "192.0.2.3"}),
            "ContradictoryRequest",
        ),
        ("refused-pool", json!({"ferrolb.io/address-pool": "b"}), "PoolNotReady"),
    ];
    for (name, annotations, _) in &odd {
        stage.service(name, annotations.clone()).await;
    }
    for (name, _, reason) in &odd {
        let condition = async || {
            let service = stage.services().get(name).await.unwrap();
            let conditions = service.status.and_then(|status| status.conditions).unwrap_or_default();
            conditions.into_iter().find(|condition| condition.type_ == "ferrolb.io/AddressesAssigned")
        };
        let refused = async || {
            condition().await.is_some_and(|found| found.status == "False" && found.reason == *reason)
        };
        stage.until(&format!("{name} is refused with {reason}"), refused).await;
    }
    let overlaps = async || {
        let conditions = stage.pools().get("b").await.unwrap().status.map(|status| status.conditions);
        let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        ready.is_some_and(|ready| ready.status == "False" && ready.reason == "OverlappingPool")
    };
    stage.until("the pool that overlaps is refused", overlaps).await;
    stage.service("sound-too", json!({})).await;
    stage.shows("sound-too", &["192.0.2.1"]).await;
    assert_eq!(stage.addresses("sound").await, ["192.0.2.0"]);
    controller.stop().await;
}
