// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The Speaker object of this node.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::api::{Speaker, SpeakerSpec, SpeakerStatus};
use ferrolb_config::condition::{self, READY};
use ferrolb_source::kube::{ClusterWriter, WriteError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tokio::sync::watch;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::lives;
use crate::layer2::Ended;
use crate::report::Report;

/// The object is written at most so often.
const PACE: Duration = Duration::from_secs(1);
/// Of an object that was just created.
const FIRST_GENERATION: i64 = 1;

/// Keeps the object as the reports say.
pub(super) struct SpeakerObject {
    node: String,
    writer: ClusterWriter,
    written: Option<SpeakerStatus>,
}

impl SpeakerObject {
    pub(super) fn new(node: &str, writer: ClusterWriter) -> Self {
        Self { node: node.to_owned(), writer, written: None }
    }

    /// Writes until dropped.
    ///
    /// # Errors
    /// Nobody makes reports, or shows the cluster, any more.
    pub(super) async fn run(
        mut self,
        mut reports: watch::Receiver<Arc<Report>>,
        mut view: watch::Receiver<Arc<Objects>>,
    ) -> Result<Infallible, Ended> {
        let mut backoff = Backoff::default();
        loop {
            let report = Arc::clone(&reports.borrow_and_update());
            let now = Arc::clone(&view.borrow_and_update());
            if self.is_due(&report.speaker, &now) {
                let pause = match self.write(&report.speaker, &now).await {
                    Ok(()) => {
                        backoff.succeeded();
                        PACE
                    }
                    Err(error) => backoff.failed("the Speaker object", error),
                };
                sleep(pause).await;
                continue;
            }
            tokio::select! {
                changed = reports.changed() => changed.map_err(|_| Ended)?,
                changed = view.changed() => changed.map_err(|_| Ended)?,
            }
        }
    }

    /// Writes the last words.
    pub(super) async fn finish(&mut self, report: &Report, view: &Objects) {
        if view.nodes.contains_key(&self.node)
            && let Err(error) = self.write(&report.speaker, view).await
        {
            tracing::debug!(%error, "no last words in the Speaker object");
        }
    }

    /// Whether the object is not as it should be: gone, with a word of somebody else's, or out of date. The first report
    /// comes with the first look at the node.
    fn is_due(&self, status: &SpeakerStatus, view: &Objects) -> bool {
        if status.version.is_empty() || !lives(view, &self.node) {
            return false;
        }
        let shown = view.speakers.get(&self.node).and_then(|speaker| speaker.status.as_ref());
        shown.is_none_or(|shown| ready(shown) != ready(status)) || self.written.as_ref() != Some(status)
    }

    async fn write(&mut self, status: &SpeakerStatus, view: &Objects) -> Result<(), WriteError> {
        let mut object = Speaker::new(&self.node, SpeakerSpec {});
        object.metadata.owner_references = view.nodes.get(&self.node).and_then(|node| {
            Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: self.node.clone(),
                uid: node.metadata.uid.clone()?,
                ..OwnerReference::default()
            }])
        });
        if !view.speakers.contains_key(&self.node) {
            self.writer.create_speaker(&object).await?;
        }
        let shown = view.speakers.get(&self.node);
        let generation = shown.and_then(|shown| shown.metadata.generation).or(Some(FIRST_GENERATION));
        object.status = Some(of_generation(status.clone(), generation));
        self.writer.apply_speaker_status(&object).await?;
        self.writer.settle().await;
        self.written = Some(status.clone());
        Ok(())
    }
}

fn of_generation(mut status: SpeakerStatus, generation: Option<i64>) -> SpeakerStatus {
    status.observed_generation = generation;
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
    }
    status
}

/// What a status says about readiness.
fn ready(status: &SpeakerStatus) -> Option<&str> {
    Some(&condition::find(&status.conditions, READY)?.status)
}
