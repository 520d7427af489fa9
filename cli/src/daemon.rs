// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The daemons: controller, speaker, and both in one process.

use std::fs;

use anyhow::Context;
use ferrolb_config::snapshot::Scope;
use ferrolb_controller::ClusterOptions;
use ferrolb_source::kube::KubeOptions;
use ferrolb_source::metrics::everywhere;
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::{Options, Source};
use tokio::runtime::Runtime;
use tracing::{error, info};

use crate::arguments::{ControllerArguments, RunArguments, SpeakerArguments};
use crate::folders::Folders;
use crate::node::{DataPathMode, NodeArguments};
use crate::origin::Origin;
use crate::shutdown::Shutdown;

/// Gives Services their addresses until a signal ends it.
///
/// # Errors
/// The folders or the cluster cannot be used; see [`ferrolb_controller::run`] and [`ferrolb_controller::in_cluster`].
pub fn controller(arguments: ControllerArguments) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let shutdown = Shutdown::on_signal()?;
        match arguments.origin.choose() {
            Origin::Folder(folders) => run_controller(folders, &shutdown).await,
            Origin::Cluster(kube) => {
                let in_pod = kube.kubeconfig.is_none();
                let usual = in_pod.then(everywhere);
                let options = ClusterOptions {
                    metrics_address: arguments.metrics_address.or(usual),
                    kube,
                    identity: identity()?,
                    scope: arguments.load_balancer_class.map_or(Scope::Ours, Scope::Class),
                };
                ferrolb_controller::in_cluster(options, shutdown.subscribe()).await.context("the controller")
            }
        }
    })
}

/// Names this process among the controllers of a cluster: in a pod its host name is the pod's name. The number tells a
/// process from its predecessor, who may still hold the lease.
fn identity() -> anyhow::Result<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").context("reading the host name")?;
    Ok(format!("{}_{:08x}", host.trim(), fastrand::u32(..)))
}

/// Carries addresses on this node until a signal ends it; hands them over first.
///
/// # Errors
/// A right or a folder is missing; see [`ferrolb_speaker::run`].
pub fn speaker(arguments: SpeakerArguments) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let shutdown = Shutdown::on_signal()?;
        let state = arguments.origin.state.clone();
        let source = match arguments.origin.choose() {
            Origin::Folder(Folders { source, state }) => Source::Directory { source, state },
            Origin::Cluster(kube) => Source::Cluster(KubeOptions { state: Some(state), ..kube }),
        };
        run_speaker(source, arguments.node, &shutdown).await
    })
}

/// Both. If either fails, the other ends in good order.
///
/// # Errors
/// As [`controller`] and [`speaker`].
pub fn both(arguments: RunArguments) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let shutdown = Shutdown::on_signal()?;
        let folders = arguments.folders;
        let source = Source::Directory { source: folders.source.clone(), state: folders.state.clone() };
        let (controller, speaker) = tokio::join!(
            shutdown.together(run_controller(folders, &shutdown)),
            shutdown.together(run_speaker(source, arguments.node, &shutdown)),
        );
        match (controller, speaker) {
            (Err(controller), Err(speaker)) => {
                error!("{controller:#}");
                Err(speaker)
            }
            (controller, speaker) => controller.and(speaker),
        }
    })
}

async fn run_controller(folders: Folders, shutdown: &Shutdown) -> anyhow::Result<()> {
    ferrolb_controller::run(folders.source, folders.state, shutdown.subscribe())
        .await
        .context("the controller")
}

async fn run_speaker(source: Source, node: NodeArguments, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mode = match (node.data_path, &source) {
        (Some(DataPathMode::KubeProxy), _) | (None, Source::Cluster(_)) => Mode::KubeProxy,
        (Some(DataPathMode::Nftables), _) | (None, Source::Directory { .. }) => Mode::NFTables,
    };
    let in_cluster = matches!(source, Source::Cluster(_));
    let metrics_address = node.metrics_address.or_else(|| in_cluster.then(everywhere));
    let node_name = match node.node_name {
        Some(name) => name,
        None => host_name()?,
    };
    let doing = format!("the speaker on node {node_name}");
    let options = Options {
        node_name,
        cluster: node.cluster,
        hello_key_file: node.hello_key_file,
        profile: node.profile.into(),
        announce_rate: node.announce_rate,
        source,
        mode,
        healthz: node.kube_proxy_healthz.0,
        metrics_address,
        rebalance: node.rebalance.into(),
        bgp_listen: node.bgp_listen,
        linger: Options::LINGER,
    };
    ferrolb_speaker::run(options, shutdown.subscribe()).await.context(doing)
}

/// The host name as the kubelet makes a node's name of it.
fn host_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .context("reading the host name; --node-name says the node's name too")?;
    let name = name.trim().to_lowercase();
    info!(node = name, "without --node-name, the host name is taken for the node's");
    Ok(name)
}

/// One thread: what must be quick has its own thread in the speaker, the rest is small.
fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}
