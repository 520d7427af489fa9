// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Plans from each new view and keeps the writes moving.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ferrolb_config::Objects;
use ferrolb_config::api::ConsumerName;
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::Scope;
use ferrolb_source::events::{Event, Recorder};
use ferrolb_source::kube::{ClusterWriter, WriteError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{debug, error, warn};

use super::news::{self, Foreign};
use super::planning::{Planned, is_usable, planned};
use super::reach::Unreached;
use super::request;
use super::traffic::{Ticket, Traffic, Verdict};
use crate::apply::Write;

/// The shortest time from the start of one plan to the start of the next.
const PACE: Duration = Duration::from_millis(20);
/// After a plan at least so many times as long as it took passes without one.
const SHARE: u32 = 1;
/// The same while there is more to be written than can be: a newer plan would only add to it.
const SHARE_UNDER_LOAD: u32 = 12;

/// After a rest so much time of planning is free of waits: one change brings about a few plans, since what is written
/// for it changes the view again.
const ALLOWANCE: Duration = Duration::from_secs(1);

/// How often to plan.
struct Pace {
    /// When the time that planning took will have been rested for.
    paid_until: Instant,
}

impl Pace {
    /// When to plan next, after a plan that calls for a rest of `rest`.
    fn next(&mut self, rest: Duration, now: Instant) -> Instant {
        let since = now.checked_sub(ALLOWANCE).unwrap_or(now);
        self.paid_until = self.paid_until.max(since) + rest;
        (now + PACE).max(self.paid_until)
    }
}

/// A write that came back.
struct Landed {
    ticket: Ticket,
    write: Write,
    result: Result<(), WriteError>,
    /// What is to be told if it was done.
    news: Vec<Event>,
    /// Who lost an address then.
    leavers: Vec<(ConsumerName, String)>,
}

/// Plans and writes for as long as it is polled. Dropping it starts no further write; requests that are out may still
/// be carried out by the API server.
pub(super) async fn steer(
    mut view: watch::Receiver<Arc<Objects>>,
    writer: ClusterWriter,
    scope: &Arc<Scope>,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let mut traffic = Traffic::default();
    let mut flights: JoinSet<Landed> = JoinSet::new();
    let mut planning: JoinSet<Planned> = JoinSet::new();
    // The first view counts as a change.
    let mut is_due = true;
    let mut next_plan = Instant::now();
    let mut pace = Pace { paid_until: next_plan };
    let mut deadline = None;
    let (mut foreign, mut unreached) = (Foreign::default(), Unreached::default());
    view.mark_changed();
    loop {
        let now = Instant::now();
        while let Some((ticket, write)) = traffic.take(now) {
            let writer = writer.clone();
            let (news, leavers) = (news::of(&write, traffic.view()), news::leavers(&write, traffic.view()));
            flights.spawn(async move {
                let result = request::send(&writer, &write).await;
                Landed { ticket, write, result, news, leavers }
            });
        }
        let due = [traffic.wake(), deadline].into_iter().flatten().min();
        is_due |= due.is_some_and(|due| due <= now);
        if is_due && planning.is_empty() && now >= next_plan {
            is_due = false;
            let current = Arc::clone(&view.borrow_and_update());
            if is_usable(&current) {
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
                let planned = planned.context("the planning thread ended")?;
                let found = planned.foreign;
                let found = foreign.learn(found, &planned.view);
                found.into_iter().chain(unreached.learn(&planned.view)).for_each(|event| recorder.tell(event));
                traffic.follow(planned.steps, planned.view, Instant::now());
                let share = if traffic.is_saturated() { SHARE_UNDER_LOAD } else { SHARE };
                next_plan = pace.next(planned.took * share, Instant::now());
                deadline = planned.deadline.map(|wait| Instant::now() + wait);
            }
            Some(landed) = flights.join_next(), if !flights.is_empty() => {
                let Landed { ticket, write, result, news, leavers } = landed.context("a write ended")?;
                let setback = result.as_ref().copied().map_err(request::setback);
                let verdict = traffic.done(ticket, setback, Instant::now());
                match &result {
                    Ok(()) => {
                        let released = news::released(leavers, &view.borrow());
                        news.into_iter().chain(released).for_each(|event| recorder.tell(event));
                    }
                    Err(_) => is_due = true,
                }
                if let Some(event) = told(&write, &result, verdict, traffic.view()) {
                    recorder.tell(event);
                }
            }
            changed = view.changed() => {
                changed.context("the cluster is not followed any more")?;
                is_due = true;
            }
            () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {}
        }
    }
}

/// Tells the log what came of a write, and users what they should know of it.
fn told(write: &Write, result: &Result<(), WriteError>, verdict: Verdict, view: &Objects) -> Option<Event> {
    let object = write.object();
    match (result, verdict) {
        (Err(WriteError::NotLeading), _) => None,
        (Err(error @ WriteError::Forbidden(why)), _) => {
            error!(%object, "{error}; it will be tried again");
            Some(news::refused(write, view, Reason::Forbidden, why))
        }
        (Err(error @ WriteError::Invalid(why)), _) => {
            error!(%object, "{error}; it will be tried again");
            Some(news::refused(write, view, Reason::InvalidValue, why))
        }
        // Others write to the same objects; what they wrote is taken up.
        (Err(error @ (WriteError::Conflict | WriteError::Exists | WriteError::NotFound)), _) => {
            debug!(%object, "{error}; decided anew");
            None
        }
        (Err(error), _) => {
            warn!(%object, "{error}; it will be tried again");
            None
        }
        (Ok(()), Verdict::Contended(wait)) => {
            let seconds = wait.as_secs();
            warn!(%object, "somebody else keeps changing what was written; left alone for {seconds} s");
            Some(news::contended(write, view))
        }
        (Ok(()), _) => None,
    }
}
