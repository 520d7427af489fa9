// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tells the cluster: the Speaker object of this node, its entries in the addresses that it carries, and what it saw of
//! those that others carry.
//!
//! Nothing is written at rest: no heartbeat, no counters. Whether the node lives is its Node object's to say; while that
//! is not Ready, the controller takes this node's entries out, and nothing is written against it.

mod backoff;
mod owners;
mod speaker;
mod testimonies;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_source::kube::ClusterWriter;
use k8s_openapi::api::core::v1::Node;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use self::owners::Owners;
use self::speaker::SpeakerObject;
use self::testimonies::Testimonies;
use super::{Desk, GATHER, now};
use crate::layer2::Ended;
use crate::report::{Length, Report};

/// How long a speaker that ends may take to tell.
const FAREWELL: Duration = Duration::from_secs(2);

/// The writer of what this node tells the cluster.
pub(crate) struct Cluster {
    desk: Desk,
    reports: watch::Sender<Arc<Report>>,
    view: watch::Receiver<Arc<Objects>>,
    writer: ClusterWriter,
}

impl Cluster {
    pub(crate) fn new(desk: Desk, view: watch::Receiver<Arc<Objects>>, writer: ClusterWriter) -> Self {
        Self { desk, reports: watch::Sender::default(), view, writer }
    }

    /// Tells until dropped.
    ///
    /// # Errors
    /// The layer-2 thread, or another part that reports are made of, has ended.
    pub(crate) async fn run(&mut self) -> Result<Infallible, Ended> {
        let speaker = SpeakerObject::new(&self.desk.about.node, self.writer.clone());
        let owners = Owners::new(&self.desk.about.node, self.writer.clone());
        let testimonies = Testimonies::new(&self.desk.about.node, self.writer.clone());
        let reports = || self.reports.subscribe();
        let (one, two, three) = (reports(), reports(), reports());
        let view = || self.view.clone();
        let (first, second, third) = (view(), view(), view());
        let report = async {
            loop {
                self.desk.changed().await?;
                sleep(GATHER).await;
                self.reports.send_replace(Arc::new(self.desk.report(now(), false, Length::Brief)));
            }
        };
        tokio::select! {
            ended = report => ended,
            ended = speaker.run(one, first) => ended,
            ended = owners.run(two, second) => ended,
            ended = testimonies.run(three, third) => ended,
        }
    }

    /// Tells that this speaker ends, as far as that goes quickly.
    pub(crate) async fn finish(&mut self) {
        let report = Arc::new(self.desk.report(now(), true, Length::Brief));
        let view = Arc::clone(&self.view.borrow());
        let mut speaker = SpeakerObject::new(&self.desk.about.node, self.writer.clone());
        let mut owners = Owners::new(&self.desk.about.node, self.writer.clone());
        let farewell = async { tokio::join!(speaker.finish(&report, &view), owners.finish(&report, &view)) };
        if timeout(FAREWELL, farewell).await.is_err() {
            debug!("not everything could be told at the end; the controller and the other nodes mend it");
        }
    }
}

/// Whether the cluster holds that this node lives.
fn lives(view: &Objects, node: &str) -> bool {
    view.nodes.get(node).is_some_and(|node| is_ready(node))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
