// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::time::Duration;

use anyhow::Result;
use ferrolb_source::kube::{Cluster, Interest, KubeOptions, WriteError};

use crate::stage::{PATIENCE, load_balancer, options, own, service, until, watched};

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_and_comes_back_leaves_the_view_as_it_was_and_then_current() -> Result<()> {
    let mut plane = own()?;
    plane.kubectl().apply(&load_balancer("before"))?;
    let (_cluster, mut objects) = watched(&plane).await?;
    plane.kill_api_server()?;
    let view = until(&mut objects, "staleness", |view| view.freshness.stale_since.is_some()).await?;
    assert!(view.services.contains_key(&service("before")) && view.freshness.unknown.is_empty());
    plane.start_api_server()?;
    plane.kubectl().apply(&load_balancer("after"))?;
    let before = service("before");
    let view = until(&mut objects, "the new Service", |view| {
        assert!(view.services.contains_key(&before), "never missing in between");
        view.services.contains_key(&service("after")) && view.freshness.is_whole()
    })
    .await?;
    assert_eq!(view.refused, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_of_a_new_authority_are_picked_up() -> Result<()> {
    let mut plane = own()?;
    let (cluster, mut objects) = watched(&plane).await?;
    // Told to stop it would wait for our watches first.
    plane.kill_api_server()?;
    plane.rotate_certificates()?;
    plane.kubectl().apply(&load_balancer("rotated"))?;
    until(&mut objects, "the Service", |view| view.services.contains_key(&service("rotated"))).await?;
    cluster.writer().create_virtual_ip(&crate::stage::virtual_ip("192.0.2.1")?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_makes_writes_fail_in_time() -> Result<()> {
    let mut plane = own()?;
    let (cluster, _objects) = watched(&plane).await?;
    plane.freeze_api_server()?;
    let started = std::time::Instant::now();
    let written = cluster.writer().create_virtual_ip(&crate::stage::virtual_ip("192.0.2.1")?).await;
    let took = started.elapsed();
    plane.thaw_api_server()?;
    assert!(matches!(written, Err(WriteError::Timeout | WriteError::Unavailable(_))), "{written:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_the_api_server_away_works_from_the_view_on_the_disk() -> Result<()> {
    let mut plane = own()?;
    plane.kubectl().apply(&load_balancer("kept"))?;
    let state = tempfile::tempdir()?;
    let options = KubeOptions { state: Some(state.path().to_owned()), ..options(&plane)? };
    let interest = Interest::Speaker { node: "n1".to_owned() };
    let first = Cluster::connect(options.clone()).await?;
    let objects = first.watch(interest.clone()).await?;
    let file = state.path().join("snapshot.json");
    let saved = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, saved).await?;
    drop((objects, first));

    plane.kill_api_server()?;
    let second = Cluster::connect(options).await?;
    let mut objects = tokio::time::timeout(PATIENCE, second.watch(interest)).await??;
    let view = objects.borrow_and_update().clone();
    assert!(view.services.contains_key(&service("kept")) && view.freshness.stale_since.is_some());
    plane.start_api_server()?;
    plane.kubectl().apply(&load_balancer("later"))?;
    until(&mut objects, "the live view", |view| {
        view.freshness.is_whole() && view.services.contains_key(&service("later"))
    })
    .await?;
    Ok(())
}
