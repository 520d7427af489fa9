// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From MetalLB to FerroLB and back, with MetalLB's objects in place all the time; and FerroLB beside it.

mod stand_in;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::stage::{Stage, shown, stage};
use stand_in::{MetalLB, install, l2_advertisement, pool};

/// What every Service shows, by name.
async fn all_shown(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let services = stage.services().list(&ListParams::default().labels("test")).await.unwrap();
    services.iter().map(|service| (service.name_any(), shown(service))).collect()
}

/// Waits until every Service shows as many addresses as it should, and says what each shows.
async fn settled(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let all_have = async || all_shown(stage).await.values().all(|addresses| !addresses.is_empty());
    stage.until("every Service has an address", all_have).await;
    all_shown(stage).await
}

/// Waits until every address that is shown is recorded for those who show it, and nothing else is.
async fn recorded(stage: &Stage, shown: &BTreeMap<String, Vec<String>>) {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (service, addresses) in shown {
        for address in addresses {
            expected.entry(address.clone()).or_default().push(service.clone());
        }
    }
    let records = async || -> BTreeMap<String, Vec<String>> {
        let sorted = |(name, mut of): (String, Vec<String>)| {
            of.sort();
            (name, of)
        };
        stage.records().await.into_iter().map(sorted).collect()
    };
    stage.until(&format!("the records are {expected:?}"), async || records().await == expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_switches_from_metallb_to_ferrolb_and_back_with_every_address_kept() {
    let stage = stage().await;
    let objects = install(&stage).await;
    pool(&stage, "first", json!({"addresses": ["192.0.2.10-192.0.2.19"]})).await;
    pool(
        &stage,
        "spare",
        json!({"addresses": ["198.51.100.0/30"], "autoAssign": false, "avoidBuggyIPs": true}),
    )
    .await;
    l2_advertisement(&stage, "lan", json!({"ipAddressPools": ["first", "spare"]})).await;
    let untouched = objects.versions().await;

    let metallb = MetalLB::start(&stage);
    stage.service("asks", json!({"metallb.io/loadBalancerIPs": "192.0.2.15"})).await;
    stage.shows("asks", &["192.0.2.15"]).await;
    for name in ["any-1", "any-2", "leaves"] {
        stage.service(name, json!({})).await;
        stage.until("it has an address", async || !stage.addresses(name).await.is_empty()).await;
    }
    stage.service("named", json!({"metallb.io/address-pool": "spare"})).await;
    let sharing = json!({
        "metallb.io/allow-shared-ip": "key", "metallb.io/loadBalancerIPs": "192.0.2.18",
    });
    for port in [81, 82] {
        stage.service_on(&format!("shares-{port}"), port, sharing.clone()).await;
    }
    let given = settled(&stage).await;
    assert_eq!(given["named"], ["198.51.100.1"]);
    assert_eq!(
        (given["shares-81"].as_slice(), &given["shares-82"]),
        (&["192.0.2.18".to_owned()][..], &given["shares-81"])
    );
    metallb.stop().await;

    let ferrolb = stage.controller_that_reads_metallb("a");
    recorded(&stage, &given).await;
    stage.service("new", json!({})).await;
    let mut given = settled(&stage).await;
    recorded(&stage, &given).await;
    let pools: BTreeMap<_, _> = stage
        .records_api()
        .list(&ListParams::default())
        .await
        .unwrap()
        .into_iter()
        .map(|record| (record.spec.address, record.spec.pool))
        .collect();
    assert_eq!((pools["192.0.2.15"].as_str(), pools["198.51.100.1"].as_str()), ("first", "spare"));
    ferrolb.stop().await;
    assert_eq!(all_shown(&stage).await, given);

    // Back: MetalLB goes on with what FerroLB gave, and gives what was given up to somebody else.
    let metallb = MetalLB::start(&stage);
    let left = given.remove("leaves").unwrap();
    stage.delete("leaves").await;
    stage.service("inherits", json!({})).await;
    stage.shows("inherits", &[left[0].as_str()]).await;
    given.insert("inherits".to_owned(), left);
    assert_eq!(settled(&stage).await, given);
    metallb.stop().await;

    // And forth again: the records are of the time before.
    let ferrolb = stage.controller_that_reads_metallb("b");
    recorded(&stage, &given).await;
    assert_eq!(all_shown(&stage).await, given);
    ferrolb.stop().await;
    assert_eq!(objects.versions().await, untouched, "MetalLB's objects were written");
    objects.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_metallb_nothing_of_its_is_touched() {
    let stage = stage().await;
    let objects = install(&stage).await;
    pool(&stage, "first", json!({"addresses": ["192.0.2.0/24"]})).await;
    let untouched = objects.versions().await;
    let metallb = MetalLB::start(&stage);
    for name in ["one", "two"] {
        stage.service(name, json!({})).await;
    }
    settled(&stage).await;
    metallb.stop().await;
    let versions = async || -> Vec<Option<String>> {
        let services = stage.services().list(&ListParams::default().labels("test")).await.unwrap();
        services
            .iter()
            .filter(|service| service.name_any() != "ours")
            .map(|service| service.resource_version())
            .collect()
    };
    let before = versions().await;

    let ferrolb = stage.controller("a");
    stage.pool("p", &["203.0.113.0/24"]).await;
    stage.service("ours", json!({})).await;
    stage.shows("ours", &["203.0.113.0"]).await;
    // Long enough for whatever it might have wanted to do with the others.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(versions().await, before, "Services of MetalLB's were written");
    stage.recorded(&[("203.0.113.0", &["ours"])]).await;

    // What the other one gives from now on is left alone too, and told.
    let metallb = MetalLB::start(&stage);
    stage.service("three", json!({"metallb.io/loadBalancerIPs": "192.0.2.77"})).await;
    stage.shows("three", &["192.0.2.77"]).await;
    let events: Api<Event> = Api::namespaced(stage.client.clone(), "default");
    let is_told = async || {
        let events = events.list(&ListParams::default()).await.unwrap();
        events.iter().any(|event| {
            let about = event.regarding.as_ref().and_then(|about| about.name.as_deref());
            let note = event.note.as_deref().unwrap_or_default();
            (about, event.reason.as_deref()) == (Some("three"), Some("ForeignAddress"))
                && note.contains("192.0.2.77")
        })
    };
    stage.until("the other's address is told", is_told).await;
    metallb.stop().await;
    stage.shows("three", &["192.0.2.77"]).await;
    stage.recorded(&[("203.0.113.0", &["ours"])]).await;
    ferrolb.stop().await;
    assert_eq!(objects.versions().await, untouched, "MetalLB's objects were written");
    objects.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_metallbs_definitions_our_own_pools_serve() {
    let stage = stage().await;
    let ferrolb = stage.controller_that_reads_metallb("a");
    stage.pool("p", &["203.0.113.0/24"]).await;
    stage.service("web", json!({})).await;
    stage.shows("web", &["203.0.113.0"]).await;
    stage.delete("web").await;
    stage.recorded(&[]).await;
    ferrolb.stop().await;
}
