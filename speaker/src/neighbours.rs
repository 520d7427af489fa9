// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tells the layer-2 thread which nodes there are, so that it looks for those that it does not hear.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::snapshot::NodeInfo;
use ferrolb_layer2::NodeId;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::layer2::{Ended, Layer2, Neighbours};

/// Nodes come and go seldom, but other objects change all the time.
const PACE: Duration = Duration::from_secs(1);

/// Follows the nodes for as long as there are objects to follow.
pub(crate) async fn follow(
    layer2: &Layer2,
    mut objects: watch::Receiver<Arc<Objects>>,
    cluster: &str,
) -> Result<Infallible, Ended> {
    let mut told = Neighbours::new();
    loop {
        let now = neighbours(&objects.borrow_and_update(), cluster);
        if now != told {
            layer2.expect(now.clone()).await?;
            told = now;
        }
        objects.changed().await.map_err(|_| Ended)?;
        sleep(PACE).await;
    }
}

fn neighbours(objects: &Objects, cluster: &str) -> Neighbours {
    let node = |(name, node): (&String, &Arc<_>)| {
        (NodeId::of(cluster, name), NodeInfo::from(Arc::as_ref(node)).addresses)
    };
    objects.nodes.iter().map(node).collect()
}
