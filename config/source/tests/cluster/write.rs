// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::sync::Arc;

use anyhow::{Context, Result};
use ferrolb_config::api::{
    AddressPoolStatus, FamilyUsage, L2AdvertisementSpec, L2AdvertisementStatus, Layer2Owner,
};
use ferrolb_source::kube::WriteError;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::stage::{load_balancer, service, shared, until, virtual_ip, watched};

fn status(ip: &str) -> ServiceStatus {
    let ingress = LoadBalancerIngress { ip: Some(ip.to_owned()), ..LoadBalancerIngress::default() };
    let load_balancer = Some(LoadBalancerStatus { ingress: Some(vec![ingress]) });
    ServiceStatus { load_balancer, conditions: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_ip_lives_and_dies_and_every_write_shows_at_once() -> Result<()> {
    let (cluster, objects) = watched(shared()?).await?;
    let writer = cluster.writer();
    let mut wanted = virtual_ip("192.0.2.10")?;
    wanted.metadata.finalizers = Some(vec!["ferrolb.io/in-use".to_owned()]);
    let created = writer.create_virtual_ip(&wanted).await?;
    writer.settle().await;
    assert_eq!(objects.borrow().virtual_ips["192.0.2.10"], created);
    assert_eq!(writer.create_virtual_ip(&wanted).await, Err(WriteError::Exists));
    assert!(matches!(writer.replace_virtual_ip(&wanted).await, Err(WriteError::Invalid(_))));

    let mut changed = created.as_ref().clone();
    changed.spec.sharing_key = Some("key".to_owned());
    let replaced = writer.replace_virtual_ip(&changed).await?;
    writer.settle().await;
    assert_eq!(objects.borrow().virtual_ips["192.0.2.10"].spec.sharing_key.as_deref(), Some("key"));
    assert_eq!(writer.replace_virtual_ip(&changed).await, Err(WriteError::Conflict));
    assert_eq!(writer.delete_virtual_ip(&created).await, Err(WriteError::Conflict), "an old form");

    writer.delete_virtual_ip(&replaced).await?;
    writer.settle().await;
    let marked = Arc::clone(&objects.borrow().virtual_ips["192.0.2.10"]);
    assert!(marked.metadata.deletion_timestamp.is_some(), "the finalizer keeps it");
    let mut released = marked.as_ref().clone();
    released.metadata.finalizers = None;
    let gone = writer.replace_virtual_ip(&released).await?;
    assert_eq!(
        writer.delete_virtual_ip(&gone).await,
        Err(WriteError::NotFound),
        "it went with its finalizer"
    );
    writer.settle().await;
    assert!(!objects.borrow().virtual_ips.contains_key("192.0.2.10"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_given_back_and_given_again_is_there_at_once() -> Result<()> {
    let (cluster, objects) = watched(shared()?).await?;
    let writer = cluster.writer();
    for _ in 0..20 {
        let created = writer.create_virtual_ip(&virtual_ip("192.0.2.11")?).await?;
        writer.settle().await;
        assert_eq!(objects.borrow().virtual_ips.get("192.0.2.11"), Some(&created));
        writer.delete_virtual_ip(&created).await?;
        writer.settle().await;
        assert_eq!(objects.borrow().virtual_ips.get("192.0.2.11"), None);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_status_is_written_once_and_only_over_the_form_that_was_seen() -> Result<()> {
    let plane = shared()?;
    let (cluster, mut objects) = watched(plane).await?;
    let writer = cluster.writer();
    plane.kubectl().apply(&load_balancer("status"))?;
    let key = service("status");
    let view = until(&mut objects, "the Service", |view| view.services.contains_key(&key)).await?;
    let seen = &view.services[&key];
    let written = writer.patch_service_status(&seen.metadata, Some(&status("192.0.2.20"))).await?;
    writer.settle().await;
    let shown = Arc::clone(&objects.borrow().services[&key]);
    assert_eq!(shown, written);
    let ingress = shown.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let ingress = ingress.context("an ingress")?;
    assert_eq!((ingress[0].ip.as_deref(), ingress[0].ip_mode.as_deref()), (Some("192.0.2.20"), Some("VIP")));
    assert_eq!(shown.metadata.managed_fields, None, "nobody else wrote it");
    let stale = writer.patch_service_status(&seen.metadata, None).await;
    assert_eq!(stale, Err(WriteError::Conflict));
    let spec = plane.kubectl().get::<Value>(&["service", "status"])?["spec"]["internalTrafficPolicy"].clone();
    assert_eq!(spec, "Cluster", "what was pruned is not written");
    let cleared = writer.patch_service_status(&shown.metadata, None).await?;
    let left = cleared.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.clone());
    assert_eq!(left, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn external_ips_are_written_only_over_the_form_that_was_seen() -> Result<()> {
    let plane = shared()?;
    let (cluster, mut objects) = watched(plane).await?;
    let writer = cluster.writer();
    plane.kubectl().apply(&load_balancer("external"))?;
    let key = service("external");
    let view = until(&mut objects, "the Service", |view| view.services.contains_key(&key)).await?;
    let seen = &view.services[&key].metadata;
    let written = writer.patch_service_external_ips(seen, &["192.0.2.30".to_owned()]).await?;
    assert_eq!(
        written.spec.as_ref().and_then(|spec| spec.external_ips.clone()),
        Some(vec!["192.0.2.30".to_owned()])
    );
    assert_eq!(writer.patch_service_external_ips(seen, &[]).await, Err(WriteError::Conflict));
    let written = writer.patch_service_external_ips(&written.metadata, &[]).await?;
    assert_eq!(written.spec.as_ref().and_then(|spec| spec.external_ips.clone()), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_ours_is_replaced_as_a_whole_and_only_over_the_form_that_was_seen() -> Result<()> {
    let plane = shared()?;
    let (cluster, mut objects) = watched(plane).await?;
    let writer = cluster.writer();
    plane.kubectl().apply(
        "{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: whole}, spec: {addresses: [198.51.100.0/24]}}\n---\n\
         {apiVersion: ferrolb.io/v1beta1, kind: L2Advertisement, metadata: {name: whole}, spec: {interfaces: [eth0]}}",
    )?;
    let view = until(&mut objects, "both", |view| {
        view.pools.contains_key("whole") && view.l2_advertisements.contains_key("whole")
    })
    .await?;
    let mut pool = view.pools["whole"].as_ref().clone();
    let usage =
        FamilyUsage { total: "256".to_owned(), assigned: "1".to_owned(), available: "255".to_owned() };
    pool.status = Some(AddressPoolStatus { ipv4: Some(usage), ..AddressPoolStatus::default() });
    writer.patch_status(&pool).await?;
    assert_eq!(writer.patch_status(&pool).await, Err(WriteError::Conflict));
    writer.settle().await;
    let mut pool = objects.borrow().pools["whole"].as_ref().clone();
    assert_eq!(
        pool.status.as_ref().and_then(|status| Some(status.ipv4.as_ref()?.assigned.as_str())),
        Some("1")
    );
    pool.status = Some(AddressPoolStatus::default());
    writer.patch_status(&pool).await?;
    writer.settle().await;
    assert_eq!(objects.borrow().pools["whole"].status.as_ref().and_then(|status| status.ipv4.clone()), None);

    // A list that the accepted form does not have any more is gone.
    let mut advertisement = view.l2_advertisements["whole"].as_ref().clone();
    for interfaces in [vec!["eth0".to_owned()], Vec::new()] {
        let accepted = L2AdvertisementSpec { interfaces: interfaces.clone(), ..advertisement.spec.clone() };
        advertisement.status = Some(L2AdvertisementStatus { accepted: Some(accepted), ..Default::default() });
        writer.patch_status(&advertisement).await?;
        writer.settle().await;
        advertisement = objects.borrow().l2_advertisements["whole"].as_ref().clone();
        let shown = advertisement.status.as_ref().and_then(|status| status.accepted.as_ref());
        assert_eq!(shown.map(|spec| &spec.interfaces), Some(&interfaces));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_of_two_segments_stand_beside_each_other_and_the_last_of_one_is_shown() -> Result<()> {
    let (cluster, objects) = watched(shared()?).await?;
    let writer = cluster.writer();
    let created = writer.create_virtual_ip(&virtual_ip("192.0.2.40")?).await?;
    let owner = |segment: &str, node: &str, term| Layer2Owner {
        segment: segment.to_owned(),
        interface: "eth0".to_owned(),
        node: node.to_owned(),
        term,
        since: Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH),
        cause: String::new(),
    };
    let (one, other) = ("198.51.100.0/24", "2001:db8::/64");
    for (segment, node, term) in [(one, "n1", 1), (other, "n2", 1), (one, "n3", 2)] {
        writer.apply_layer2_owner(&created, segment, Some(&owner(segment, node, term))).await?;
    }
    let shown = |objects: &ferrolb_config::Objects| -> Vec<(String, String)> {
        let status = objects.virtual_ips["192.0.2.40"].status.clone().unwrap_or_default();
        status.layer2.into_iter().map(|owner| (owner.segment, owner.node)).collect()
    };
    writer.settle().await;
    let pair = |segment: &str, node: &str| (segment.to_owned(), node.to_owned());
    assert_eq!(shown(&objects.borrow()), [pair(one, "n3"), pair(other, "n2")]);
    let ready = |objects: &ferrolb_config::Objects| -> Vec<(String, Option<i64>)> {
        let status = objects.virtual_ips["192.0.2.40"].status.clone().unwrap_or_default();
        status.conditions.into_iter().map(|ready| (ready.status, ready.observed_generation)).collect()
    };
    assert_eq!(ready(&objects.borrow()), [("True".to_owned(), Some(1))]);
    // It has become another node's since it was created: not for whoever has not seen that to take out.
    let outdated = writer.apply_layer2_owner(&created, one, None).await;
    assert_eq!(outdated, Err(WriteError::Conflict));
    let seen = Arc::clone(&objects.borrow().virtual_ips["192.0.2.40"]);
    writer.apply_layer2_owner(&seen, one, None).await?;
    writer.settle().await;
    assert_eq!(shown(&objects.borrow()), [pair(other, "n2")]);
    assert_eq!(ready(&objects.borrow()), [("True".to_owned(), Some(1))]);
    // The controller replaces the spec and does not touch the owners.
    let current = Arc::clone(&objects.borrow().virtual_ips["192.0.2.40"]);
    let replaced = writer.replace_virtual_ip(&current).await?;
    assert_eq!(replaced.status.as_ref().map(|status| status.layer2.len()), Some(1));
    writer.apply_layer2_owner(&replaced, other, None).await?;
    writer.settle().await;
    assert_eq!(shown(&objects.borrow()), []);
    assert_eq!(ready(&objects.borrow()), [("False".to_owned(), Some(1))]);

    let entered =
        writer.apply_layer2_owner(&virtual_ip("192.0.2.41")?, one, Some(&owner(one, "n1", 3))).await;
    assert_eq!(entered, Err(WriteError::NotFound));
    Ok(())
}
