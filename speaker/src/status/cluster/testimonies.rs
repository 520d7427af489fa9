// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node saw when it asked for addresses that others carry, or who else answered for its own: the condition
//! `Reachable` of their VirtualIPs, of which the controller tells events.
//!
//! Only what the cluster does not show yet is written, so that nothing is at rest, whoever the witness is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::VirtualIP;
use ferrolb_source::kube::{ClusterWriter, WriteError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::sync::watch;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::lives;
use crate::layer2::Ended;
use crate::report::{Report, Witnessed, withdrawn};
use crate::status::now;

/// The least time between two rounds of writes, …
const ROUND: Duration = Duration::from_secs(1);
/// … and how many are made in one: this is no hurry.
const PER_ROUND: usize = 20;

/// Keeps the conditions as this node sees the addresses.
pub(super) struct Testimonies {
    node: String,
    writer: ClusterWriter,
}

impl Testimonies {
    pub(super) fn new(node: &str, writer: ClusterWriter) -> Self {
        Self { node: node.to_owned(), writer }
    }

    /// Writes until dropped.
    ///
    /// # Errors
    /// Nobody makes reports, or shows the cluster, any more.
    pub(super) async fn run(
        self,
        mut reports: watch::Receiver<Arc<Report>>,
        mut view: watch::Receiver<Arc<Objects>>,
    ) -> Result<Infallible, Ended> {
        let mut backoff = Backoff::default();
        loop {
            let report = Arc::clone(&reports.borrow_and_update());
            let shown = Arc::clone(&view.borrow_and_update());
            let lives = lives(&shown, &self.node);
            let due: Vec<_> = news(&report, &shown).filter(|_| lives).take(PER_ROUND).collect();
            if due.is_empty() {
                tokio::select! {
                    changed = reports.changed() => changed.map_err(|_| Ended)?,
                    changed = view.changed() => changed.map_err(|_| Ended)?,
                }
                // Looking through thousands of addresses at every change would be most of the work at rest.
                sleep(ROUND).await;
                continue;
            }
            let pause = match self.write(&due).await {
                Ok(()) => {
                    backoff.succeeded();
                    ROUND
                }
                Err(error) => backoff.failed("what is reachable", error),
            };
            sleep(pause).await;
        }
    }

    /// Writes, and settles so that the next look sees it.
    async fn write(&self, due: &[News<'_>]) -> Result<(), WriteError> {
        let mut result = Ok(());
        for News { virtual_ip, segment, condition } in due {
            match self.writer.apply_testimony(virtual_ip, segment, condition).await {
                // Gone: the view is about to show it.
                Ok(()) | Err(WriteError::NotFound) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.writer.settle().await;
        result
    }
}

/// A condition that an address does not show yet.
struct News<'a> {
    virtual_ip: &'a VirtualIP,
    segment: &'a str,
    condition: Condition,
}

/// What was seen and is not shown, and what is shown and not seen any more.
fn news<'a>(report: &'a Report, shown: &'a Objects) -> impl Iterator<Item = News<'a>> {
    let now = now();
    let seen = report.witnessed.iter().flat_map(move |(address, seen)| {
        let virtual_ip = shown.virtual_ips.get(&virtual_ip_name(*address)).map(Arc::as_ref);
        seen.iter().filter_map(move |seen| {
            let virtual_ip = virtual_ip?;
            let condition = seen.news(virtual_ip.reachable(), now)?;
            Some(News { virtual_ip, segment: &seen.segment, condition })
        })
    });
    let withdrawn = report.owned.iter().flat_map(move |(address, owners)| {
        let virtual_ip = shown.virtual_ips.get(&virtual_ip_name(*address)).map(Arc::as_ref);
        owners.iter().filter_map(move |owner| {
            let virtual_ip = virtual_ip?;
            let says_so = |seen: &Witnessed| seen.by_owner && seen.segment == owner.segment;
            if report.witnessed.get(address).is_some_and(|seen| seen.iter().any(says_so)) {
                return None;
            }
            let condition = withdrawn(&owner.segment, virtual_ip.reachable()?, now)?;
            Some(News { virtual_ip, segment: &owner.segment, condition })
        })
    });
    seen.chain(withdrawn)
}
