// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The driver in a cluster: writes go to the API server, many at once.

mod news;
mod planning;
mod reach;
mod request;
mod restraint;
mod steering;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ferrolb_config::Objects;
use ferrolb_config::snapshot::Scope;
use ferrolb_source::events::Recorder;
use ferrolb_source::kube::{Cluster, Interest, KubeOptions};
use ferrolb_source::lease::{Campaign, Leadership};
use ferrolb_source::metrics::{Endpoint, PREFIX, Readiness, Registry};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::stopped;

/// The Lease that says which controller leads.
const LEASE: &str = "ferrolb-controller";
/// How long to wait at the end until the Lease is given back; otherwise it expires.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the controller runs in a cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Which cluster, and as whom.
    pub kube: KubeOptions,
    /// This process's name in the Lease; no other process may have it.
    pub identity: String,
    /// Which Services are ours.
    pub scope: Scope,
    /// Where metrics and probes are served; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
}

/// Runs the controller in a cluster until `shutdown` holds `true` or its sender is gone. Of several that run, one
/// leads; the others follow the cluster, so that they can go on at once.
///
/// # Errors
/// When the kubeconfig or the service account cannot be used, or the metrics cannot be served. An API server that is away
/// is waited for.
pub async fn in_cluster(options: ClusterOptions, mut shutdown: watch::Receiver<bool>) -> anyhow::Result<()> {
    let cluster = Cluster::connect(options.kube).await.context("cannot use the cluster")?;
    let readiness = Readiness::default();
    let _endpoint = match options.metrics_address {
        Some(address) => {
            let mut registry = Registry::with_prefix(PREFIX);
            cluster.register(&mut registry);
            Some(Endpoint::serve(address, registry, readiness.clone()).await?)
        }
        None => None,
    };
    let recorder = cluster.recorder(&options.identity);
    let view = tokio::select! {
        view = cluster.watch(Interest::Controller) => view.context("cannot follow the cluster")?,
        () = stopped(&mut shutdown) => return Ok(()),
    };
    info!(identity = options.identity, namespace = cluster.options().namespace, "the controller is running");
    readiness.set(Ok(()));
    let scope = Arc::new(options.scope);
    // The Lease is given back after the last write.
    let (resign, resigned) = watch::channel(false);
    let mut campaign = cluster.campaign(LEASE, options.identity, resigned);
    let ended = tokio::select! {
        ended = follow(&cluster, view, &scope, &recorder, &mut campaign) => ended,
        () = stopped(&mut shutdown) => Ok(()),
    };
    resign.send_replace(true);
    let given_back = timeout(FAREWELL, async { while campaign.leadership.changed().await.is_ok() {} });
    if given_back.await.is_err() {
        warn!("the lease could not be given back in time; it expires by itself");
    }
    ended
}

/// Leads whenever it is this process's turn.
async fn follow(
    cluster: &Cluster,
    view: watch::Receiver<Arc<Objects>>,
    scope: &Arc<Scope>,
    recorder: &Recorder,
    campaign: &mut Campaign,
) -> anyhow::Result<()> {
    let Campaign { leadership, fence } = campaign;
    let mut retirement = leadership.clone();
    loop {
        info!("{}", turned(leadership, true).await?);
        let writer = cluster.writer().fenced(fence.clone());
        tokio::select! {
            ended = steering::steer(view.clone(), writer, scope, recorder) => return ended,
            turn = turned(&mut retirement, false) => info!("{}", turn?),
        }
    }
}

/// Waits until this process leads, or does not.
async fn turned(leadership: &mut watch::Receiver<Leadership>, leads: bool) -> anyhow::Result<Leadership> {
    let turn = leadership.wait_for(|leadership| leadership.is_leading() == leads).await;
    Ok(turn.context("nobody stands for the lease any more")?.clone())
}
