// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Plans from each new view and keeps the writes moving.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ferrolb_config::Objects;
use ferrolb_config::snapshot::Scope;
use ferrolb_source::kube::{ClusterWriter, WriteError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{error, warn};

use super::planning::{Planned, is_usable, planned};
use super::request;
use super::traffic::{Ticket, Traffic, Verdict};
use crate::apply::Write;

/// The shortest time from the start of one plan to the start of the next.
const PACE: Duration = Duration::from_millis(20);
/// Planning takes at most one part in this many of the time.
const SHARE: u32 = 4;
/// The same while there is more to be written than can be: a newer plan would only add to it.
const SHARE_UNDER_LOAD: u32 = 12;

/// A write that came back.
struct Landed {
    ticket: Ticket,
    write: Write,
    result: Result<(), WriteError>,
}

/// Plans and writes for as long as it is polled. Dropping it starts no further write; requests that are out may still
/// be carried out by the API server.
pub(super) async fn steer(
    mut view: watch::Receiver<Arc<Objects>>,
    writer: ClusterWriter,
    scope: &Arc<Scope>,
) -> anyhow::Result<()> {
    let mut traffic = Traffic::default();
    let mut flights: JoinSet<Landed> = JoinSet::new();
    let mut planning: JoinSet<Planned> = JoinSet::new();
    // The first view counts as a change.
    let mut is_due = true;
    let mut next_plan = Instant::now();
    let mut deadline = None;
    view.mark_changed();
    loop {
        let now = Instant::now();
        while let Some((ticket, write)) = traffic.take(now) {
            let writer = writer.clone();
            flights.spawn(async move {
                let result = request::send(&writer, &write).await;
                Landed { ticket, write, result }
            });
        }
        let due = [traffic.wake(), deadline].into_iter().flatten().min();
        is_due |= due.is_some_and(|due| due <= now);
        if is_due && planning.is_empty() && now >= next_plan {
            is_due = false;
            let current = Arc::clone(&view.borrow_and_update());
            if is_usable(&current) {
                next_plan = now + PACE;
                let scope = Arc::clone(scope);
                planning.spawn_blocking(move || planned(current, &scope));
            }
        }
        let wake = match (planning.is_empty(), is_due) {
            (false, _) => None,
            (true, true) => Some(next_plan),
            (true, false) => due,
        };
        let wake = [wake, traffic.resumes(now)].into_iter().flatten().min();
        tokio::select! {
            Some(planned) = planning.join_next(), if !planning.is_empty() => {
                let started = next_plan - PACE;
                let planned = planned.context("the planning thread ended")?;
                traffic.follow(planned.steps, planned.view, Instant::now());
                let share = if traffic.is_saturated() { SHARE_UNDER_LOAD } else { SHARE };
                next_plan = started + PACE.max(planned.took * share);
                deadline = planned.deadline.map(|wait| Instant::now() + wait);
            }
            Some(landed) = flights.join_next(), if !flights.is_empty() => {
                let Landed { ticket, write, result } = landed.context("a write ended")?;
                let setback = result.as_ref().copied().map_err(request::setback);
                let verdict = traffic.done(ticket, setback, Instant::now());
                tell(&write, &result, verdict);
            }
            changed = view.changed() => {
                changed.context("the cluster is not followed any more")?;
                is_due = true;
            }
            () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {}
        }
    }
}

fn tell(write: &Write, result: &Result<(), WriteError>, verdict: Verdict) {
    let object = write.object();
    match (result, verdict) {
        (Err(error @ (WriteError::Forbidden(_) | WriteError::Invalid(_))), _) => {
            error!(%object, "{error}; it will be tried again");
        }
        (Err(error), _) => warn!(%object, "{error}; it will be tried again"),
        (Ok(()), Verdict::Contended(wait)) => {
            warn!(%object, "somebody else keeps changing what was written; left alone for {} s", wait.as_secs());
        }
        (Ok(()), _) => {}
    }
}
