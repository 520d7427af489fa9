// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The entries of this node in the VirtualIPs that it carries.
//!
//! They are written at a pace that a cluster of many nodes can bear: what 3,333 addresses that are taken over at once
//! cause is spread over a minute. What changes again before its turn is written once.

mod ledger;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_source::kube::{ClusterWriter, WriteError};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::ledger::{Entry, Ledger};
use super::backoff::Backoff;
use super::lives;
use crate::deadline::until;
use crate::layer2::Ended;
use crate::report::Report;

/// One round's writes, …
const PER_ROUND: usize = 50;
/// … a round's least time, …
const ROUND: Duration = Duration::from_secs(1);
/// … and how many are under way at once.
const AT_ONCE: usize = 4;

/// Keeps the entries as the reports say.
pub(super) struct Owners {
    node: String,
    writer: ClusterWriter,
    ledger: Ledger,
}

impl Owners {
    pub(super) fn new(node: &str, writer: ClusterWriter) -> Self {
        Self { node: node.to_owned(), writer, ledger: Ledger::default() }
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
            let begun = Instant::now();
            let report = Arc::clone(&reports.borrow_and_update());
            let now = Arc::clone(&view.borrow_and_update());
            let (entries, wakes) = if lives(&now, &self.node) {
                self.ledger.due(&report, &now.virtual_ips, &self.node, begun)
            } else {
                (Vec::new(), None)
            };
            let next = begun + ROUND;
            if !entries.is_empty() {
                let pause = match self.write(entries).await {
                    Ok(()) => {
                        backoff.succeeded();
                        next
                    }
                    Err(error) => Instant::now() + backoff.failed("the owners of addresses", error),
                };
                sleep_until(pause).await;
                continue;
            }
            tokio::select! {
                changed = reports.changed() => changed.map_err(|_| Ended)?,
                changed = view.changed() => changed.map_err(|_| Ended)?,
                () = until(wakes) => {}
            }
            // Looking through thousands of addresses at every change of any object would be most of the work at rest.
            sleep_until(next).await;
        }
    }

    /// Takes out what nobody has taken over.
    pub(super) async fn finish(&mut self, report: &Report, view: &Objects) {
        let entries = self.ledger.left(report, &view.virtual_ips, &self.node);
        if let Err(error) = self.write(entries).await {
            tracing::debug!(%error, "entries are left behind");
        }
    }

    /// Writes the first entries, and settles so that the next look sees them.
    async fn write(&self, entries: Vec<Entry>) -> Result<(), WriteError> {
        let mut results = futures::stream::iter(entries.into_iter().take(PER_ROUND))
            .map(|entry| async move { self.write_one(&entry).await })
            .buffer_unordered(AT_ONCE);
        let mut result = Ok(());
        while let Some(written) = results.next().await {
            match written {
                // Changed, or gone: the view is about to show it.
                Ok(()) | Err(WriteError::Conflict | WriteError::NotFound) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        drop(results);
        self.writer.settle().await;
        result
    }

    async fn write_one(&self, Entry { virtual_ip, segment, owner }: &Entry) -> Result<(), WriteError> {
        self.writer.apply_layer2_owner(virtual_ip, segment, owner.as_ref()).await
    }
}
