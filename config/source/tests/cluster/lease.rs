// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_source::kube::{Cluster, WriteError};
use ferrolb_source::lease::{Campaign, DURATION, LOOK};
use tokio::sync::watch;

use crate::stage::{PATIENCE, options, shared, virtual_ip};

/// Waits until one of `campaigns` leads, and says which.
async fn leader(campaigns: &[(Campaign, watch::Sender<bool>)], except: Option<usize>) -> Result<usize> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            let leading: Vec<usize> = campaigns
                .iter()
                .enumerate()
                .filter(|(index, (campaign, _))| campaign.fence.is_open() && Some(*index) != except)
                .map(|(index, _)| index)
                .collect();
            assert!(leading.len() < 2, "two lead: {leading:?}");
            if let Some(first) = leading.first() {
                return *first;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .context("nobody leads")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_one_leads_and_the_next_follows_at_once_when_it_stops() -> Result<()> {
    let cluster = Cluster::connect(options(shared()?)?).await?;
    let stand = |identity: &str| {
        let (stop, stopped) = watch::channel(false);
        (cluster.campaign("three", identity.to_owned(), stopped), stop)
    };
    let campaigns = ["a", "b", "c"].map(stand);
    let first = leader(&campaigns, None).await?;
    assert!(campaigns[first].0.leadership.borrow().is_leading());
    tokio::time::sleep(DURATION).await;
    assert_eq!(leader(&campaigns, None).await?, first, "it is renewed");
    campaigns[first].1.send_replace(true);
    let stopped = Instant::now();
    let second = leader(&campaigns, Some(first)).await?;
    let took = stopped.elapsed();
    eprintln!("taken over after {took:?}");
    assert_ne!(second, first);
    assert!(took < DURATION, "it was given back, not left to expire: {took:?}");
    assert!(!campaigns[first].0.fence.is_open());
    Ok(())
}

#[tokio::test]
async fn a_leader_that_stands_still_finds_its_fence_closed_when_it_goes_on() -> Result<()> {
    let plane = shared()?;
    let cluster = Cluster::connect(options(plane)?).await?;
    let (_stop, stopped) = watch::channel(false);
    // The tasks of this one live on a runtime that is held up below, as all of a stopped process is.
    let mut campaign = cluster.campaign("stall", "stalled".to_owned(), stopped);
    tokio::time::timeout(PATIENCE, campaign.leadership.wait_for(|leadership| leadership.is_leading()))
        .await??;
    let writer = cluster.writer().fenced(campaign.fence.clone());
    assert!(campaign.fence.is_open());

    let took = std::thread::scope(|scope| {
        let contender = scope.spawn(|| -> Result<Duration> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let cluster = Cluster::connect(options(plane)?).await?;
                let (_stop, stopped) = watch::channel(false);
                let started = Instant::now();
                let mut other = cluster.campaign("stall", "other".to_owned(), stopped);
                let leads = other.leadership.wait_for(|leadership| leadership.is_leading());
                tokio::time::timeout(PATIENCE, leads).await??;
                Ok(started.elapsed())
            })
        });
        contender.join()
    });
    let took = took.map_err(|_| anyhow::anyhow!("the contender panicked"))??;
    eprintln!("taken over from a leader that stood still after {took:?}");
    assert!(took >= DURATION - LOOK, "{took:?}");
    assert!(!campaign.fence.is_open());
    let written = writer.create_virtual_ip(&virtual_ip("192.0.2.50")?).await;
    assert_eq!(written, Err(WriteError::NotLeading));
    tokio::time::timeout(PATIENCE, campaign.leadership.wait_for(|leadership| !leadership.is_leading()))
        .await??;
    Ok(())
}
