// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker serves to those who look at it.

use std::net::SocketAddr;

use ferrolb_source::metrics::{Endpoint, Readiness, Registry};
use ferrolb_source::questions;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::answering::Answering;
use crate::bgp::Picture;
use crate::options::{Options, Source};

/// Serves metrics and probes, if that is wanted. A port that is taken is no reason to carry no address.
pub(super) async fn serve(
    address: Option<SocketAddr>,
    registry: Registry,
    readiness: &Readiness,
) -> Option<Endpoint> {
    match Endpoint::serve(address?, registry, readiness.clone()).await {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            error!(%error, "going on without metrics");
            None
        }
    }
}

/// Answers who asks on this machine, if it has a state folder. Who cannot be answered is no reason to carry no address.
pub(super) fn answer(options: &Options, routers: watch::Receiver<Picture>) -> Option<Answering> {
    let state = match &options.source {
        Source::Directory { state, .. } => state,
        Source::Cluster(cluster) => cluster.state.as_ref()?,
    };
    let path = questions::socket(state, &options.node_name).ok()?;
    Answering::start(&path, &options.node_name, routers)
        .inspect_err(|error| warn!("ferrolb bgp routes gets no answer here: {}: {error}", path.display()))
        .ok()
}
