// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Deletes stale flows beside the changes of the rules: walking the connection table of a busy router takes seconds.

use tokio::task::JoinSet;

use super::condition::Condition;
use super::conntrack::Stale;

/// Walks at a time. Beyond it those under way are given up; their flows end by themselves when they pause.
const WALKS: usize = 8;

/// The walks under way.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    walks: JoinSet<Result<usize, Condition>>,
    problem: Option<Condition>,
}

impl Flows {
    /// Begins to delete these flows.
    pub(crate) fn delete(&mut self, stale: Stale) {
        if stale == Stale::default() {
            return;
        }
        if self.walks.len() >= WALKS {
            self.problem = Some(Condition::ConntrackFailed("too many changes at once".to_owned()));
            self.walks.abort_all();
        }
        self.walks.spawn(async move { stale.delete().await });
    }

    /// What went wrong at the walk that ended last.
    pub(crate) fn problem(&self) -> Option<&Condition> {
        self.problem.as_ref()
    }

    /// Returns when a walk has ended; never while there is none. Safe to cancel.
    pub(crate) async fn settle(&mut self) {
        loop {
            match self.walks.join_next().await {
                None => std::future::pending().await,
                // Given up.
                Some(Err(_)) => {}
                Some(Ok(Ok(flows))) => {
                    if flows > 0 {
                        tracing::info!(flows, "deleted flows that began under other rules");
                    }
                    self.problem = None;
                    return;
                }
                Some(Ok(Err(condition))) => {
                    tracing::warn!(reason = %condition.reason(), "{condition}");
                    self.problem = Some(condition);
                    return;
                }
            }
        }
    }
}
