// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use anyhow::Result;
use ferrolb_config::ObjectRef;
use ferrolb_source::events::{Event, Tone};
use ferrolb_source::kube::Cluster;
use ferrolb_source::metrics::{PREFIX, Registry};
use serde_json::Value;

use crate::stage::{PATIENCE, load_balancer, options, service, shared};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_twice_is_written_once_and_shows_in_kubectl_describe() -> Result<()> {
    let plane = shared()?;
    let cluster = Cluster::connect(options(plane)?).await?;
    let mut registry = Registry::with_prefix(PREFIX);
    cluster.register(&mut registry);
    plane.kubectl().apply(&load_balancer("told"))?;
    let uid =
        plane.kubectl().get::<Value>(&["service", "told"])?["metadata"]["uid"].as_str().map(str::to_owned);
    let recorder = cluster.recorder("pod-1");
    let assigned = Event {
        object: ObjectRef::namespaced("Service", &service("told")),
        api_version: "v1".to_owned(),
        uid,
        tone: Tone::Normal,
        reason: "Assigned".to_owned(),
        action: "Allocate",
        note: "192.0.2.77 from the pool a".to_owned(),
    };
    let pool = Event {
        object: ObjectRef::cluster("AddressPool", "a"),
        api_version: "ferrolb.io/v1beta1".to_owned(),
        uid: None,
        tone: Tone::Warning,
        ..assigned.clone()
    };
    for event in [&assigned, &assigned, &pool, &assigned] {
        recorder.tell(event.clone());
    }
    let counted = || -> Result<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    };
    let written = async {
        while !counted()?.contains("ferrolb_events_total{fate=\"written\"} 2\n") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, written).await.map_err(|_| anyhow::anyhow!("{:?}", counted()))??;
    assert!(counted()?.contains("ferrolb_events_total{fate=\"repeated\"} 2\n"), "{}", counted()?);
    let described = plane.kubectl().run(&["describe", "service", "told"])?;
    assert_eq!(described.matches("192.0.2.77 from the pool a").count(), 1, "{described}");
    Ok(())
}
